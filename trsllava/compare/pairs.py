"""The pairs that are learnt from, and the cut of the train split that says when to stop.

No other split is ever read by training. The cut is decided by the pictures' names alone, so every
system, seed and noise rate stops on the same pictures; their captions stay as they are. By names,
too, a fifth of the rest is trusted: `trusted`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError
from trsllava.evaluation.datasets import Dataset
from trsllava.records import canonical_json

CUT = 10  # one picture in so many stops the training and is not learnt from
TRUSTED = 5  # one picture in so many of the others keeps its captions under other-class noise
_CUT_PART, _TRUSTED_PART = 0, 1  # of a name's digest


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pictures and captions that belong together, or are said to.

    ``images`` are all pictures of the split, ``texts`` its distinct captions, sorted; ``image`` and
    ``text`` (pairs,) point into them. ``classes`` holds each picture's class where known.
    """

    images: tuple[str, ...]
    texts: tuple[str, ...]
    classes: tuple[str | None, ...]
    image: NDArray[np.int64]
    text: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.image)

    def digest(self) -> str:
        """Return the SHA-256 of the pairs in their order, by name and by string."""
        rows = zip(self.image.tolist(), self.text.tolist(), strict=True)
        body = [[self.images[image], self.texts[text]] for image, text in rows]
        return hashlib.sha256(canonical_json(body)).hexdigest()

    def known(self) -> NDArray[np.int64]:
        """Return, sorted, a number for each distinct pair: picture times texts plus text."""
        return np.unique(self.image * len(self.texts) + self.text)

    def with_text(self, text: NDArray[np.int64]) -> "Pairs":
        """Return the same pictures with other captions."""
        return replace(self, text=text)


def distinct(dataset: Dataset) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return a split's distinct captions, sorted, and for each caption its place among them."""
    texts = sorted(set(dataset.captions))
    place = {text: n for n, text in enumerate(texts)}
    return tuple(texts), np.array([place[text] for text in dataset.captions], np.int64)


def one_in(count: int, names: Sequence[str], part: int) -> NDArray[np.bool_]:
    """Return which names (n,) a digest draws as the one in ``count``.

    Parameters
    ----------
    count
        One name in so many is drawn, on average.
    names
        File names.
    part
        Which 32 bits of the SHA-256 decide, 0 to 7: draws by different parts are independent.

    Returns
    -------
    NDArray[np.bool_]
        The same for a name wherever it stands.
    """
    place = slice(8 * part, 8 * part + 8)
    numbers = [int(hashlib.sha256(name.encode()).hexdigest()[place], 16) for name in names]
    drawn: NDArray[np.bool_] = np.array(numbers, np.int64) % count == 0
    return drawn


def trusted(pairs: Pairs) -> NDArray[np.bool_]:
    """Return which pairs (pairs,) other-class noise leaves alone: one picture in `TRUSTED`."""
    return one_in(TRUSTED, pairs.images, _TRUSTED_PART)[pairs.image]


def in_cut(dataset: Dataset) -> NDArray[np.bool_]:
    """Return which pictures (images,) are kept for stopping: one in `CUT`, by digest of the name.

    Raises `InputError` if there are too few pictures to keep any or to learn from any.
    """
    cut = one_in(CUT, dataset.images, _CUT_PART)
    if cut.all() or not cut.any():
        raise InputError(
            f"{dataset.name} {dataset.split} has {len(cut)} pictures, too few to keep one in {CUT} "
            "for stopping; give annotations with more"
        )
    return cut


def fitting_pairs(dataset: Dataset) -> Pairs:
    """Return all pairs of the pictures outside the cut, in the order of the annotations."""
    texts, place = distinct(dataset)
    rows = ~in_cut(dataset)[dataset.owner]
    return Pairs(dataset.images, texts, dataset.classes, dataset.owner[rows], place[rows])


def cut_of(dataset: Dataset) -> Dataset:
    """Return the pictures of the cut with their captions as a split of its own."""
    cut = in_cut(dataset)
    rows = np.flatnonzero(cut[dataset.owner])
    number = np.cumsum(cut) - 1
    return Dataset(
        name=dataset.name,
        split=f"cut of {dataset.split}",
        images=tuple(np.array(dataset.images, dtype=object)[cut]),
        captions=tuple(dataset.captions[row] for row in rows),
        owner=number[dataset.owner[rows]].astype(np.int64),
        caption_ids=tuple(dataset.caption_ids[row] for row in rows),
        classes=tuple(np.array(dataset.classes, dtype=object)[cut]),
    )
