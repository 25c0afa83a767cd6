"""What a record set knows already, held small enough for ten million images."""

import hashlib
import os
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trsllava.images.source import Source, Unfit
from trsllava.store.lots import read_rows
from trsllava.store.view import View

_NO_SIZE = -1


class Known:
    """The images that a view counts, by a 64-bit digest of their id.

    Two ids that share a digest would also need the same size and time of change to be taken for
    each other.
    """

    def __init__(self, view: View) -> None:
        """Read the intakes of the view's set and the ids of all its records.

        Parameters
        ----------
        view
            The newest state.
        """
        self._view = view
        keys: list[int] = []
        sizes: list[int] = []
        times: list[int] = []
        for lot in view.lots:
            for row in view.rows(lot):
                keys.append(_key(row["image"]))
                sizes.append(row.get("size", _NO_SIZE))
                times.append(row.get("mtime_ns", _NO_SIZE))
        others = [p.image for p in view.places() if view.segments[p.segment].set != view.set]
        for image in (*others, *view.refused):
            keys.append(_key(image))
            sizes.append(_NO_SIZE)
            times.append(_NO_SIZE)
        unsorted = np.array(keys, dtype=np.int64)
        order = np.argsort(unsorted, kind="stable")
        self._keys = unsorted[order]
        self._sizes: NDArray[np.int64] = np.array(sizes, dtype=np.int64)[order]
        self._times: NDArray[np.int64] = np.array(times, dtype=np.int64)[order]
        self._seen = np.zeros(len(order), dtype=bool)

    def compare(self, found: Source | Unfit) -> Literal["new", "same", "touched"]:
        """Say whether an image is new, or known with the same or another size or time."""
        key = _key(found.image)
        at = int(np.searchsorted(self._keys, key))
        if at == len(self._keys) or self._keys[at] != key:
            return "new"
        self._seen[at] = True
        size, time = int(self._sizes[at]), int(self._times[at])
        if isinstance(found, Unfit) or size == _NO_SIZE:
            return "same"
        return "same" if (size, time) == (found.size, found.mtime_ns) else "touched"

    def has_size(self, size: int) -> bool:
        """Whether some known image has so many bytes."""
        return bool(np.any(self._sizes == size))

    def lost(self, paths: tuple[str, ...]) -> Iterator[str]:
        """Yield the images that once stood under the same paths and whose file is gone."""
        if self._seen.all():
            return
        for intake in self._view.intakes:
            if intake.set != self._view.set or intake.paths != paths:
                continue
            for lot in intake.lots:
                for row in read_rows(self._view.layout, intake, lot):
                    image = row["image"]
                    if self._view.tombs.get(image, 0) > intake.number or "path" not in row:
                        continue
                    at = int(np.searchsorted(self._keys, _key(image)))
                    if not self._seen[at] and not os.path.exists(row["path"]):
                        yield image


def _key(image: str) -> int:
    digest = hashlib.blake2b(image.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
