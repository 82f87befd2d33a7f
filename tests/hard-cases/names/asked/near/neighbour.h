// Beside nothing.
