// Chosen by the configuration.
