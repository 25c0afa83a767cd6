"""Where the pictures behind a view's images are, as far as they are at hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trsllava.images.locating import image_path, located
from trsllava.images.source import Source
from trsllava.store.view import View


@dataclass(frozen=True, slots=True)
class Pictures:
    """Finds the pictures of a view's images, first in ``folders``, then where the store knows."""

    view: View
    folders: tuple[Path, ...] = ()

    def source(self, image: str) -> Source | None:
        """Return where the pixels of an image are, or None if its file is not there."""
        return self._source(image, self.view.row(image))

    def of_segment(self, segment: int) -> Iterator[tuple[int, str, Source | None]]:
        """Yield row, image and source of the records of a segment that count.

        What the intake lists is read once for all of them.
        """
        lot = self.view.lot_of.get(self.view.segments[segment].sha256)
        listed = None
        if lot is not None:
            listed = {row["image"]: row for row in self.view.rows(lot)}
        ids = self.view.sidecar(segment).ids
        for row in self.view.live_rows(segment):
            image = ids[row]
            found = self.view.row(image) if listed is None else listed.get(image)
            yield row, image, self._source(image, found)

    def _source(self, image: str, listed: Mapping[str, Any] | None) -> Source | None:
        if listed is not None and "path" in listed:
            source = Source.from_json(listed)
            given = located(replace(source, path=""), self.folders) if self.folders else None
            return given or located(source, self.view.image_folders)
        path = image_path(image, (*self.folders, *self.view.image_folders))
        if path is None:
            return None
        facts = path.stat()
        return Source(image, str(path), facts.st_size, facts.st_mtime_ns)
