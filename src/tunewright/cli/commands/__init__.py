"""The commands: how each is called, and what it does."""
