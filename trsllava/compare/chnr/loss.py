"""CHNR's losses and weights: arXiv 2202.13117, as its formulas say."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize

WEIGHTINGS = ("nw", "ew", "dw", "ones")
_TINY = 1e-12


def contrastive(
    images: Tensor, texts: Tensor, positive: Tensor, weights: Tensor, temperature: float
) -> Tensor:
    """Return L_C: each pair's two cross-entropies, weighted and added up.

    Every code of the batch is an anchor, picture or text, and is told from all others of both
    modalities. What belongs together beside the pair itself (another caption of the picture, the
    same caption at another picture, the same picture or text again) is no negative.

    Parameters
    ----------
    images
        Relaxed codes (b, bits).
    texts
        Those of their captions, (b, bits).
    positive
        bool (b, b), as in a `Batch`.
    weights
        How much each pair counts, (b,).
    temperature
        What cosines are divided by.

    Returns
    -------
    Tensor
        A scalar, a sum over 2 b anchors.
    """
    codes = normalize(torch.cat([images, texts]), dim=1)
    shared = positive | positive.T  # of one picture, or with one caption
    left_out = torch.cat([torch.cat([shared, positive], 1), torch.cat([positive.T, shared], 1)])
    anchors = torch.arange(len(codes), device=codes.device)
    partner = anchors.roll(len(images))
    left_out[anchors, partner] = False
    logits = codes @ codes.T / temperature
    each = logits.masked_fill(left_out, -torch.inf).logsumexp(1) - logits[anchors, partner]
    return (weights.repeat(2) * each).sum()


def quantisation(images: Tensor, texts: Tensor) -> Tensor:
    """Return L_Q: squared distances to the signs of both modalities' mean, added up."""
    signs = torch.where(images.detach() + texts.detach() >= 0, 1.0, -1.0)
    return ((signs - images) ** 2).sum() + ((signs - texts) ** 2).sum()


def penalty(judge: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Return the mean of (length of the gradient less 1) squared at some points (n, width)."""
    points = points.detach().requires_grad_()
    (slopes,) = torch.autograd.grad(judge(points).sum(), points, create_graph=True)
    lengths = torch.sqrt((slopes**2).sum(1) + _TINY)
    return ((lengths - 1) ** 2).mean()


def judge_loss(
    judge: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, between: Tensor, share: float
) -> Tensor:
    """Return L_D: real pairs are to be told from fake ones by a function that is not too steep.

    Parameters
    ----------
    judge
        Logits (n,) of pairs (n, width).
    real
        Right pairs.
    fake
        Wrong ones, of the same shape.
    between
        0 to 1, of the same shape: where the gradient is looked at, value by value.
    share
        The weight of the gradient penalty.

    Returns
    -------
    Tensor
        A scalar.
    """
    told = -logsigmoid(judge(real)).mean() - logsigmoid(-judge(fake)).mean()
    return told + share * penalty(judge, between * real + (1 - between) * fake)


def weigh(weighting: str, sure: Tensor, threshold: Tensor) -> Tensor:
    """Return weights of pairs.

    Parameters
    ----------
    weighting
        ``nw`` how sure the discriminator is, ``ew`` that to the third power, ``dw`` 1 above
        the threshold and 0 elsewhere, ``ones`` 1.
    sure
        Probabilities (b,).
    threshold
        A scalar.

    Returns
    -------
    Tensor
        (b,).
    """
    if weighting == "nw":
        return sure
    if weighting == "ew":
        return sure**3
    if weighting == "dw":
        return (sure > threshold).to(sure.dtype)
    return torch.ones_like(sure)
