// Counts references.
