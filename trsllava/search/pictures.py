"""A small copy of a picture, to show."""

import base64
import io

from trsllava.images.source import Reading, Source, Unreadable

_SIDE = 320  # pixels of a thumbnail's longer side


def thumbnail(source: Source) -> tuple[str | None, str | None]:
    """Return a small copy of a picture as a ``data:`` address, or None and the reason."""
    from trsllava.images.opening import open_source

    try:
        pixels = open_source(source, Reading(side=_SIDE)).pixels
    except (Unreadable, OSError):
        return None, "picture cannot be read"
    data = io.BytesIO()
    pixels.save(data, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}", None
