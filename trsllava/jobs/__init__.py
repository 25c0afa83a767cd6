"""The captioning job: taking an archive in, and getting a record or a reason for every image."""
