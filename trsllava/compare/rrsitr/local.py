"""RRSITR's local similarity: word pieces against the cells of a picture's deepest map.

The authors take the Frobenius norm of the cosines A (pieces, cells). Here real pieces alone count
and their squares are averaged, so that a longer caption gains nothing by its length.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from trsllava.compare.batches import Texts, Training
from trsllava.compare.features import Shapes

_TINY = 1e-6
_SAMPLE = 20_000  # word pieces that means and axes are taken from


class Local(nn.Module):
    """Cells and word pieces in one space of ``width`` dimensions."""

    cell_mean: Tensor
    cell_spread: Tensor
    piece_mean: Tensor

    def __init__(self, shapes: Shapes, width: int) -> None:
        super().__init__()
        self.register_buffer("cell_mean", torch.zeros(shapes.channels))
        self.register_buffer("cell_spread", torch.ones(shapes.channels))
        self.register_buffer("piece_mean", torch.zeros(shapes.token))
        self.cell = nn.Linear(shapes.channels, width)
        self.piece = nn.Linear(shapes.token, width)

    def start(self, training: Training, ridge: float) -> None:
        """Start from closed forms.

        Pieces go to their main axes; cells to where a ridge regression puts the mean of the
        picture's pieces on those axes.
        """
        words, pairs = training.texts, training.pairs
        every = max(1, len(words.tokens) // _SAMPLE)
        sample = torch.from_numpy(words.tokens[::every]).float()
        self.piece_mean.copy_(sample.mean(0))
        sample = sample - self.piece_mean
        axes = torch.linalg.eigh(sample.T @ sample / len(sample)).eigenvectors.flip(1)
        width = self.piece.out_features
        weight = torch.zeros_like(self.piece.weight)
        weight[: axes.shape[1]] = axes[:, :width].T
        self.piece.weight.data.copy_(weight)
        nn.init.zeros_(self.piece.bias)

        means = torch.from_numpy(_means(words.tokens, words.starts)) - self.piece_mean
        rows = torch.unique(torch.from_numpy(pairs.image))
        image = torch.from_numpy(pairs.image)
        goal = torch.zeros(len(pairs.images), width)
        goal.index_add_(0, image, means[pairs.text] @ self.piece.weight.data.T)
        count = torch.bincount(image, minlength=len(pairs.images)).clamp(min=1)
        goal = (goal / count[:, None])[rows]
        cells = torch.from_numpy(training.views[0].maps[rows.numpy(), -1]).float()
        flat = cells.flatten(0, 1)
        self.cell_mean.copy_(flat.mean(0))
        self.cell_spread.copy_(flat.std(0) + _TINY)
        z = (flat - self.cell_mean) / self.cell_spread
        wanted = goal.repeat_interleave(cells.shape[1], 0)
        square = z.T @ z + ridge * torch.eye(z.shape[1])
        self.cell.weight.data.copy_(torch.linalg.solve(square, z.T @ wanted).T)
        nn.init.zeros_(self.cell.bias)

    def cells(self, maps: Tensor) -> Tensor:
        """Return unit vectors (n, cells, width) of maps (n, depths, cells, channels)."""
        return normalize(self.cell((maps[:, -1] - self.cell_mean) / self.cell_spread), dim=2)

    def pieces(self, texts: Texts) -> Tensor:
        """Return unit vectors (n, longest, width), zeros behind a text's end."""
        found = normalize(self.piece(texts.tokens - self.piece_mean), dim=2)
        return found * texts.real[:, :, None]


def moments(vectors: Tensor, count: Tensor | None = None) -> Tensor:
    """Return each item's sum of outer products, divided by ``count`` (n,) if given, flattened.

    With V (cells, width) and T (pieces, width) the squared Frobenius norm of T V' is the dot
    product of T'T and V'V, so a matrix of norms is one matrix product of these.
    """
    outer = vectors.transpose(1, 2) @ vectors
    if count is not None:
        outer = outer / count.clamp(min=1)[:, None, None]
    return outer.flatten(1)


def local_similarity(cells: Tensor, pieces: Tensor, real: Tensor) -> Tensor:
    """Return S (pictures, texts): the norm of the cosines, squares averaged over real pieces.

    Parameters
    ----------
    cells
        Unit vectors (pictures, cells, width).
    pieces
        Unit vectors (texts, longest, width), zeros where nothing is.
    real
        Which pieces are, bool (texts, longest).

    Returns
    -------
    Tensor
        (pictures, texts), 0 to the root of the number of cells.
    """
    squares = moments(cells) @ moments(pieces, real.sum(1)).T
    return torch.sqrt(squares.clamp(min=0) + _TINY)


def _means(tokens: NDArray[np.float16], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean word piece of each text, zeros for a text without any."""
    sums = np.zeros((len(starts) - 1, tokens.shape[1]), np.float32)
    counts = np.diff(starts)
    owner = np.repeat(np.arange(len(counts)), counts)
    np.add.at(sums, owner, tokens.astype(np.float32))
    return np.asarray(sums / np.maximum(counts, 1)[:, None], np.float32)
