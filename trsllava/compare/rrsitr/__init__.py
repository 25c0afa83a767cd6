"""RRSITR: robust retrieval under noisy correspondence, self-paced (arXiv 2603.28134)."""
