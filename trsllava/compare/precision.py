"""Mean average precision over lists with ties, in two definitions.

Hamming distances are small whole numbers, so a list of thousands of codes is made of a few dozen
ties. Nothing is taken from the order in which a tie happens to come: every figure is the exact
expectation over all orders of the items of each tie (McSherry and Najork, ECIR 2008, for the cut
list), as are the recalls of `trsllava evaluate`.

``cut`` is average precision as it is usually defined at k: the precisions at the relevant ones
among the first k places, added up and divided by min(k, relevant). ``deep`` is what CHNR's
authors report as mAP@k: the precisions at the first k relevant items wherever they rank, again
divided by min(k, relevant); it is never 0, for the list is read to its end if need be.
"""

import numpy as np
from numpy.typing import NDArray


def average_precisions(
    distances: NDArray[np.int32], relevant: NDArray[np.bool_], k: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each query's average precision, expected over the orders of ties.

    Parameters
    ----------
    distances
        (queries, items), whole numbers from 0; smaller is nearer. The order of items is free.
    relevant
        Which items are of the query's class, of the same shape.
    k
        The depth.

    Returns
    -------
    tuple[NDArray[np.float64], NDArray[np.float64]]
        ``cut`` and ``deep``, (queries,) each, 0 to 1; no number where nothing is relevant.
    """
    found = [_both(own, right, k) for own, right in zip(distances, relevant, strict=True)]
    cut, deep = np.array(found, np.float64).reshape(-1, 2).T
    return cut, deep


def _both(distances: NDArray[np.int32], relevant: NDArray[np.bool_], k: int) -> tuple[float, float]:
    total = int(relevant.sum())
    if not total:
        return np.nan, np.nan
    items = np.bincount(distances)
    right = np.bincount(distances, weights=relevant, minlength=len(items)).astype(np.int64)
    items, right = items[items > 0], right[items > 0]
    each = _expected(items, right)
    wanted = min(k, total)
    above = np.cumsum(items) - items  # items in front of each tie
    before = np.cumsum(right) - right  # relevant ones among them
    whole = before + right <= wanted  # every relevant one of the tie is wanted
    deep = float(each[np.repeat(whole, items)].sum())
    for tie in np.flatnonzero(~whole & (before < wanted)):
        deep += _first(int(items[tie]), int(right[tie]), int(above[tie]), int(before[tie]), wanted)
    return float(each[:k].sum()) / wanted, deep / wanted


def _expected(items: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each place of the list the expectation of: relevant, times the precision there.

    In a tie of n items, r of them relevant, the one at place p is relevant with r / n, and then the
    p - 1 before it hold (p - 1) (r - 1) / (n - 1) relevant ones.
    """
    above, before = np.cumsum(items) - items, np.cumsum(right) - right
    n, r = np.repeat(items, items), np.repeat(right, items)
    place = np.arange(items.sum()) - np.repeat(above, items) + 1
    hits = np.repeat(before, items) + 1 + (place - 1) * (r - 1) / np.maximum(n - 1, 1)
    found: NDArray[np.float64] = r / n * hits / (np.repeat(above, items) + place)
    return found


def _first(items: int, right: int, above: int, before: int, wanted: int) -> float:
    """Return the expected sum of precisions at the relevant ones ``before + 1`` to ``wanted``.

    All of them are in one tie, whose j-th relevant item stands at its place p in
    C(p - 1, j - 1) C(n - p, r - j) of C(n, r) orders.
    """
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, items + 1)))])

    def choose(of: NDArray[np.int64], some: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the logarithm of a binomial coefficient, minus infinity for 0."""
        fits = (some >= 0) & (some <= of)
        few = np.where(fits, some, 0)
        return np.where(fits, logs[of] - logs[few] - logs[of - few], -np.inf)

    place = np.arange(1, items + 1)[None, :]
    rank = np.arange(1, wanted - before + 1)[:, None]
    zeros = np.zeros_like(rank + place)
    ways = choose(place - 1 + zeros, rank - 1 + zeros) + choose(
        items - place + zeros, right - rank + zeros
    )
    share = np.exp(ways - (logs[items] - logs[right] - logs[items - right]))
    return float((share * (before + rank) / (above + place)).sum())
