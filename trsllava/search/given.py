"""The image that others are compared with: one of the archive, or any file."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trsllava.embedding.pictures import PictureEmbedder, eye_fingerprint, look
from trsllava.errors import IndexUnusable, InputError
from trsllava.images.source import Source
from trsllava.records import image_id
from trsllava.search.searcher import Searcher
from trsllava.store.files import sha256_of

By = Literal["fused", "texts", "pictures"]

_NEIGHBOURS = 1_000  # ids on each side among which one that was mistyped is looked for


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of the image.

    ``row`` is its row if it is indexed, ``texts`` the mean of its texts' vectors and ``picture``
    its picture's, both of unit length.
    """

    row: int | None
    texts: NDArray[np.float32] | None
    picture: NDArray[np.float32] | None

    @property
    def mode(self) -> By:
        """What there is to compare."""
        if self.picture is None:
            return "texts"
        return "pictures" if self.texts is None else "fused"


def find_given(searcher: Searcher, image: str, eye: Callable[[], PictureEmbedder]) -> Given:
    """Find an image in the archive, else look at the file of that name.

    A file that is the picture of an image in the archive is that image.

    Raises `InputError` if it is neither or nothing can be told from it, `IndexUnusable` if the
    index is behind, or has no picture vectors to compare a file with.
    """
    generation = searcher.generation
    row = _row(searcher, image)
    if row is None:
        return Given(None, None, _look_at_file(searcher, image, eye))
    mean = generation.vectors.of(row).mean(axis=0)
    length = float(np.linalg.norm(mean))
    texts = None if length == 0 else np.asarray(mean / length, dtype=np.float32)
    picture = None if generation.pictures is None else generation.pictures.vector(row)
    if texts is None and picture is None:
        raise InputError(
            f"{image}: the encoder cannot read its texts, and the index has no vector of its "
            "picture; make one with: trsllava index --images"
        )
    return Given(row, texts, picture)


def _row(searcher: Searcher, image: str) -> int | None:
    """Return the row of an image of the archive, or None if it is a file that is none of them.

    Raises `InputError` if it is neither, `IndexUnusable` if the index is behind.
    """
    images, root = searcher.generation.images, searcher.generation.layout.root
    try:
        name = image_id(image)
    except InputError:
        name = ""  # an absolute path, for example, is no id
    row = _indexed(searcher, name)
    if row is not None:
        return row
    if name and searcher.pictures is not None and searcher.pictures.view.find(name) is not None:
        raise IndexUnusable(f"{name} is not indexed yet; run: trsllava index --store {root}")
    if Path(image).is_file():
        return _row_of_file(searcher, Path(image))
    at = bisect_left(images, name)
    near = get_close_matches(name, images[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS])
    hint = f"; near are: {', '.join(near)}" if near else ""
    raise InputError(f"{image!r} is neither an image of {root} nor a file{hint}")


def _indexed(searcher: Searcher, name: str) -> int | None:
    """Return the row of an id, or None if it is not indexed or its record no longer counts."""
    images = searcher.generation.images
    at = bisect_left(images, name)
    found = at < len(images) and images[at] == name and searcher.live.mask[at]
    return at if found else None


def _row_of_file(searcher: Searcher, path: Path) -> int | None:
    """Return the row of the image whose picture a file is, told by its place, else its bytes."""
    if searcher.pictures is None:
        return None
    view, file = searcher.pictures.view, path.resolve()
    for folder in view.image_folders:
        if file.is_relative_to(folder.resolve()):
            row = _indexed(searcher, str(file.relative_to(folder.resolve())))
            if row is not None:
                return row
    digest = sha256_of(file)
    rows = (_indexed(searcher, image) for image in view.images_of(digest))
    return next((row for row in rows if row is not None), None)


def _look_at_file(
    searcher: Searcher, image: str, eye: Callable[[], PictureEmbedder]
) -> NDArray[np.float32]:
    """Return the vector of the picture in a file."""
    facts, root = searcher.generation.manifest.pictures, searcher.generation.layout.root
    remedy = f"trsllava index --images --store {root}"
    if facts is None:
        raise IndexUnusable(
            f"{image} is a file that is not in {root}: it has no texts, so only pictures can be "
            f"compared, and the index has no vectors of them; make them with: {remedy}"
        )
    loaded = eye()
    if eye_fingerprint(loaded) != facts.fingerprint:
        raise IndexUnusable(
            f"the picture vectors of {root} are those of another light head than the one that "
            f"ships; make them anew with: {remedy}"
        )
    path = Path(image).absolute()
    status = path.stat()
    source = Source(path.name, str(path), status.st_size, status.st_mtime_ns)
    ((_, vector),) = look(loaded, [(image, source)])
    if isinstance(vector, str):
        raise InputError(f"{image} cannot be read as a picture: {vector}")
    return vector
