"""Records that look wrong: texts that repeat, or that agree with nothing; found without torch."""
