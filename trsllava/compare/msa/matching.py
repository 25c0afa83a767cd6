"""MSCMAT: how well each picture of a batch matches each text, at each scale.

A picture is one query, a text's word pieces are keys and values. What attention gives (pictures,
texts, width) is never laid out, for the match is linear in it: with g = w * q the share of a head
is a sum over pieces of weight times (g O_h) . V, and both factors are one matrix product of all
queries and the pieces of all texts.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trsllava.compare.features import Shapes

_NEVER = -1e9  # no infinity: a text without any piece would be no number


class ScaleMatching(nn.Module):
    """M (pictures, texts) = sigmoid(w . ((c + t) * q) + b).

    q = W x; c is what the query LN(q) attends to among LN(T), by multi-head attention.

    Parameters
    ----------
    size
        The length of x.
    width
        That of q, of word pieces and of t; a multiple of ``heads``.
    heads
        Heads of the attention.
    """

    def __init__(self, size: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(size, width)
        self.query_norm = nn.LayerNorm(width)
        self.piece_norm = nn.LayerNorm(width)
        self.asked = nn.Linear(width, width)
        self.keys = nn.Linear(width, width)
        self.values = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.match = nn.Linear(width, 1)

    def forward(self, x: Tensor, pieces: Tensor, real: Tensor, whole: Tensor) -> Tensor:
        """Match every picture with every text.

        Parameters
        ----------
        x
            Pictures at this scale, (b, size).
        pieces
            Word pieces T (t, longest, width); what lies behind a text's end has no influence.
        real
            Which pieces are, bool (t, longest); a text without any is matched by ``whole`` alone.
        whole
            The texts' global vectors (t, width).

        Returns
        -------
        Tensor
            (b, t), from 0 to 1.
        """
        q = self.query(x)
        asked = self._split(self.asked(self.query_norm(q)))
        texts = self.piece_norm(pieces).flatten(0, 1)
        keys, values = self._split(self.keys(texts)), self._split(self.values(texts))
        shape = (self.heads, len(x), *real.shape)
        logits = (asked * asked.shape[2] ** -0.5 @ keys.transpose(1, 2)).view(shape)
        weights = (logits + _NEVER * ~real).softmax(3)
        g = self.match.weight * q
        said = (self._split(g @ self.out.weight) @ values.transpose(1, 2)).view(shape)
        attended = (weights * said).sum((0, 3)) + (g @ self.out.bias)[:, None]
        return torch.sigmoid(attended * real.any(1) + g @ whole.T + self.match.bias)

    def _split(self, vectors: Tensor) -> Tensor:
        """Return vectors (n, width) by head, (heads, n, width / heads)."""
        return vectors.view(len(vectors), self.heads, -1).transpose(0, 1)


class Matching(nn.Module):
    """All scales: word pieces and global vectors are brought to one width once, for all of them.

    Parameters
    ----------
    sizes
        The length of x at each scale.
    shapes
        The backbone's sizes.
    width
        Of queries, keys and values.
    heads
        Heads of the attention.
    """

    def __init__(self, sizes: Sequence[int], shapes: Shapes, width: int, heads: int) -> None:
        super().__init__()
        self.pieces = nn.Linear(shapes.token, width)
        self.whole = nn.Linear(shapes.text, width)
        self.scales = nn.ModuleList(ScaleMatching(size, width, heads) for size in sizes)

    def forward(
        self, found: Sequence[Tensor], pieces: Tensor, real: Tensor, whole: Tensor
    ) -> list[Tensor]:
        """Return M (pictures, texts) of each scale.

        ``found`` holds x of each scale, (b, its size); ``pieces`` (t, longest, token), ``real``
        bool (t, longest) and ``whole`` (t, text) are the texts'.
        """
        words, texts = self.pieces(pieces), self.whole(whole)
        pairs = zip(self.scales, found, strict=True)
        return [scale(x, words, real, texts) for scale, x in pairs]
