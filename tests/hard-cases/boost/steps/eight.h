// Chosen by the sum of two steps.
