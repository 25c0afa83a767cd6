"""What a system is given: features as tensors, and the pairs of a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trsllava.compare.features import Read, Seen
from trsllava.compare.pairs import Pairs

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """``summary`` float32 (n, image), ``maps`` float32 (n, depths, cells, channels)."""

    summary: "Tensor"
    maps: "Tensor"


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """``summary`` float32 (n, text), ``tokens`` (n, longest, token), ``real`` bool (n, longest)."""

    summary: "Tensor"
    tokens: "Tensor"
    real: "Tensor"


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pairs, as they are said to belong together: some may be wrong.

    ``image`` and ``text`` (b,) number the pictures and the distinct strings of the split;
    ``positive`` bool (b, b) says that text j is among the captions that picture i was given, by any
    of its pairs: row i, column j. ``epoch`` counts from 0.
    """

    pictures: Pictures
    texts: Texts
    image: "Tensor"
    text: "Tensor"
    positive: "Tensor"
    epoch: int


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """All that may be learnt from: pairs, each view of the pictures, the texts."""

    pairs: Pairs
    views: Sequence[Seen]
    texts: Read

    def batches(self, size: int, epoch: int, seed: int) -> Iterator[Batch]:
        """Yield every pair once in a random order, each picture in a random view.

        The order depends on ``seed`` and ``epoch`` alone. A last part that is not full is left
        out, for what a system learns from a batch depends on its size.
        """
        import torch

        random = np.random.default_rng([seed, epoch])
        size = min(size, len(self.pairs))
        order = random.permutation(len(self.pairs))
        view = random.integers(0, len(self.views), len(self.pairs))
        known = self.pairs.known()
        for first in range(0, len(order) - size + 1, size):
            rows = order[first : first + size]
            image, text = self.pairs.image[rows], self.pairs.text[rows]
            yield Batch(
                self._pictures(image, view[first : first + size]),
                texts(self.texts, text),
                torch.from_numpy(image),
                torch.from_numpy(text),
                torch.from_numpy(_positive(known, image, text, len(self.pairs.texts))),
                epoch,
            )

    def _pictures(self, image: NDArray[np.int64], view: NDArray[np.int64]) -> Pictures:
        import torch

        summary = np.stack([self.views[v].summary[i] for i, v in zip(image, view, strict=True)])
        maps = np.stack([self.views[v].maps[i] for i, v in zip(image, view, strict=True)])
        return Pictures(torch.from_numpy(summary), torch.from_numpy(maps.astype(np.float32)))


def pictures(seen: Seen) -> Pictures:
    """Return what was seen as tensors."""
    import torch

    return Pictures(
        torch.from_numpy(np.asarray(seen.summary)),
        torch.from_numpy(seen.maps.astype(np.float32)),
    )


def texts(read: Read, rows: NDArray[np.int64]) -> Texts:
    """Return some of the texts as tensors."""
    import torch

    tokens, real = read.padded(rows)
    return Texts(
        torch.from_numpy(read.summary[rows]), torch.from_numpy(tokens), torch.from_numpy(real)
    )


def _positive(
    known: NDArray[np.int64], image: NDArray[np.int64], text: NDArray[np.int64], count: int
) -> NDArray[np.bool_]:
    numbers = image[:, None] * count + text[None, :]
    place = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    found: NDArray[np.bool_] = known[place] == numbers
    return found
