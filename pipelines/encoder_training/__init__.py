"""Adapting the text encoder to how people and captioners speak of overhead images."""
