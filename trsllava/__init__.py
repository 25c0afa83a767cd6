"""Find overhead images by saying what is in them."""

__version__ = "0.1.0"
