"""The pictures behind an archive's images: where they are, and a small copy to show."""

import base64
import io
from dataclasses import dataclass

from trsllava.images.locating import image_path, located
from trsllava.images.source import Reading, Source, Unreadable
from trsllava.store.view import View

_SIDE = 320  # pixels of a thumbnail's longer side


@dataclass(frozen=True, slots=True)
class Pictures:
    """Finds the pictures of a view's images, as far as they are at hand."""

    view: View

    def source(self, image: str) -> Source | None:
        """Return where the pixels of an image are, or None if its file is not there."""
        row = self.view.row(image)
        if row is not None and "path" in row:
            return located(Source.from_json(row), self.view.image_folders)
        path = image_path(image, self.view.image_folders)
        if path is None:
            return None
        facts = path.stat()
        return Source(image, str(path), facts.st_size, facts.st_mtime_ns)


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
