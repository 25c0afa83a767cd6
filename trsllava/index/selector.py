"""Which images may be hits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Selector:
    """The images that may be hits: those whose place in ``mask`` (bool, (images,)) is true.

    There is no empty value that means "no filter": whoever filters nothing says `everything`.
    """

    mask: NDArray[np.bool_]

    @classmethod
    def everything(cls, images: int) -> "Selector":
        """Select all of so many images."""
        return cls(np.ones(images, dtype=bool))

    def rows(self) -> NDArray[np.int64]:
        """Return the selected rows, ascending."""
        return np.flatnonzero(self.mask)

    def __and__(self, other: "Selector") -> "Selector":
        """Select what both select."""
        return Selector(self.mask & other.mask)

    def __len__(self) -> int:
        """Return how many images are selected."""
        return int(np.count_nonzero(self.mask))
