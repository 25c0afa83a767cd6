"""MSA's losses: matches against the diagonal at each scale, each scale against the deepest."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trsllava.compare.contrast import pair_losses

_BATCH = 32  # the authors'; their weights belong to it
_SOFTENED = 2.0  # both distributions are of M / 2


def alignment(matches: Sequence[Tensor], positive: Tensor) -> Tensor:
    """Return L_MSCMA, a scalar in nats: from picture to text alone, without a temperature.

    Parameters
    ----------
    matches
        M of each scale, (pictures, texts), from 0 to 1.
    positive
        What is no negative, bool of the same shape, the diagonal included.

    Returns
    -------
    Tensor
        Cross-entropies, the mean over the batch, the sum over the scales.
    """
    return torch.stack([pair_losses(m, positive)[0].mean() for m in matches]).sum()


def consistency(matches: Sequence[Tensor]) -> Tensor:
    """Return L_CSMMC, a scalar: how far the scales are from the last, which gets no gradient.

    For each text the pictures of the batch are a distribution, softmax(M / 2) of its column; added
    up is KL(scale || last), divided by the square of the batch.
    """
    last = torch.log_softmax(matches[-1].detach() / _SOFTENED, 0)
    total = torch.zeros_like(last[0, 0])
    for m in matches[:-1]:
        own = torch.log_softmax(m / _SOFTENED, 0)
        total = total + (own.exp() * (own - last)).sum()
    return total / last.numel()


def weighted(triplet: Tensor, aligned: Tensor, consistent: Tensor, batch: int) -> Tensor:
    """Return the whole loss, 1 : 15 : 10 as the authors have it at their batch of 32.

    Parameters
    ----------
    triplet
        The triplet loss, a mean over the pairs. The authors add it up, so all else is divided by
        their batch.
    aligned
        L_MSCMA.
    consistent
        L_CSMMC. A column's KL hardly depends on the batch, so their mean over a batch is what is
        kept in proportion.
    batch
        The number of pairs.

    Returns
    -------
    Tensor
        A scalar; at a batch of 32 the authors' by 32.
    """
    return triplet + (15 * aligned + 10 * consistent * batch / _BATCH) / _BATCH
