"""Projection heads on frozen global vectors, shared by the systems.

Both end in the space of the backbone's texts: the text head starts as the identity, the image head
as the ridge regression from pictures to the mean of their captions, in closed form. A hidden layer
beside each straight way starts near zero and is what contrast fills.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trsllava.compare.batches import Training
from trsllava.compare.features import Shapes

_LENGTH = 30.0  # of standardised vectors, so that one ridge suits all backbones


class Head(nn.Module):
    """Global vectors (n, width) in, vectors (n, out) out, not of unit length."""

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int, out: int, hidden: int, drop: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.straight = nn.Linear(width, out, bias=False)
        self.wide = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, out)
        nn.init.normal_(self.narrow.weight, std=1e-3)
        nn.init.zeros_(self.narrow.bias)
        self.drop = nn.Dropout(drop)

    def standard(self, vectors: Tensor) -> Tensor:
        """Return vectors less their mean, every channel on one scale."""
        return (vectors - self.mean) / self.spread

    def forward(self, vectors: Tensor) -> Tensor:
        """Project a batch."""
        z = self.drop(self.standard(vectors))
        found: Tensor = self.straight(z) + self.narrow(self.drop(functional.gelu(self.wide(z))))
        return found


class Heads(nn.Module):
    """The image head and the text head.

    Parameters
    ----------
    shapes
        The backbone's sizes.
    hidden
        The width of both hidden layers.
    drop
        Dropout of the image head, on its input and its hidden layer.
    text_drop
        Dropout of the text head.
    """

    def __init__(self, shapes: Shapes, hidden: int, drop: float, text_drop: float) -> None:
        super().__init__()
        self.image = Head(shapes.image, shapes.text, hidden, drop)
        self.text = Head(shapes.text, shapes.text, hidden, text_drop)

    def start(self, training: Training, ridge: float) -> None:
        """Set means, scales and the straight ways from all pairs, in closed form."""
        pairs = training.pairs
        rows = torch.unique(torch.from_numpy(pairs.image))
        summary = torch.from_numpy(training.texts.summary)
        own = summary[pairs.text]
        self.text.mean.copy_(own.mean(0))
        # One scale for all channels: cosines of the text encoder are kept.
        self.text.spread.fill_(float((own - self.text.mean).norm(dim=1).mean()) + 1e-9)
        self.text.straight.weight.data.copy_(torch.eye(summary.shape[1]))

        count = torch.zeros(len(pairs.images)).index_add_(
            0, torch.from_numpy(pairs.image), torch.ones(len(pairs))
        )
        goal = torch.zeros(len(pairs.images), summary.shape[1])
        goal.index_add_(0, torch.from_numpy(pairs.image), self.text.standard(own))
        goal = goal[rows] / count[rows, None]
        views = [torch.from_numpy(view.summary)[rows] for view in training.views]
        self.image.mean.copy_(views[0].mean(0))
        spread = views[0].std(0) + 1e-6
        length = ((views[0] - self.image.mean) / spread).norm(dim=1).mean()
        self.image.spread.copy_(spread * length / _LENGTH)
        self.image.straight.weight.data.copy_(_ridge(self.image, views, goal, ridge))

    def groups(self) -> list[dict[str, Any]]:
        """Return parameter groups, as `decaying` does."""
        return decaying(self)


def decaying(module: nn.Module) -> list[dict[str, Any]]:
    """Return AdamW's parameter groups: matrices decay, biases and scales do not."""
    return [
        {"params": [p for p in module.parameters() if p.ndim > 1]},
        {"params": [p for p in module.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _ridge(head: Head, views: list[Tensor], goal: Tensor, ridge: float) -> Tensor:
    """Return the weights (out, width) of the ridge regression over all views."""
    width = views[0].shape[1]
    square = ridge * torch.eye(width)
    product = torch.zeros(width, goal.shape[1])
    for view in views:
        z = head.standard(view)
        square += z.T @ z
        product += z.T @ goal
    weights: Tensor = torch.linalg.solve(square, product)
    return weights.T
