"""How good the search is: problems of our own, and our plug-in for a suite of problems of others."""
