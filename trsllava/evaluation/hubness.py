"""Hubs: items that stand among the first of far more queries than they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEPTH = 10
_GREATEST = 5
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Hubness:
    """How unevenly the first `DEPTH` places of all queries fall on the items (k-occurrence).

    ``skew`` is that of the occurrences (Radovanović et al., JMLR 11, 2010): 0 if they are
    symmetrical, the greater the more hubs; ``never`` is the percentage of items that stand there
    for no query (anti-hubs); ``greatest`` are the ids of the greatest hubs with their occurrences.
    """

    mean: float
    skew: float
    never: float
    greatest: tuple[tuple[str, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures with two decimals."""
        return {
            "k": DEPTH,
            "mean": round(self.mean, 2),
            "skew": round(self.skew, 2),
            "never_percent": round(self.never, 2),
            "greatest": [{"id": name, "count": round(count, 2)} for name, count in self.greatest],
        }


def hubness(scores: NDArray[np.float32], items: Sequence[str]) -> Hubness:
    """Measure the hubs among the items of a score matrix.

    Parameters
    ----------
    scores
        Of shape (queries, items); an item of -inf everywhere cannot be found and is left out.
    items
        The ids of the columns.

    Returns
    -------
    Hubness
        All zero if nothing can be found.
    """
    findable = np.flatnonzero(scores.max(axis=0) > -np.inf)
    if not len(findable):
        return Hubness(0.0, 0.0, 0.0, ())
    counts = occurrences(scores, DEPTH)[findable]
    deviation = float(counts.std())
    # What is left of equal counts by rounding is no deviation.
    even = deviation <= 1e-9 * float(counts.mean())
    skew = 0.0 if even else float((((counts - counts.mean()) / deviation) ** 3).mean())
    greatest = np.argsort(-counts, kind="stable")[:_GREATEST]
    return Hubness(
        float(counts.mean()),
        skew,
        100.0 * float((counts == 0).mean()),
        tuple((items[findable[row]], float(counts[row])) for row in greatest),
    )


def occurrences(scores: NDArray[np.float32], depth: int) -> NDArray[np.float64]:
    """Return for how many queries each item is among the first, ties in a random order.

    Items that are level at the last place share what room is left there, so the figure is the
    expected one; -inf is never among the first. The result has the shape (items,).
    """
    queries, items = scores.shape
    depth = min(depth, items)
    counts = np.zeros(items)
    for start in range(0, queries, _BLOCK):
        block = np.ascontiguousarray(scores[start : start + _BLOCK])
        limit = np.partition(block, items - depth, axis=1)[:, items - depth, None]
        above = block > limit
        level = block == limit
        room = depth - np.count_nonzero(above, axis=1)
        share = room / np.count_nonzero(level, axis=1)
        share[limit[:, 0] == -np.inf] = 0.0
        counts += np.count_nonzero(above, axis=0) + share @ level
    return counts
