"""Painters of roads: a bridge over a river, a motorway interchange, a parking lot."""

import math

import numpy as np

from .canvas import Point
from .facts import Facts, Job, axis, heading, place
from .ground import crowns, earth, grass, water, wood
from .noise import SIZE, Array, Colour, along, blur, fractal, smoothstep
from .shapes import (
    ASPHALT,
    CAR_COLOURS,
    CONCRETE,
    PAINT,
    Frame,
    box,
    car,
    curve,
    frame,
    pick,
    road,
    shifted,
    steps,
    vary,
)


def river_bridge(job: Job) -> Facts:
    """Paint a river between fields or woods and a road bridge across it."""
    rng, canvas = job.rng, job.canvas
    angle = int(rng.integers(4)) * math.pi / 4 + rng.uniform(-0.15, 0.15)
    u, v = along(angle)
    phase, swing = rng.uniform(0, 6), rng.uniform(10, 22)
    half = rng.uniform(26, 38)
    bank = np.abs(v - swing * np.sin(u / 55 + phase) + 2.5 * fractal(rng, 40, 4)) - half
    canvas.cover(grass(rng, pick(rng, ((102, 118, 70), (116, 122, 74))), 0.5), np.ones_like(u))
    fields = smoothstep(fractal(rng, 120, 2), 0.1, 0.25) * smoothstep(bank, 22, 26)
    canvas.cover(earth(rng, (150, 130, 98)), fields * 0.7)
    canvas.cover(earth(rng, (158, 144, 112), 0.08), smoothstep(bank, 9, 3))
    murky: Colour = ((62, 84, 72), (84, 92, 70), (44, 74, 84), (96, 92, 72))[
        job.number("tint", 0, 3)
    ]
    lighter: Colour = (murky[0] * 1.3 + 8, murky[1] * 1.25 + 8, murky[2] * 1.2 + 6)
    canvas.cover(water(rng, murky, lighter, smoothstep(-bank, 0, 22)), smoothstep(bank, 0.8, -0.8))
    where = smoothstep(bank, 5, 8) * smoothstep(bank, 70, 20 + 10 * rng.random())
    where = where * smoothstep(fractal(rng, 34, 4), -0.5, 0.1)
    start = rng.uniform(-46, 46)
    clear = np.abs(u - start) > 13
    crowns(canvas, wood(rng, where * clear, 8, (3.0, 6.0)))
    bridges = job.number("bridges", 1, 1)
    cars = _bridge(job, angle, start, half)
    at = frame(SIZE / 2, SIZE / 2, angle)
    middle = at(start, swing * math.sin(start / 55 + phase))
    return Facts(
        "river_bridge",
        "river_bridge",
        {"bridges": bridges, "cars": cars},
        {"bridge": place(*middle)},
        {
            "water": ("dark green", "olive green", "grey blue", "brown")[
                (0 if murky[0] == 62 else 1 if murky[0] == 84 else 2 if murky[0] == 44 else 3)
            ]
        },
        {"axis_river": axis(angle), "axis_road": axis(angle + math.pi / 2)},
    )


def _bridge(job: Job, angle: float, start: float, half: float) -> int:
    """Lay the road and its bridge, and return how many cars stand on the road."""
    canvas, rng = job.canvas, job.rng
    at = frame(SIZE / 2, SIZE / 2, angle)
    low, high = canvas.layer(), canvas.layer()
    road(low, [at(start, -260), at(start, 260)], 9)
    canvas.add(low, 0.04)
    reach = half + 34
    deck = [
        at(start - 6.5, -reach),
        at(start + 6.5, -reach),
        at(start + 6.5, reach),
        at(start - 6.5, reach),
    ]
    high.polygon(deck, (190, 186, 176), 9.0)
    high.line([at(start, -reach - 2), at(start, reach + 2)], 10, (112, 112, 112))
    high.dashes([at(start, -reach), at(start, reach)], 4, 0.5, (226, 226, 220))
    for side in (-6, 6):
        high.line([at(start + side, -reach), at(start + side, reach)], 0.9, (214, 210, 200))
    cars = job.number("cars", 2, 6)
    for i in range(cars):
        lane = 2.4 if i % 2 else -2.4
        v = -100 + 200 * (i + rng.uniform(0.2, 0.8)) / cars
        car(high, at(start + lane, v), angle + math.pi / 2, pick(rng, CAR_COLOURS), 5.5)
    canvas.add(high, 0.03)
    return cars


def interchange(job: Job) -> Facts:
    """Paint a cloverleaf: one motorway over another, with loops in some of the corners."""
    rng, canvas = job.rng, job.canvas
    angle = rng.uniform(0, math.pi / 2)
    at = frame(SIZE / 2 + rng.uniform(-8, 8), SIZE / 2 + rng.uniform(-8, 8), angle)
    canvas.cover(grass(rng, (98, 114, 68), 0.5), np.ones((SIZE, SIZE), np.float32))
    loops = job.number("loops", 2, 4)
    corners = [(1, 1), (-1, -1), (1, -1), (-1, 1)][:loops]
    ramps = canvas.layer()
    for a, b in corners:
        turns = np.linspace(-0.5 * math.pi, 1.0 * math.pi, 40)
        centre = 43.0
        loop = [at(a * (centre + 31 * math.cos(t)), b * (centre + 31 * math.sin(t))) for t in turns]
        road(ramps, [at(a * 12, b * 6), *curve([*loop][::4], 6), at(a * 6, b * 12)], 5.5)
    for a, b in [(1, 1), (-1, -1), (1, -1), (-1, 1)]:
        outer = [
            at(a * 200, b * 8),
            at(a * 138, b * 15),
            at(a * 78, b * 78),
            at(a * 15, b * 138),
            at(a * 8, b * 200),
        ]
        road(ramps, curve(outer, 10), 5.5)
    canvas.add(ramps, 0.05)
    cars = job.number("cars", 8, 24)
    for turn, height, span in ((angle, 0.0, 0), (angle + math.pi / 2, 7.0, 34)):
        _motorway(job, at, turn - angle, (height, span), cars // 2 + (cars % 2 if height else 0))
    free = _clear_of_roads(canvas.rgb)
    crowns(canvas, wood(rng, free * smoothstep(fractal(rng, 40, 3), 0.0, 0.2), 8, (2.5, 5)))
    return Facts(
        "interchange",
        "interchange",
        {"loops": loops, "cars": cars},
        {},
        {},
        {"lower": axis(angle), "upper": axis(angle + math.pi / 2)},
    )


def _clear_of_roads(rgb: Array) -> Array:
    """Return 1 where the ground is green enough, with some room around, to hold a tree."""
    green = (rgb[..., 1] - rgb[..., 2] > 18).astype(np.float32)
    return (blur(green, 3.5) > 0.93).astype(np.float32)


def _motorway(job: Job, at: Frame, turn: float, rise: Point, cars: int) -> None:
    """Lay a dual carriageway along one axis; a rise makes its middle a bridge."""
    height, span = rise
    rng, layer = job.rng, job.canvas.layer()
    c, s = math.cos(turn), math.sin(turn)

    def to(u: float, v: float) -> Point:
        x, y = at(u * c - v * s, u * s + v * c)
        return float(x), float(y)

    middle = [to(-260, 0), to(260, 0)]
    if height:
        layer.line([to(-span, 0), to(span, 0)], 23, (186, 182, 172), height)
    layer.line(middle, 21, (158, 152, 138))
    for side in (-1, 1):
        lane = [to(-260, side * 5.4), to(260, side * 5.4)]
        layer.line(lane, 9, vary(rng, ASPHALT, 0.03))
        layer.dashes(lane, 4, 0.45, PAINT)
        for off in (-4.1, 4.1):
            layer.line(shifted(lane, off), 0.4, PAINT)
    layer.line(middle, 0.7, (196, 194, 186))
    x0, y0 = to(0, 0)
    x1, y1 = to(1, 0)
    for i in range(cars):
        side = 1 if i % 2 else -1
        u = (-1 if i % 3 else 1) * (30 + 66 * (i + rng.random()) / max(cars, 1))
        car(
            layer,
            to(u, side * (5.4 + (2.2 if rng.random() < 0.5 else -2.2))),
            math.atan2(y1 - y0, x1 - x0),
            pick(rng, CAR_COLOURS),
            5.0,
        )
    job.canvas.add(layer, 0.03)


def parking(job: Job) -> Facts:
    """Paint a parking lot: rows of marked bays, some of them taken, beside a shop."""
    rng, canvas = job.rng, job.canvas
    quarter = int(rng.integers(4))
    angle = quarter * math.pi / 2 + rng.uniform(-0.1, 0.1)
    at = frame(SIZE / 2, SIZE / 2, angle)
    canvas.cover(earth(rng, vary(rng, (112, 112, 112)), 0.07), np.ones((SIZE, SIZE), np.float32))
    lines, cars = canvas.layer(), canvas.layer()
    rows = [-58.0, -38.0, 4.0, 24.0, 66.0, 86.0]
    bays = [(u, v) for v in rows for u in steps(-98, 99, 9.4)]
    for v in rows:
        for u in steps(-102.7, 108, 9.4):
            lines.line([at(u, v - 9), at(u, v + 9)], 0.6, PAINT)
    for v in (-48.0, 14.0, 76.0):
        lines.line([at(-102.7, v), at(104, v)], 0.6, PAINT)
        for end in (-110.0, 111.0):
            lines.polygon(box(*at(end, v), 12, 38, angle), (108, 118, 78))
    taken = job.number("cars", 25, 90)
    for index in rng.permutation(len(bays))[:taken]:
        u, v = bays[int(index)]
        turn = math.pi / 2 if rng.random() < 0.5 else -math.pi / 2
        car(
            cars,
            at(u + rng.uniform(-0.6, 0.6), v + rng.uniform(-1.5, 1.5)),
            angle + turn,
            pick(rng, CAR_COLOURS),
            13 * rng.uniform(0.92, 1.05),
        )
    canvas.add([lines, cars], 0.03)
    _shop(job, at, angle)
    trees = [
        (*at(end, v + w), rng.uniform(5, 6.5))
        for v in (-48, 14, 76)
        for end in (-110, 111)
        for w in (-11, 1, 12)
    ]
    crowns(canvas, np.asarray(trees, np.float32))
    return Facts(
        "parking",
        "parking",
        {"cars": taken, "rows": 6},
        {"shop": heading(angle - math.pi / 2)},
        {},
        {"axis": axis(angle)},
    )


def _shop(job: Job, at: Frame, angle: float) -> None:
    layer = job.canvas.layer()
    layer.polygon(box(*at(0, -92), 300, 12, angle), CONCRETE)
    layer.polygon(box(*at(0, -124), 300, 56, angle), vary(job.rng, (190, 188, 182)), 9)
    layer.line([at(-150, -97), at(150, -97)], 2, (214, 212, 206))
    for u in steps(-100, 110, 34):
        layer.polygon(box(*at(u, -114), 9, 7, angle), (150, 152, 154), 2.5)
        layer.disc(*at(u, -114), 2.2, (96, 98, 100))
    job.canvas.add(layer, 0.05)
