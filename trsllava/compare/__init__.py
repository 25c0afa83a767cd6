"""Trained systems for comparison: they read cached features and hand in a matrix of scores.

Nothing outside `trsllava.cli` imports this package, and nothing here is needed for searching.
"""
