"""Vectors and words of one archive, built into generations that are published whole."""
