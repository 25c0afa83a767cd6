"""What hash codes are worth: mean average precision by class, and the discriminator's sight.

A fifth of a split's pictures that carry a class, by digest of the name, are queries; the rest is
the database (10 % and 40 % of all pictures in the paper's own split). Relevant is what is of the
query's class.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trsllava.compare.batches import Training, pictures, texts
from trsllava.compare.hashing import packed, search
from trsllava.compare.pairs import one_in
from trsllava.compare.precision import average_precisions
from trsllava.errors import InputError
from trsllava.evaluation.datasets import Dataset

if TYPE_CHECKING:
    from trsllava.compare.chnr.model import Chnr
    from trsllava.compare.opened import Opened

DEPTH = 20
QUERIES = 5  # one picture in so many
_QUERY_PART = 2  # of a name's digest
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Precision:
    """mAP of a direction, 0 to 1, in both definitions of `precision`."""

    cut: float
    deep: float


@dataclass(frozen=True, slots=True)
class HashingFigures:
    """Both directions; ``queries`` and ``database`` count pictures."""

    i2t: Precision
    t2i: Precision
    queries: int
    database: int


def codes_of(opened: "Opened") -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the codes of a split, -1 and 1: of pictures (n, bits) and of captions (m, bits)."""
    import torch

    system: Chnr = opened.system
    system.eval()
    every = np.arange(len(opened.words), dtype=np.int64)
    with torch.no_grad():
        images = system.image_codes(pictures(opened.views[0])).numpy()
        words = system.text_codes(texts(opened.words, every)).numpy()
    return images, words[opened.rows]


def hashing_figures(
    dataset: Dataset,
    images: NDArray[np.float32],
    captions: NDArray[np.float32],
    depth: int = DEPTH,
) -> HashingFigures:
    """Search captions by pictures and pictures by captions.

    Parameters
    ----------
    dataset
        A split whose file names carry classes.
    images
        Codes of its pictures (n, bits).
    captions
        Codes of its captions (m, bits).
    depth
        The k of mAP@k.

    Returns
    -------
    HashingFigures
        Means over the queries.

    Raises
    ------
    InputError
        If there is no query, or nothing of a query's class in the database.
    """
    names = sorted({name for name in dataset.classes if name is not None})
    number = {name: n for n, name in enumerate(names)}
    classes = np.array([-1 if c is None else number[c] for c in dataset.classes], np.int64)
    asked = one_in(QUERIES, dataset.images, _QUERY_PART) & (classes >= 0)
    kept = ~asked & (classes >= 0)
    missing = set(classes[asked]) - set(classes[kept])
    if not asked.any() or missing:
        raise InputError(
            f"{dataset.name} {dataset.split}: mAP needs queries, and pictures of their classes "
            "beside them; a class is read from a file name such as airport_1.jpg"
        )
    owner = dataset.owner
    return HashingFigures(
        _direction(images, classes, asked, captions, classes[owner], kept[owner], depth),
        _direction(captions, classes[owner], asked[owner], images, classes, kept, depth),
        int(asked.sum()),
        int(kept.sum()),
    )


def _direction(
    queries: NDArray[np.float32],
    query_classes: NDArray[np.int64],
    asked: NDArray[np.bool_],
    items: NDArray[np.float32],
    item_classes: NDArray[np.int64],
    kept: NDArray[np.bool_],
    depth: int,
) -> Precision:
    database = packed(items[kept])
    distances, places = search(database, packed(queries[asked]), len(database))
    relevant = item_classes[kept][places] == query_classes[asked][:, None]
    cut, deep = average_precisions(distances, relevant, depth)
    return Precision(float(cut.mean()), float(deep.mean()))


def separation(system: "Chnr", training: Training, wrong: NDArray[np.bool_]) -> float:
    """Return how well the discriminator tells right pairs from wrong ones: the area under ROC.

    Parameters
    ----------
    system
        Been through its first phase.
    training
        The pairs, noise included; looked at in the first view.
    wrong
        Which of them are wrong, (pairs,).

    Returns
    -------
    float
        The probability that it is surer of a right pair than of a wrong one; 0.5 by chance.
    """
    import torch

    pairs, found = training.pairs, []
    with torch.no_grad():
        for first in range(0, len(pairs), _BLOCK):
            rows = slice(first, first + _BLOCK)
            seen = torch.from_numpy(training.views[0].summary[pairs.image[rows]])
            read = torch.from_numpy(training.texts.summary[pairs.text[rows]])
            found.append(system.sure(system.seen(seen), system.read(read)).numpy())
    return area(np.concatenate(found), wrong)


def area(sure: NDArray[np.float32], wrong: NDArray[np.bool_]) -> float:
    """Return the area under ROC; equal values count half."""
    _, place, count = np.unique(sure, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    right = int((~wrong).sum())
    more: Any = rank[~wrong].sum() - right * (right + 1) / 2
    return float(more / (right * wrong.sum()))
