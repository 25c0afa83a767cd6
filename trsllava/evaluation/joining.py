"""Which record belongs to which annotated image."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """For each image of a dataset the index of its record, -1 where there is none."""

    rows: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    @property
    def has_record(self) -> NDArray[np.bool_]:
        """Which images have a record, of shape (images,)."""
        return self.rows >= 0

    @property
    def covered(self) -> int:
        """How many images have a record."""
        return int(self.has_record.sum())


def join(images: Sequence[str], records: Sequence[str]) -> Joined:
    """Find each image's record by exact id, or all of them by file name if that is unambiguous.

    Parameters
    ----------
    images
        The ids in the annotation file.
    records
        The ids of the records.

    Returns
    -------
    Joined
        For each image its record, and what to say about how they were found.

    Raises
    ------
    InputError
        If no image has a record, or only file names match and they are ambiguous.
    """
    wanted = [unicodedata.normalize("NFC", image) for image in images]
    rows = {unicodedata.normalize("NFC", record): row for row, record in enumerate(records)}
    exact = np.array([rows.get(image, -1) for image in wanted], np.int64)
    names = [_name(image) for image in wanted]
    by_name, twice = _by_name(names, list(rows))
    if exact.max(initial=-1) < 0:
        if by_name.max(initial=-1) < 0:
            first = f"{records[0]!r}" if records else "(there are no records)"
            annotated = f"{images[0]!r}" if images else "(none)"
            raise InputError(
                "no record belongs to any image of the annotations: ids there look like "
                f"{annotated}, ids of the records like {first}"
            )
        if twice:
            raise InputError(
                f"record ids match the annotations by file name only, and {twice!r} is the name of "
                "several; import the records with the ids that the annotations use"
            )
        return Joined(by_name, ("records were joined to the annotations by file name, not by id",))
    more = int((by_name >= 0).sum() - (exact >= 0).sum())
    if more > 0:
        return Joined(
            exact, (f"{more} more images have a record of their file name, not their id",)
        )
    return Joined(exact)


def _name(image: str) -> str:
    return image.rsplit("/", 1)[-1]


def _by_name(names: list[str], records: list[str]) -> tuple[NDArray[np.int64], str | None]:
    """Return the records found by file name, and a name that is not unique, if any."""
    annotated = Counter(names)
    found = Counter(name for name in map(_name, records) if name in annotated)
    twice = next((n for n in found if found[n] > 1 or annotated[n] > 1), None)
    rows = {_name(record): row for row, record in enumerate(records)}
    return np.array([rows.get(name, -1) for name in names], np.int64), twice
