"""The light dual encoder: two heads on frozen global vectors, trained by contrast."""
