"""The figures of parts of a split: images of one class, captions of one length."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.result import ClassScores, LengthScores, Recalls, Scores

Values = Mapping[str, Sequence[NDArray[np.float64]]]
_PERCENT = 100.0
_FROM = (1, 7, 11, 16)  # words; each length reaches to the next


def scores_of(values: Values) -> Scores:
    """Average the queries' values of both directions, three measures each, in percent."""
    return Scores(_recalls(values["i2t"]), _recalls(values["t2i"]))


def per_class(dataset: Dataset, values: Values) -> tuple[int, tuple[ClassScores, ...]]:
    """Return how many images have a class, and the figures of each class if there are several."""
    names = sorted({name for name in dataset.classes if name is not None})
    with_class = sum(name is not None for name in dataset.classes)
    if len(names) < 2:
        return with_class, ()
    classes = np.array([names.index(c) if c is not None else -1 for c in dataset.classes])
    table = []
    for number, name in enumerate(names):
        images = classes == number
        captions = images[dataset.owner]
        if not captions.any():
            continue
        part = {
            "i2t": [v[images] for v in values["i2t"]],
            "t2i": [v[captions] for v in values["t2i"]],
        }
        table.append(ClassScores(name, int(images.sum()), scores_of(part)))
    return with_class, tuple(table)


def per_length(dataset: Dataset, values: Values) -> tuple[LengthScores, ...]:
    """Return text-to-image figures of short and long captions; lengths without any are left out."""
    length = np.array([words(caption) for caption in dataset.captions])
    group = np.searchsorted(_FROM, np.maximum(length, 1), side="right") - 1
    names = [f"{low} to {above - 1}" for low, above in pairwise(_FROM)]
    table = []
    for number, name in enumerate((*names, f"{_FROM[-1]} and more")):
        chosen = group == number
        if chosen.any():
            recalls = _recalls([value[chosen] for value in values["t2i"]])
            table.append(LengthScores(name, int(chosen.sum()), recalls))
    return tuple(table)


def words(caption: str) -> int:
    """Return how many words a caption has; punctuation that stands alone is none."""
    return len(re.findall(r"\w+(?:['’-]\w+)*", caption))


def _recalls(values: Sequence[NDArray[np.float64]]) -> Recalls:
    return Recalls(*(_PERCENT * float(value.mean()) for value in values))
