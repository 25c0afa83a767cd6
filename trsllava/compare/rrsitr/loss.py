"""RRSITR's losses: three kinds of pairs, self-paced weights, a triplet whose margin moves."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_BATCH = 100  # the authors'; their thresholds belong to it


@dataclass(frozen=True, slots=True)
class Weights:
    """The constants of the loss, by the authors' values.

    ``clean`` and ``noisy`` are the thresholds of a pair's loss at a batch of 100 and four terms;
    ``ambiguous_share`` and ``noisy_share`` weigh the kinds of pairs, ``margin`` is sigma.
    """

    clean: float = 5.0
    noisy: float = 18.0
    ambiguous_share: float = 0.8
    noisy_share: float = 0.9
    margin: float = 0.6


def thresholds(weights: Weights, batch: int, terms: int) -> tuple[float, float]:
    """Return both thresholds for a batch of this size and so many cross-entropies a pair.

    A pair that is told from nothing has the loss ``terms * ln(batch)``. The upper threshold is a
    little below that (18 of 18.42), and stays so in proportion, as does the lower.
    """
    scale = terms * math.log(batch) / (4 * math.log(_BATCH))
    return weights.clean * scale, weights.noisy * scale


def pace_weight(loss: Tensor, threshold: float) -> Tensor:
    """Return ``cos(pi / 2 * loss / threshold)``, detached: 1 for no loss, 0 at the threshold."""
    return torch.cos(math.pi / 2 * loss.detach() / threshold)


def regulariser(weight: Tensor, threshold: float) -> Tensor:
    """Return ``-(2 / pi) g (w arccos w - sqrt(1 - w^2))``, of which that weight is the minimiser.

    It has no gradient, for the weight has none; it keeps the value what the formula says.
    """
    inside = weight * torch.arccos(weight) - torch.sqrt(1 - weight**2)
    return -2 / math.pi * threshold * inside


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """The pairs of a batch by their loss, bool (b,) each."""

    clean: Tensor
    ambiguous: Tensor
    noisy: Tensor


def kinds(loss: Tensor, low: float, high: float) -> Kinds:
    """Split the pairs: below ``low``, below ``high``, the rest."""
    return Kinds(loss < low, (loss >= low) & (loss < high), loss >= high)


def robust_loss(
    loss: Tensor,
    triplets: Tensor,
    weights: Weights,
    limits: tuple[float, float],
    *,
    self_paced: bool,
    robust: bool,
) -> Tensor:
    """Return the loss of a batch.

    Parameters
    ----------
    loss
        Each pair's cross-entropies, added up, (b,).
    triplets
        Each pair's triplet loss, (b,).
    weights
        The constants.
    limits
        Both thresholds, as `thresholds` gives them.
    self_paced
        Whether pairs that are not noisy are weighted by their loss; else each counts as 1.
    robust
        Whether noisy pairs count by their triplet; else not at all, or, where nothing is
        self-paced either, as all others do.

    Returns
    -------
    Tensor
        A scalar, the mean over all pairs.
    """
    if not self_paced and not robust:
        return loss.mean()
    low, high = limits
    kind = kinds(loss.detach(), low, high)
    terms = []
    for threshold, mask, share in (
        (low, kind.clean, 1.0),
        (high, kind.ambiguous, weights.ambiguous_share),
    ):
        term = loss
        if self_paced:
            # Outside its kind a weight means nothing, and its gradient could be no number.
            weight = pace_weight(loss.detach().clamp(max=threshold), threshold).clamp(0, 1)
            term = weight * loss + regulariser(weight, threshold)
        terms.append(share * torch.where(mask, term, torch.zeros_like(term)))
    if robust:
        zero = torch.zeros_like(triplets)
        terms.append(weights.noisy_share * torch.where(kind.noisy, triplets, zero))
    return torch.stack(terms).sum(0).mean()
