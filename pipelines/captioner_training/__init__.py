"""The parts of `train_captioner.py`: pictures, texts, the light head, the writer, the export."""
