// In a folder with a blank.
