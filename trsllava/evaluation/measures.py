"""Success@K (the literature's R@K) from a score matrix, with ties taken as they are.

Where scores are equal the order is a matter of chance, so the headline is the value expected
under a random order of ties, and the best and the worst order stand beside it. No sort is
involved: for each query it is enough to know how many items score above its best relevant one,
how many are level with it, and how many of those are relevant.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError
from trsllava.evaluation.judgements import Judgements

_BLOCK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the best relevant item of each query stands; all arrays have the shape (queries,).

    ``above`` items score higher, ``level`` items score the same (itself included) and
    ``relevant`` of these are relevant; ``found`` is False for a query that cannot be answered.
    """

    above: NDArray[np.int64]
    level: NDArray[np.int64]
    relevant: NDArray[np.int64]
    found: NDArray[np.bool_]

    def rank(self) -> NDArray[np.float64]:
        """Return the rank expected under a random order of ties, from 1; inf where not found."""
        expected = self.above + (self.level + 1) / (self.relevant + 1)
        return np.where(self.found, expected, np.inf)


@dataclass(frozen=True, slots=True, repr=False)
class Success:
    """Whether a relevant item is among the first ``k``, averaged over queries by the caller."""

    k: int

    def __repr__(self) -> str:
        """Return the measure's usual name, such as ``Success@10``."""
        return f"Success@{self.k}"

    def expected(self, places: Places) -> NDArray[np.float64]:
        """Return each query's chance of a hit if ties fall in a random order."""
        # m of the level items still fit in; all miss with chance C(t-r, m) / C(t, m).
        room = np.minimum(self.k - places.above, places.level)
        misses = places.level - places.relevant
        miss = np.ones(len(places.above))
        for taken in range(min(self.k, int(room.max(initial=0)))):
            left = np.maximum(misses - taken, 0) / np.maximum(places.level - taken, 1)
            miss = np.where(taken < room, miss * left, miss)
        return np.where(places.found & (room > 0), 1.0 - miss, 0.0)

    def optimistic(self, places: Places) -> NDArray[np.float64]:
        """Return each query's hit if ties fall in the best order."""
        return (places.found & (places.above < self.k)).astype(np.float64)

    def pessimistic(self, places: Places) -> NDArray[np.float64]:
        """Return each query's hit if ties fall in the worst order."""
        first = places.above + places.level - places.relevant
        return (places.found & (first < self.k)).astype(np.float64)


def places(scores: NDArray[np.float32], judged: Judgements) -> Places:
    """Find where the best relevant item of each query stands.

    Parameters
    ----------
    scores
        Of shape (queries, items); -inf for an item that cannot be found. A transposed view is
        fine: rows are copied block by block.
    judged
        For the same queries and items.

    Returns
    -------
    Places
        One entry for each query.

    Raises
    ------
    InputError
        If the shapes differ or a score is NaN.
    """
    if scores.shape != (judged.queries, judged.items):
        raise InputError(
            f"the score matrix has the shape {scores.shape}, "
            f"expected are {judged.queries} queries and {judged.items} items"
        )
    best = np.full(judged.queries, -np.inf, np.float32)
    np.maximum.at(best, judged.query, scores[judged.query, judged.item])
    if np.isnan(best).any():
        raise InputError("the score matrix holds NaN")
    found = best > -np.inf
    above = np.zeros(judged.queries, np.int64)
    level = np.zeros(judged.queries, np.int64)
    for start in range(0, judged.queries, _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = np.ascontiguousarray(scores[rows])
        if np.isnan(block).any():
            raise InputError("the score matrix holds NaN")
        above[rows] = np.count_nonzero(block > best[rows, None], axis=1)
        level[rows] = np.count_nonzero(block == best[rows, None], axis=1)
    ties = scores[judged.query, judged.item] == best[judged.query]
    relevant = np.bincount(judged.query[ties], minlength=judged.queries)
    return Places(above, level, relevant.astype(np.int64), found)
