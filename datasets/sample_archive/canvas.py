"""The picture in the making: layers of anti-aliased shapes that cast shadows on the ground.

Shapes are drawn four times as large and reduced. Their colours are (red, green, blue) from 0 to
255, their coordinates and heights are pixels of the finished picture, y to the south.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from .noise import SIZE, Array, Colour, fractal

FACTOR = 4
Point = tuple[float, float]
_SHADE = np.asarray((0.36, 0.40, 0.50), np.float32)  # what is left of the light: the blue sky's


def _ink(colour: Colour, light: float = 1.0) -> tuple[int, int, int]:
    r, g, b = (min(255, max(0, round(c * light))) for c in colour)
    return r, g, b


class Layer:
    """Shapes at one level above the ground, each of which may have a height."""

    def __init__(self, throw: Point) -> None:
        side = SIZE * FACTOR
        self.throw = throw
        self.colour = Image.new("RGB", (side, side))
        self.mask = Image.new("L", (side, side))
        self.shadow = Image.new("L", (side, side))
        self._pens = [ImageDraw.Draw(i) for i in (self.colour, self.mask, self.shadow)]

    def polygon(
        self, points: Sequence[Point], colour: Colour, height: float = 0.0, light: float = 1.0
    ) -> None:
        """Fill a polygon; a height above 0 gives it a shadow on what lies below the layer."""
        scaled = [(x * FACTOR, y * FACTOR) for x, y in points]
        self._pens[0].polygon(scaled, fill=_ink(colour, light))
        self._pens[1].polygon(scaled, fill=255)
        if height:
            self.cast(points, height)

    def cast(self, points: Sequence[Point], height: float) -> None:
        """Add only the shadow of an upright prism over a polygon."""
        dx, dy = self.throw[0] * height * FACTOR, self.throw[1] * height * FACTOR
        scaled = [(x * FACTOR, y * FACTOR) for x, y in points]
        pen = self._pens[2]
        pen.polygon(scaled, fill=255)
        pen.polygon([(x + dx, y + dy) for x, y in scaled], fill=255)
        for (ax, ay), (bx, by) in zip(scaled, [*scaled[1:], scaled[0]], strict=True):
            pen.polygon([(ax, ay), (bx, by), (bx + dx, by + dy), (ax + dx, ay + dy)], fill=255)

    def disc(self, x: float, y: float, radius: float, colour: Colour, height: float = 0.0) -> None:
        """Fill a circle."""
        self.polygon(ellipse(x, y, radius, radius), colour, height)

    def line(
        self, points: Sequence[Point], width: float, colour: Colour, height: float = 0.0
    ) -> None:
        """Draw a line of constant width with round joints."""
        scaled = [(x * FACTOR, y * FACTOR) for x, y in points]
        thick = max(1, round(width * FACTOR))
        self._pens[0].line(scaled, fill=_ink(colour), width=thick, joint="curve")
        self._pens[1].line(scaled, fill=255, width=thick, joint="curve")
        if height:
            dx, dy = self.throw[0] * height * FACTOR, self.throw[1] * height * FACTOR
            moved = [(x + dx, y + dy) for x, y in scaled]
            self._pens[2].line(moved, fill=255, width=thick, joint="curve")

    def shade_line(self, points: Sequence[Point], width: float) -> None:
        """Draw a line of shadow only."""
        scaled = [(x * FACTOR, y * FACTOR) for x, y in points]
        self._pens[2].line(scaled, fill=255, width=max(1, round(width * FACTOR)))

    def dashes(self, points: Sequence[Point], dash: float, width: float, colour: Colour) -> None:
        """Draw a broken line along a polyline, dash and gap of equal length."""
        walked, on = 0.0, []
        for (ax, ay), (bx, by) in pairwise(points):
            length = math.hypot(bx - ax, by - ay)
            steps = max(1, round(length / (dash / 2)))
            for i in range(steps):
                if int(walked / dash) % 2 == 0:
                    on.append(
                        [
                            (ax + (bx - ax) * t / steps, ay + (by - ay) * t / steps)
                            for t in (i, i + 1)
                        ]
                    )
                walked += length / steps
        for piece in on:
            self.line(piece, width, colour)


def ellipse(x: float, y: float, a: float, b: float, angle: float = 0.0) -> list[Point]:
    """Return an ellipse with half axes `a` (along `angle`) and `b` as a polygon."""
    c, s = math.cos(angle), math.sin(angle)
    corners = 16 + int(max(a, b))
    turns = [2 * math.pi * i / corners for i in range(corners)]
    return [
        (
            x + a * math.cos(t) * c - b * math.sin(t) * s,
            y + a * math.cos(t) * s + b * math.sin(t) * c,
        )
        for t in turns
    ]


class Canvas:
    """The ground as float colours (SIZE, SIZE, 3), and the sun that everything shares."""

    def __init__(self, rng: np.random.Generator, shadow: Point, reach: float) -> None:
        self.rng = rng
        self.shadow = shadow  # unit vector in the direction that shadows fall
        self.throw = (shadow[0] * reach, shadow[1] * reach)  # per pixel of height
        self.rgb: Array = np.zeros((SIZE, SIZE, 3), np.float32)

    def layer(self) -> Layer:
        """Return an empty layer under this sun."""
        return Layer(self.throw)

    def add(
        self, layers: Layer | Iterable[Layer], grain: float = 0.04, opacity: float = 1.0
    ) -> None:
        """Lay layers on the picture: their shadows first, then their shapes with some grain."""
        for layer in [layers] if isinstance(layers, Layer) else layers:
            if layer.shadow.getbbox():
                self.shade(_reduced(layer.shadow, 0.5))
            alpha = _reduced(layer.mask)[..., None] * np.float32(opacity)
            colour = np.asarray(layer.colour.reduce(FACTOR), np.float32)
            texture = 1 + np.float32(grain) * fractal(self.rng, 12, 4, 0.8)[..., None]
            self.rgb = self.rgb * (1 - alpha) + colour * texture * np.float32(opacity)

    def shade(self, share: Array) -> None:
        """Darken by a share of shadow from 0 to 1."""
        self.rgb = self.rgb * (1 - share[..., None] * (1 - _SHADE))

    def cover(self, colours: Array, share: Array) -> None:
        """Lay colours (SIZE, SIZE, 3) over the picture where `share` is above 0."""
        self.rgb = self.rgb + (colours - self.rgb) * np.clip(share, 0, 1)[..., None]

    def finish(self) -> npt.NDArray[np.uint8]:
        """Return the pixels as a camera high above would give them: soft, hazy, a little noisy."""
        haze = np.asarray((150, 160, 172), np.float32)
        strength = np.float32(self.rng.uniform(0.03, 0.09))
        grey = self.rgb @ np.asarray((0.299, 0.587, 0.114), np.float32)
        rgb = self.rgb * 0.86 + grey[..., None] * np.float32(0.14)
        rgb = rgb * (1 - strength) + haze * strength
        rgb = rgb * (1 + 0.018 * fractal(self.rng, 150, 3))[..., None]
        rgb = rgb * np.asarray(1 + self.rng.uniform(-0.02, 0.02, 3), np.float32)
        image = Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))
        soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.45)), np.float32)
        noise = self.rng.standard_normal((SIZE, SIZE, 1), dtype=np.float32) * np.float32(2.0)
        return np.clip(soft + noise + 0.5, 0, 255).astype(np.uint8)


def _reduced(image: Image.Image, soft: float = 0.0) -> Array:
    small = image.reduce(FACTOR)
    if soft:
        small = small.filter(ImageFilter.GaussianBlur(soft))
    return np.asarray(small, np.float32) / np.float32(255)
