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
    """Return the row of an image of the archive, or None if it is a file.

    Raises `InputError` if it is neither, `IndexUnusable` if the index is behind.
    """
    images, root = searcher.generation.images, searcher.generation.layout.root
    try:
        name = image_id(image)
    except InputError:
        name = ""  # an absolute path, for example, is no id
    at = bisect_left(images, name)
    if at < len(images) and images[at] == name and searcher.live.mask[at]:
        return at
    if name and searcher.pictures is not None and searcher.pictures.view.find(name) is not None:
        raise IndexUnusable(f"{name} is not indexed yet; run: trsllava index --store {root}")
    if Path(image).is_file():
        return None
    near = get_close_matches(name, images[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS])
    hint = f"; near are: {', '.join(near)}" if near else ""
    raise InputError(f"{image!r} is neither an image of {root} nor a file{hint}")


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
