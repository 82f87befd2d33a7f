// Beside the real folder.
