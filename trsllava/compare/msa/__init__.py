"""MSA: multiscale alignment of pictures and texts."""
