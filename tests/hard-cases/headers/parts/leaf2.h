// The second leaf.
