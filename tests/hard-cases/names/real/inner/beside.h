// In the real folder.
