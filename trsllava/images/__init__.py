"""Reading archives: what is in them, and the pixels of one image."""
