"""Where the file of an image is now: archives move, and records may come without a path."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from trsllava.images.source import Source
from trsllava.records import image_id


def image_path(image: str, folders: Iterable[Path]) -> Path | None:
    """Return the file of an image in the first of the folders that holds it, or None.

    A link that leads out of its folder is not followed.
    """
    for folder in folders:
        path = folder / image_id(image)
        try:
            inside = path.resolve(strict=True).is_relative_to(folder.resolve())
        except OSError:
            continue
        if inside and path.is_file():
            return path
    return None


def located(source: Source, folders: Iterable[Path]) -> Source | None:
    """Return a source whose file is there: where it was, or in one of the folders by its id.

    None if it is at neither place.
    """
    if os.path.isfile(source.path):
        return source
    if source.member is not None:
        return None
    image = source.image if source.window is None else source.image.rpartition("#")[0]
    path = image_path(image, folders)
    return None if path is None else replace(source, path=str(path))
