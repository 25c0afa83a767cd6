"""The light models that ship: an image-text head and a small captioner, on onnxruntime alone."""
