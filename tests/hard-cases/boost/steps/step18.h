// Chosen by the step of an iteration.
