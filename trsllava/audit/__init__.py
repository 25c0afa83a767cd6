"""Records that look wrong: repeated texts and stock phrases, found without torch."""
