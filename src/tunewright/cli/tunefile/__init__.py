"""The tuning file: read, checked, and turned into AMT's request."""
