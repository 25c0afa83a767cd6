"""What a backbone saw and read, as plain arrays: all that a system is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Shapes:
    """The sizes of a backbone's features.

    ``image`` and ``text`` are the lengths of the global vectors; a picture has ``depths`` maps of
    ``cells`` cells (a square grid from the north west, row by row) with ``channels`` values each;
    a word piece has ``token`` values.
    """

    image: int
    depths: int
    cells: int
    channels: int
    text: int
    token: int


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Pictures: ``summary`` float32 (n, image), ``maps`` float16 (n, depths, cells, channels)."""

    summary: NDArray[np.float32]
    maps: NDArray[np.float16]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.summary)

    def take(self, rows: NDArray[np.int64]) -> "Seen":
        """Return some of the pictures, in the order of ``rows``."""
        return Seen(self.summary[rows], self.maps[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """Texts: ``summary`` float32 (n, text), and word pieces one text after the other.

    ``tokens`` is float16 (pieces of all texts, token); those of text i are the rows from
    ``starts[i]`` up to ``starts[i + 1]``. Start and end marks are not among them.
    """

    summary: NDArray[np.float32]
    tokens: NDArray[np.float16]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.summary)

    def padded(
        self, rows: NDArray[np.int64], length: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the word pieces of some texts side by side.

        Parameters
        ----------
        rows
            Which texts, (b,).
        length
            Pieces to keep of each at most; all if None.

        Returns
        -------
        tuple[NDArray[np.float32], NDArray[np.bool_]]
            Pieces (b, longest, token), zeros behind a text's end, and which are real (b, longest).
        """
        counts = self.starts[rows + 1] - self.starts[rows]
        if length is not None:
            counts = np.minimum(counts, length)
        real = np.arange(int(counts.max(initial=1)))[None, :] < counts[:, None]
        found = np.zeros((*real.shape, self.tokens.shape[1]), np.float32)
        places = self.starts[rows][:, None] + np.arange(real.shape[1])[None, :]
        found[real] = self.tokens[places[real]]
        return found, real


def joined_pictures(parts: Sequence[Seen]) -> Seen:
    """Return several parts as one."""
    return Seen(np.concatenate([p.summary for p in parts]), np.concatenate([p.maps for p in parts]))


def joined_texts(parts: Sequence[Read]) -> Read:
    """Return several parts as one."""
    before = [0, *accumulate(len(part.tokens) for part in parts)]
    starts = [part.starts[:-1] + first for part, first in zip(parts, before, strict=False)]
    return Read(
        np.concatenate([part.summary for part in parts]),
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([*starts, np.array([before[-1]])]).astype(np.int64),
    )


def ragged(summary: NDArray[np.float32], pieces: Sequence[NDArray[np.float16]]) -> Read:
    """Return texts whose word pieces are given one array (pieces, token) a text."""
    starts = np.array([0, *accumulate(len(own) for own in pieces)], np.int64)
    return Read(summary, np.concatenate(pieces), starts)
