// Chosen by the compiler.
