"""Contrast in a batch where a picture has several captions and captions several pictures."""

import torch
from torch import Tensor


def pair_losses(logits: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Return each pair's cross-entropy in both directions.

    The pairs of a batch are its diagonal. What is positive beside the diagonal (another caption of
    the same picture, the same caption at another picture) is no negative: it is left out of the
    sum that a pair is measured against.

    Parameters
    ----------
    logits
        (pictures, texts), both of the batch.
    positive
        bool of the same shape, the diagonal included.

    Returns
    -------
    tuple[Tensor, Tensor]
        Picture to text and text to picture, (b,) each, in nats.
    """
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    open_ = logits.masked_fill(positive & ~own, -torch.inf)
    return -open_.log_softmax(1).diagonal(), -open_.log_softmax(0).diagonal()


def symmetric(logits: Tensor, positive: Tensor) -> Tensor:
    """Return InfoNCE, the mean of both directions over the batch."""
    rows, columns = pair_losses(logits, positive)
    return (rows.mean() + columns.mean()) / 2


def triplet(alike: Tensor, positive: Tensor, sigma: float, dynamic: bool) -> Tensor:
    """Return each pair's triplet loss with the hardest negative, both directions added.

    Parameters
    ----------
    alike
        Cosines (pictures, texts); the pairs are the diagonal.
    positive
        What is no negative, bool of the same shape, the diagonal included.
    sigma
        The margin of a pair that stands above its hardest negative.
    dynamic
        Whether the margin grows by how far the hardest negative stands above the pair.

    Returns
    -------
    Tensor
        (b,); 0 for a pair without any negative.
    """
    own = alike.diagonal()
    negatives = alike.masked_fill(positive, -torch.inf)
    total = torch.zeros_like(own)
    for hardest in (negatives.amax(1), negatives.amax(0)):
        known = hardest.isfinite()
        gap = torch.where(known, hardest, own - 2) - own
        margin = sigma * (1 + torch.relu(gap)) if dynamic else sigma
        total = total + torch.where(known, torch.relu(margin + gap), torch.zeros_like(gap))
    return total
