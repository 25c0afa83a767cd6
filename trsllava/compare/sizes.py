"""The sizes that the features of all backbones have in common, and how a map gets them."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

GRID = 4  # cells along a side of every map
CELLS = GRID * GRID
CHANNELS = 128
DEPTHS = 4
PIECES = 64  # word pieces that are kept of a text


def mixing(channels: int, depth: int) -> NDArray[np.float32]:
    """Return the fixed random matrix (channels, `CHANNELS`) that brings a map to one width.

    Distances are kept in expectation (Johnson and Lindenstrauss), and no picture need be seen
    first. The generator is numpy's old one, whose stream never changes.
    """
    draw = np.random.RandomState(7919 + depth).standard_normal((channels, CHANNELS))
    return np.asarray(draw / np.sqrt(CHANNELS), np.float32)


def cells(layer: "Tensor", matrix: "Tensor") -> "Tensor":
    """Return a layer (n, channels, height, width) as a map (n, `CELLS`, `CHANNELS`).

    ``matrix`` is what `mixing` gives.
    """
    from torch.nn.functional import adaptive_avg_pool2d

    return adaptive_avg_pool2d(layer, GRID).flatten(2).transpose(1, 2) @ matrix
