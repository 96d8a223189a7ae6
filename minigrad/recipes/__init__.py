"""What to write in the place of a name that minigrad doesn't have. Nothing is computed here."""
