// Beside the file itself.
