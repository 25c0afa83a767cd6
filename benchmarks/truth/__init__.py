"""The parts of `captioner_truth.py`."""
