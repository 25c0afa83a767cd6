"""CHNR's networks on frozen global vectors: two hash networks and the discriminator of pairs."""

import torch
from torch import Tensor, nn

_LAYERS = 3  # of the discriminator, before the last one
_TINY = 1e-9


class Standard(nn.Module):
    """Vectors less one number, divided by one number: a whole matrix on one scale.

    By the paper; cosines between vectors of one scale are hardly changed, and no channel is lifted.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def fit(self, vectors: Tensor) -> None:
        """Take mean and deviation over all values of a matrix."""
        self.mean.copy_(vectors.mean())
        self.spread.copy_(vectors.std() + _TINY)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return vectors of the same shape."""
        return (vectors - self.mean) / self.spread


class HashNetwork(nn.Module):
    """Standardised vectors (n, width) in, relaxed codes (n, bits) between -1 and 1 out."""

    def __init__(self, width: int, hidden: int, bits: int) -> None:
        super().__init__()
        self.wide = nn.Linear(width, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.narrow = nn.Linear(hidden, bits)

    def forward(self, vectors: Tensor) -> Tensor:
        """Project a batch."""
        return torch.tanh(self.narrow(torch.relu(self.norm(self.wide(vectors)))))


class Discriminator(nn.Module):
    """Says how sure it is that a picture and a text belong together.

    Parameters
    ----------
    width
        Of a picture's and a text's vector, one behind the other.
    hidden
        Of each of the three layers; the paper takes ``width``.
    drop
        Dropout behind each of them.
    """

    def __init__(self, width: int, hidden: int, drop: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(_LAYERS):
            layers.append(nn.Linear(width if number == 0 else hidden, hidden))
            layers += [nn.ReLU(), nn.Dropout(drop)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, 1))

    def forward(self, joined: Tensor) -> Tensor:
        """Return logits (n,) of vectors (n, width)."""
        found: Tensor = self.layers(joined)
        return found.squeeze(1)
