// Beside the links.
