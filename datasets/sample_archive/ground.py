"""Natural ground: grass, soil, sand, water and the crowns of trees."""

import math

import numpy as np

from .canvas import Canvas
from .noise import SIZE, Array, Colour, blur, fractal, hillshade, mix, ramp, smoothstep

GREENS: tuple[Colour, ...] = ((62, 84, 44), (74, 96, 52), (54, 76, 46), (84, 102, 58))
CONIFERS: tuple[Colour, ...] = ((38, 60, 40), (44, 68, 46), (34, 54, 38))
AUTUMN: tuple[Colour, ...] = ((150, 96, 44), (168, 118, 50), (128, 72, 40), (92, 98, 50))


def grass(rng: np.random.Generator, green: Colour = (104, 122, 70), dry: float = 0.4) -> Array:
    """Return grassland: green with drier patches."""
    r, g, b = green
    patches = smoothstep(fractal(rng, 70, 5), -1.2 + (1 - dry), 2.4)
    base = mix((r, g, b), (r * 1.32 + 16, g * 1.16 + 8, b * 1.12), patches * dry * 1.6)
    return shaken(rng, base, 0.075, 7)


def earth(rng: np.random.Generator, colour: Colour, contrast: float = 0.10) -> Array:
    """Return bare ground of one colour, mottled."""
    base = np.ones((SIZE, SIZE, 3), np.float32) * np.asarray(colour, np.float32)
    return shaken(rng, shaken(rng, base, contrast, 60), contrast * 0.5, 6)


def shaken(rng: np.random.Generator, colours: Array, amount: float, cell: float) -> Array:
    """Return colours made lighter and darker by noise."""
    light = 1 + np.float32(amount) * fractal(rng, cell, 5, 0.7)
    return np.asarray(colours * light[..., None], np.float32)


def water(
    rng: np.random.Generator, deep: Colour, shallow: Colour, depth: Array, wind: float = 0.6
) -> Array:
    """Return water whose colour follows `depth` (0 at the shore, 1 far out), with ripples."""
    base = mix(shallow, deep, depth + 0.06 * fractal(rng, 60, 4))
    ripples = fractal(rng, 5, 3, 0.7)
    glitter = smoothstep(ripples, 1.6, 3.2) * wind
    base = base * (1 + 0.035 * wind * ripples + 0.03 * fractal(rng, 110, 3))[..., None]
    return mix(np.asarray(base, np.float32), (216, 222, 222), glitter * 0.35)


def crowns(
    canvas: Canvas, trees: Array, palette: tuple[Colour, ...] = GREENS, tall: float = 0.9
) -> None:
    """Paint trees given as rows of (x, y, radius), lit and with their shadows.

    The crowns are domes of one relief, so that trees which touch grow into each other as in a
    wood; the shadow is the relief's outline moved away from the sun.
    """
    if not len(trees):
        return
    rng = canvas.rng
    relief = np.zeros((SIZE, SIZE), np.float32)
    tone = np.zeros((SIZE, SIZE), np.float32)
    for (x, y, radius), shade in zip(trees, rng.random(len(trees)), strict=True):
        _dome(relief, tone, (float(x), float(y), float(radius)), float(shade))
    lumps = relief + 0.10 * relief * fractal(rng, 5, 3, 0.8)
    share = smoothstep(relief, 0.25, 1.1)
    mean = float(np.mean(trees[:, 2]))
    reach = mean * tall
    canvas.shade(blur(_moved(share, (canvas.throw[0] * reach, canvas.throw[1] * reach)), 0.7) * 0.9)
    light = hillshade(lumps, canvas.shadow, 0.62) * (1 + 0.06 * fractal(rng, 3, 2))
    colours = ramp(list(palette), tone) * light[..., None]
    canvas.cover(np.asarray(colours * 0.98, np.float32), share)


def _dome(relief: Array, tone: Array, tree: tuple[float, float, float], shade: float) -> None:
    """Raise one crown in the relief."""
    x, y, radius = tree
    left, right = max(0, math.floor(x - radius)), min(SIZE, math.ceil(x + radius) + 1)
    top, bottom = max(0, math.floor(y - radius)), min(SIZE, math.ceil(y + radius) + 1)
    if left >= right or top >= bottom:
        return
    dx = np.arange(left, right, dtype=np.float32) + 0.5 - x
    dy = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - y
    height = np.sqrt(np.maximum(radius * radius - dx * dx - dy * dy, 0))
    window = relief[top:bottom, left:right]
    higher = height > window
    window[higher] = height[higher]
    tone[top:bottom, left:right][higher] = shade


def _moved(field: Array, by: tuple[float, float]) -> Array:
    """Return a field moved by whole pixels, smeared on its way, 0 coming in."""
    out = np.zeros_like(field)
    steps = max(1, round(math.hypot(*by) / 2))
    for i in range(1, steps + 1):
        dx, dy = round(by[0] * i / steps), round(by[1] * i / steps)
        source = field[max(0, -dy) : SIZE - max(0, dy), max(0, -dx) : SIZE - max(0, dx)]
        target = out[max(0, dy) : SIZE + min(0, dy), max(0, dx) : SIZE + min(0, dx)]
        np.maximum(target, source, out=target)
    return out


def wood(rng: np.random.Generator, where: Array, gap: float, sizes: tuple[float, float]) -> Array:
    """Return trees (x, y, radius) on a jittered grid wherever `where` is above 0.5."""
    steps = np.arange(-gap, SIZE + gap, gap)
    x, y = np.meshgrid(steps, steps)
    x = (x + rng.uniform(-0.5, 0.5, x.shape) * gap).ravel()
    y = (y + rng.uniform(-0.5, 0.5, y.shape) * gap).ravel()
    column = np.clip(x, 0, SIZE - 1).astype(int)
    row = np.clip(y, 0, SIZE - 1).astype(int)
    keep = where[row, column] > 0.5
    radius = rng.uniform(*sizes, x.shape)
    return np.asarray(np.stack([x, y, radius], axis=1)[keep], np.float32)
