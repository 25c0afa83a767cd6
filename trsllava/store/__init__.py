"""The store: one directory with everything derived from one archive."""
