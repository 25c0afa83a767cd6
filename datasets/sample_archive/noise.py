"""Noise and relief: what makes ground, water and woods look like more than flat colour.

Every function works on the grid of the finished picture, `SIZE` x `SIZE` pixels, row 0 in the
north. Fields of noise have mean 0 and standard deviation 1.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

SIZE = 256
Array = npt.NDArray[np.floating[Any]]
Colour = tuple[float, float, float]

_ROWS, _COLUMNS = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) + np.float32(0.5)


def grid() -> tuple[Array, Array]:
    """Return x (to the east) and y (to the south) of every pixel's middle, in pixels."""
    return _COLUMNS, _ROWS


def along(angle: float) -> tuple[Array, Array]:
    """Return coordinates from the centre, along and across an angle from east to south."""
    x, y = _COLUMNS - SIZE / 2, _ROWS - SIZE / 2
    c, s = math.cos(angle), math.sin(angle)
    return x * c + y * s, y * c - x * s


def fractal(rng: np.random.Generator, cell: float, octaves: int = 5, gain: float = 0.55) -> Array:
    """Return fractal value noise whose largest blobs are about `cell` pixels wide."""
    total = np.zeros((SIZE, SIZE), np.float32)
    for octave in range(octaves):
        size = cell / 2**octave
        if size < 1.5:
            total += gain**octave * rng.standard_normal((SIZE, SIZE), dtype=np.float32)
            break
        total += np.float32(gain**octave) * _octave(rng, size)
    return standard(total)


def _octave(rng: np.random.Generator, cell: float) -> Array:
    """Return one octave: random values on a coarse grid, smoothly enlarged."""
    need = math.ceil(SIZE / cell) + 4
    coarse = Image.fromarray(rng.standard_normal((need, need), dtype=np.float32))
    left, top = 1 + rng.random(), 1 + rng.random()
    box = (left, top, left + SIZE / cell, top + SIZE / cell)
    return np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box), np.float32)


def standard(field: Array) -> Array:
    """Return the field with mean 0 and standard deviation 1."""
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), np.float32)


def ridged(rng: np.random.Generator, cell: float, octaves: int = 5) -> Array:
    """Return noise with sharp crests, as mountains and dunes have."""
    total = np.zeros((SIZE, SIZE), np.float32)
    weight = np.ones((SIZE, SIZE), np.float32)
    for octave in range(octaves):
        size = cell / 2**octave
        if size < 2:
            break
        crest = np.clip(1 - np.abs(_octave(rng, size)), 0, 1) ** 2
        total += weight * crest * np.float32(0.5**octave)
        weight = np.clip(crest * 1.6, 0, 1)
    return standard(total)


def smoothstep(field: Array, low: float, high: float) -> Array:
    """Return 0 below `low`, 1 above `high` and a smooth rise between."""
    t = np.clip((field - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def mix(first: Array | Colour, second: Array | Colour, share: Array) -> Array:
    """Return colours between `first` (share 0) and `second` (share 1), shape (SIZE, SIZE, 3)."""
    a, b = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return np.asarray(a + (b - a) * np.clip(share, 0, 1)[..., None], np.float32)


def ramp(colours: list[Colour], position: Array) -> Array:
    """Return the colour scale `colours`, read at positions from 0 to 1."""
    stops = np.linspace(0, 1, len(colours))
    table = np.asarray(colours, np.float32)
    channels = [np.interp(position, stops, table[:, i]) for i in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def hillshade(height: Array, shadow: tuple[float, float], strength: float) -> Array:
    """Return brightness around 1 of a relief lit from the side away from the shadows."""
    dy, dx = np.gradient(height)
    slope = dx * shadow[0] + dy * shadow[1]
    return np.asarray(1 + np.tanh(-slope * strength) * 0.6, np.float32)


def blur(field: Array, radius: float) -> Array:
    """Return a single-channel field, smoothed."""
    image = Image.fromarray(np.clip(field * 255, 0, 255).astype(np.uint8))
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32)
    return soft / np.float32(255)
