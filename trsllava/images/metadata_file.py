"""``--metadata FILE``: place, date and properties of images, by image id.

=====================================  =====================================================
CSV (comma, semicolon, tab), parquet   a row an image; a column that names it (``image``,
                                       ``filename``, ...), ``bbox`` or ``west``, ``south``,
                                       ``east``, ``north``; ``datetime`` or ``start_datetime``
                                       and ``end_datetime``; all others are properties
GeoJSON, STAC ItemCollection or item   a feature an image, named by such a property, else by
                                       its ``id``; without a ``bbox`` that of its geometry
=====================================  =====================================================

An empty cell and a null say nothing. The form is told by the content.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trsllava.errors import ConflictError, InputError
from trsllava.images.metadata_forms import rows_of
from trsllava.interchange.bodies import ID_KEYS
from trsllava.interchange.lines import parse_json
from trsllava.interchange.metadata import METADATA_KEYS, metadata_of
from trsllava.interchange.tables import BOX
from trsllava.interchange.values import checked_id, kind
from trsllava.records import Metadata
from trsllava.untrusted import printable

_WINDOW = re.compile(r"#\d+,\d+,\d+,\d+$")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")  # of a GeoParquet bbox


class ImageMetadata(Mapping[str, Metadata]):
    """Metadata by image id; a window of a scene without its own has its scene's, but the box."""

    def __init__(self, known: Mapping[str, Metadata]) -> None:
        self._known = known

    def __getitem__(self, image: str) -> Metadata:
        """Return what is known of an image; raises `KeyError` if nothing is."""
        if image in self._known:
            return self._known[image]
        scene = self._known[_WINDOW.sub("", image)]
        return Metadata(None, scene.datetime, scene.properties)

    def __iter__(self) -> Iterator[str]:
        """Go through the ids that the file names."""
        return iter(self._known)

    def __len__(self) -> int:
        """Return how many ids the file names."""
        return len(self._known)


def read_metadata(path: Path) -> ImageMetadata:
    """Read a file of metadata.

    Parameters
    ----------
    path
        CSV with a header, parquet, GeoJSON or STAC.

    Returns
    -------
    ImageMetadata
        What it says of each image.

    Raises
    ------
    InputError
        If it cannot be read, or a row of it is wrong (a `UsageError` if it names no images).
    ConflictError
        If it says two things of one image.
    MissingExtra
        If it is parquet and pyarrow is not installed.
    """
    known: dict[str, Metadata] = {}
    for number, row in rows_of(path):
        where = f"{printable(str(path))}, row {number}"
        try:
            image, metadata = _described(row)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if known.setdefault(image, metadata) != metadata:
            raise ConflictError(
                f"{where}: {printable(image)!r} stands there before, with other values; leave one"
            )
    return ImageMetadata(known)


def _described(row: dict[str, Any]) -> tuple[str, Metadata]:
    """Return what a row says, and of which image."""
    names = {name.lower(): name for name in reversed(row)}
    key = next((names[key] for key in ID_KEYS if key in names), None)
    if key is None:
        raise InputError(f"no image id; one of {', '.join(ID_KEYS)} expected")
    image = checked_id(row.pop(key))
    body = {name: row.pop(names[name]) for name in METADATA_KEYS if name in names}
    sides = [row.pop(names[side]) for side in BOX if side in names]
    if sides and "bbox" not in body:
        body["bbox"] = sides
    if "bbox" in body:
        body["bbox"] = _numbers(body["bbox"])
    inner = body.get("properties", {})
    if isinstance(inner, str):
        inner = parse_json(inner)
    if not isinstance(inner, dict):
        raise InputError(f"properties must be an object, not {kind(inner)}")
    body["properties"] = {**row, **inner}
    return image, metadata_of(body)


def _numbers(bbox: Any) -> Any:
    """Return the box of a cell as a list of numbers."""
    if isinstance(bbox, str):
        bbox = bbox.strip("[]() ").split(",")
    if isinstance(bbox, dict) and set(bbox) == set(_CORNERS):
        bbox = [bbox[corner] for corner in _CORNERS]
    if not isinstance(bbox, list):
        return bbox
    try:
        return [float(side) if isinstance(side, str) else side for side in bbox]
    except ValueError as error:
        raise InputError(f"the bbox {str(bbox)[:80]} is not four numbers W,S,E,N") from error


__all__ = ["ImageMetadata", "read_metadata"]
