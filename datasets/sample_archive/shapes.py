"""Shapes that several kinds of scene share: rectangles, curves, roofs, roads, cars."""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from .canvas import Layer, Point
from .noise import SIZE, Colour

Frame = Callable[[float, float], Point]

ASPHALT: Colour = (98, 98, 100)
CONCRETE: Colour = (176, 172, 164)
PAINT: Colour = (226, 226, 220)
CAR_COLOURS: tuple[Colour, ...] = (
    (228, 228, 226),
    (198, 200, 204),
    (58, 60, 66),
    (120, 124, 130),
    (150, 40, 38),
    (52, 76, 128),
    (236, 234, 228),
    (36, 38, 44),
    (110, 96, 78),
)


def frame(x: float, y: float, angle: float) -> Frame:
    """Return the map from (along, across) around a point to the picture."""
    c, s = math.cos(angle), math.sin(angle)
    return lambda u, v: (x + u * c - v * s, y + u * s + v * c)


def box(x: float, y: float, length: float, width: float, angle: float) -> list[Point]:
    """Return a turned rectangle around its middle."""
    at = frame(x, y, angle)
    a, b = length / 2, width / 2
    return [at(-a, -b), at(a, -b), at(a, b), at(-a, b)]


def curve(points: Sequence[Point], pieces: int = 14) -> list[Point]:
    """Return a smooth line (Catmull-Rom) through the points."""
    padded = [points[0], *points, points[-1]]
    out: list[Point] = []
    for i in range(1, len(padded) - 2):
        p = np.asarray(padded[i - 1 : i + 3], float)
        for t in np.arange(pieces) / pieces:
            q = 0.5 * (
                2 * p[1]
                + (p[2] - p[0]) * t
                + (2 * p[0] - 5 * p[1] + 4 * p[2] - p[3]) * t**2
                + (3 * p[1] - p[0] - 3 * p[2] + p[3]) * t**3
            )
            out.append((float(q[0]), float(q[1])))
    return [*out, points[-1]]


def shifted(points: Sequence[Point], by: float) -> list[Point]:
    """Return a polyline moved sideways, to the right of its direction for a positive distance."""
    p = np.asarray(points, float)
    step = np.gradient(p, axis=0)
    step /= np.linalg.norm(step, axis=1, keepdims=True) + 1e-9
    moved = p + by * np.stack([-step[:, 1], step[:, 0]], axis=1)
    return [(float(x), float(y)) for x, y in moved]


def road(
    layer: Layer,
    points: Sequence[Point],
    width: float,
    colour: Colour = ASPHALT,
    height: float = 0.0,
) -> None:
    """Draw a road with a pale verge and, if wide enough, edge lines and a broken middle line."""
    if not height:
        layer.line(points, width + 2.5, (150, 144, 130))
    layer.line(points, width, colour, height)
    if width >= 6:
        for side in (-1, 1):
            layer.line(shifted(points, side * (width / 2 - 0.9)), 0.45, PAINT)
        layer.dashes(points, 4.0, 0.5, PAINT)


def roof(
    layer: Layer,
    rect: tuple[float, float, float, float, float],
    colour: Colour,
    height: float,
    hipped: bool = False,
) -> None:
    """Draw a pitched roof over (x, y, length, width, angle), its sunny side brighter."""
    x, y, length, width, angle = rect
    at = frame(x, y, angle)
    a, b = length / 2, width / 2
    inset = b if hipped else 0.0
    ridge = (at(-a + inset, 0), at(a - inset, 0))
    layer.cast(box(x, y, length, width, angle), height)
    faces: list[tuple[list[Point], Point]] = [
        ([at(-a, -b), at(a, -b), ridge[1], ridge[0]], (0, -1)),
        ([at(-a, b), at(a, b), ridge[1], ridge[0]], (0, 1)),
    ]
    if hipped:
        faces.append(([at(-a, -b), at(-a, b), ridge[0]], (-1, 0)))
        faces.append(([at(a, -b), at(a, b), ridge[1]], (1, 0)))
    for points, (u, v) in faces:
        nx, ny = frame(0, 0, angle)(u, v)
        reach = math.hypot(*layer.throw) + 1e-9
        facing = -(nx * layer.throw[0] + ny * layer.throw[1]) / reach
        layer.polygon(points, colour, 0.0, 0.92 + 0.24 * facing)
    layer.line(ridge, 0.4, (colour[0] * 0.8, colour[1] * 0.8, colour[2] * 0.8))


def car(layer: Layer, place: Point, angle: float, colour: Colour, length: float = 9.0) -> None:
    """Draw a car with its windows."""
    x, y = place
    width = length * 0.44
    layer.polygon(box(x, y, length, width, angle), colour, length * 0.28)
    if length < 5:
        return
    at = frame(x, y, angle)
    for start, end in ((0.10, 0.24), (-0.40, -0.30)):
        layer.polygon(
            [
                at(start * length, -width * 0.4),
                at(end * length, -width * 0.36),
                at(end * length, width * 0.36),
                at(start * length, width * 0.4),
            ],
            (48, 54, 62),
        )


def pick(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """Return one of the colours, slightly varied."""
    colour = colours[int(rng.integers(len(colours)))]
    return vary(rng, colour)


def vary(rng: np.random.Generator, colour: Colour, by: float = 0.07) -> Colour:
    """Return a colour a little lighter or darker and a little off."""
    light = 1 + rng.uniform(-by, by)
    r, g, b = (float(c * light + rng.uniform(-4, 4)) for c in colour)
    return r, g, b


def inside(points: Sequence[Point], margin: float = 0.0) -> bool:
    """Whether all points lie inside the picture."""
    return all(margin <= x <= SIZE - margin and margin <= y <= SIZE - margin for x, y in points)


def scattered(rng: np.random.Generator, count: int, gap: float, margin: float) -> list[Point]:
    """Return up to `count` random points at least `gap` apart and `margin` from the edge."""
    return spaced(rng.uniform(margin, SIZE - margin, (count * 12, 2)), gap)[:count]


def spaced(points: Iterable[Sequence[float]], gap: float) -> list[Point]:
    """Return those points, in order, that keep a distance from all kept before them."""
    found: list[Point] = []
    for x, y in points:
        if all((x - a) ** 2 + (y - b) ** 2 >= gap * gap for a, b in found):
            found.append((float(x), float(y)))
    return found


def steps(start: float, stop: float, step: float) -> list[float]:
    """Return the numbers from `start` by `step`, below `stop`."""
    return [start + i * step for i in range(max(0, math.ceil((stop - start) / step)))]
