"""Training functions: called in warm worker processes."""
