"""HTTP: requests as services see them, and who may come in."""
