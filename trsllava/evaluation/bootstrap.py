"""How far a figure would move had other images been drawn: the bootstrap over images."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 95.0
_SEED = 20211028


def resample(images: int, resamples: int = RESAMPLES, seed: int = _SEED) -> NDArray[np.float32]:
    """Draw images with replacement, many times.

    Parameters
    ----------
    images
        How many there are; each resample draws as many.
    resamples
        How many to draw.
    seed
        The same seed gives the same resamples, so that two methods can be compared in pairs.

    Returns
    -------
    NDArray[np.float32]
        How often each image occurs in each resample, of shape (resamples, images).
    """
    drawn = np.random.default_rng(seed).integers(0, images, (resamples, images))
    flat = drawn + np.arange(resamples)[:, None] * images
    counts = np.bincount(flat.ravel(), minlength=resamples * images)
    return counts.reshape(resamples, images).astype(np.float32)


def resampled_means(
    weights: NDArray[np.float32], values: NDArray[np.float64], owner: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average the queries' values in each resample; an image takes its queries along.

    Parameters
    ----------
    weights
        From `resample`, of shape (resamples, images).
    values
        Of shape (queries,).
    owner
        The image of each query, of shape (queries,).

    Returns
    -------
    NDArray[np.float64]
        Of shape (resamples,).
    """
    images = weights.shape[1]
    sums = np.bincount(owner, values, images)
    counts = np.bincount(owner, minlength=images).astype(np.float64)
    # A resample without any query is possible only for a handful of images; its mean is 0.
    return np.asarray((weights @ sums) / np.maximum(weights @ counts, 1.0), np.float64)


def interval(means: NDArray[np.float64], level: float = LEVEL) -> tuple[float, float]:
    """Return the percentile interval of resampled figures."""
    tail = (100.0 - level) / 2
    low, high = np.percentile(means, [tail, 100.0 - tail])
    return float(low), float(high)


def p_value(differences: NDArray[np.float64]) -> float:
    """Return how likely a difference so far from 0 is by the choice of images alone (two-sided).

    Twice the share of resamples on the other side of 0, the observed sample counted as one of them
    (so never 0): below 0.05 where the 95 % percentile interval leaves 0 out.
    """
    # Sums of shares of ties that cancel leave what rounding leaves.
    differences = np.round(differences, 12)
    fewer = min((differences <= 0).sum(), (differences >= 0).sum())
    return min(1.0, 2.0 * float(1 + fewer) / (1 + len(differences)))


def intervals(
    values: Mapping[str, tuple[NDArray[np.float64], NDArray[np.int64]]],
    images: int,
) -> tuple[dict[str, tuple[float, float]], tuple[float, float]]:
    """Find the intervals of several figures over the same images.

    Parameters
    ----------
    values
        For each figure the queries' values and the image of each query.
    images
        How many images there are.

    Returns
    -------
    tuple[dict[str, tuple[float, float]], tuple[float, float]]
        The interval of each figure, and that of their mean.
    """
    weights = resample(images)
    means = {
        name: resampled_means(weights, value, owner) for name, (value, owner) in values.items()
    }
    each = {name: interval(mean) for name, mean in means.items()}
    return each, interval(np.mean(list(means.values()), axis=0))
