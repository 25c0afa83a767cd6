"""The picture's vector: scales 1 to 3 added to the deepest, and a gate on the sum.

The paper trains the tower, so what a scale is matched by reaches the vector that retrieval goes by.
Here the tower is frozen, and a trained layer on each map stands for it: both read its output.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize

from trsllava.compare.batches import Training
from trsllava.compare.features import Shapes

_TINY = 1e-6


class Scales(nn.Module):
    """What is seen at each depth but the last: maps (n, depths, cells, channels) in."""

    mean: Tensor
    spread: Tensor

    def __init__(self, shapes: Shapes, width: int, drop: float) -> None:
        super().__init__()
        size = (shapes.depths - 1, shapes.channels)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))
        self.stages = nn.ModuleList(nn.Linear(shapes.channels, width) for _ in range(size[0]))
        self.drop = nn.Dropout(drop)

    def start(self, training: Training) -> None:
        """Set means and spreads from the pictures that pairs are of."""
        rows = torch.unique(torch.from_numpy(training.pairs.image)).numpy()
        pooled = _pooled(torch.from_numpy(training.views[0].maps[rows]).float())
        self.mean.copy_(pooled.mean(0))
        self.spread.copy_(pooled.std(0) + _TINY)

    def forward(self, maps: Tensor) -> list[Tensor]:
        """Return x_s (n, width) of each scale but the last."""
        z = self.drop((_pooled(maps) - self.mean) / self.spread)
        return [gelu(stage(z[:, s])) for s, stage in enumerate(self.stages)]


class PictureVector(nn.Module):
    """v = L2(e * sigmoid(att(e))), e = head(global vector) + sum of fc_s(x_s).

    ``fc_s`` and ``att`` start at zero, where v has the direction of the head's output.
    """

    def __init__(self, out: int, scales: int, width: int) -> None:
        super().__init__()
        self.joins = nn.ModuleList(nn.Linear(width, out) for _ in range(scales))
        self.gate = nn.Linear(out, out)
        for part in (*self.joins, self.gate):
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)

    def forward(self, deepest: Tensor, others: list[Tensor]) -> Tensor:
        """Return unit vectors (n, out) of the head's output (n, out) and x_1, x_2, ..."""
        e = deepest
        for join, x in zip(self.joins, others, strict=True):
            e = e + join(x)
        return normalize(e * torch.sigmoid(self.gate(e)), dim=1)


def _pooled(maps: Tensor) -> Tensor:
    """Return the maximum over cells (n, depths - 1, channels) of all maps but the deepest."""
    return maps[:, :-1].amax(2)
