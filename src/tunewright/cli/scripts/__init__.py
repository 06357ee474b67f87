"""Training scripts: what they tell of themselves, and a first tuning file made of it."""
