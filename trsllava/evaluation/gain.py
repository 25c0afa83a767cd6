"""Normalised discounted cumulative gain, with ties taken as they are."""

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError
from trsllava.evaluation.judgements import Judgements


def ndcg(scores: NDArray[np.float32], judged: Judgements, k: int = 10) -> NDArray[np.float64]:
    """Return each query's nDCG@k expected under a random order of ties.

    A relevant item gains 1 and is discounted by log2 of its rank + 1; items that are level share
    the discounts of their ranks (McSherry and Najork 2008), so that no sort decides.

    Parameters
    ----------
    scores
        Of shape (queries, items); -inf for an item that cannot be found.
    judged
        For the same queries and items.
    k
        How many ranks count.

    Returns
    -------
    NDArray[np.float64]
        Of shape (queries,), from 0 to 1; 0 for a query without a relevant item.

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
    if np.isnan(scores).any():
        raise InputError("the score matrix holds NaN")
    discounts = np.zeros(judged.items + 1)
    ranks = np.arange(1, min(k, judged.items) + 1)
    discounts[ranks] = 1 / np.log2(ranks + 1)
    reached = np.cumsum(discounts)  # what ranks up to the index gain together

    values = np.zeros(judged.queries)
    starts = np.searchsorted(judged.query, np.arange(judged.queries + 1))
    for query, row in enumerate(scores):
        relevant = row[judged.item[starts[query] : starts[query + 1]]]
        found = relevant[relevant > -np.inf]
        above = (row > found[:, None]).sum(axis=1)
        level = (row == found[:, None]).sum(axis=1)
        gained = ((reached[above + level] - reached[above]) / level).sum()
        values[query] = gained / reached[len(relevant)] if len(relevant) else 0.0
    return values
