"""Painters of dwellings: dense terraces, scattered villas."""

import math

import numpy as np

from .canvas import Layer, Point
from .facts import Facts, Job, axis
from .ground import crowns, earth, grass, wood
from .noise import SIZE, Colour, fractal, smoothstep
from .shapes import CAR_COLOURS, Frame, box, car, curve, frame, pick, road, roof, scattered, steps

TILES: dict[str, tuple[Colour, ...]] = {
    "red": ((158, 86, 64), (172, 98, 72), (146, 76, 60)),
    "grey": ((126, 126, 128), (108, 112, 118), (144, 142, 140)),
    "brown": ((122, 96, 78), (136, 110, 88), (108, 86, 72)),
}


def dense_housing(job: Job) -> Facts:
    """Paint close rows of houses along parallel streets."""
    rng, canvas = job.rng, job.canvas
    angle = int(rng.integers(2)) * math.pi / 2 + rng.uniform(-0.3, 0.3)
    at = frame(SIZE / 2, SIZE / 2, angle)
    canvas.cover(earth(rng, (136, 134, 118), 0.09), np.ones((SIZE, SIZE), np.float32))
    canvas.cover(grass(rng, (92, 106, 66), 0.5), smoothstep(fractal(rng, 22, 4), 0.0, 0.5))
    tiles = job.choice("roof", tuple(TILES))
    streets = job.number("streets", 3, 4)
    gap = 68.0 if streets == 4 else 82.0
    ways, houses = canvas.layer(), canvas.layer()
    centres = [(k - (streets - 1) / 2) * gap + rng.uniform(-3, 3) for k in range(streets)]
    for v in centres:
        road(ways, [at(-260, v), at(260, v)], 8, (112, 112, 112))
    cross = rng.uniform(-50, 50)
    road(ways, [at(cross, -260), at(cross, 260)], 8, (112, 112, 112))
    trees: list[tuple[float, float, float]] = []
    for v in centres:
        for side in (-1, 1):
            trees += _terrace(job, houses, at, (angle, v, side, cross), TILES[tiles])
    canvas.add([ways, houses], 0.05)
    _street_cars(job, at, centres, cross)
    crowns(canvas, np.asarray(trees, np.float32))
    return Facts(
        "dense_housing",
        "dense_housing",
        {"streets": streets, "cross_streets": 1},
        {},
        {"roof": tiles},
        {"axis": axis(angle), "cross": axis(angle + math.pi / 2)},
    )


def _terrace(
    job: Job,
    layer: Layer,
    at: Frame,
    row: tuple[float, float, int, float],
    tiles: tuple[Colour, ...],
) -> list[tuple[float, float, float]]:
    """Set one row of houses along a street and return the trees behind it."""
    trees: list[tuple[float, float, float]] = []
    rng = job.rng
    angle, street, side, cross = row
    u = -190.0 + rng.uniform(0, 8)
    while u < 190:
        length, depth = rng.uniform(13, 19), rng.uniform(15, 19)
        middle = u + length / 2
        if abs(middle - cross) > 7 + length / 2:
            v = street + side * (8.5 + depth / 2 + rng.uniform(0, 1.5))
            turn = angle + (math.pi / 2 if rng.random() < 0.4 else 0)
            size = (depth, length) if turn != angle else (length, depth)
            roof(layer, (*at(middle, v), *size, turn), pick(rng, tiles), 6, rng.random() < 0.4)
            if rng.random() < 0.5:
                layer.polygon(box(*at(middle + 2, v + 3), 2, 2, angle), (120, 100, 90), 2)
            if rng.random() < 0.55:
                x, y = at(
                    middle + rng.uniform(-6, 6), street + side * (13 + depth + rng.uniform(0, 5))
                )
                trees.append((x, y, rng.uniform(2.5, 5)))
        u += length + (0.8 if rng.random() < 0.7 else rng.uniform(2, 6))
    return trees


def _street_cars(job: Job, at: Frame, streets: list[float], cross: float) -> None:
    layer = job.canvas.layer()
    turn = math.atan2(at(1, 0)[1] - SIZE / 2, at(1, 0)[0] - SIZE / 2)
    for v in streets:
        for u in steps(-150, 150, 9.0):
            if job.rng.random() < 0.4 and abs(u - cross) > 10:
                side = -3.0 if job.rng.random() < 0.5 else 3.0
                car(layer, at(u, v + side), turn, pick(job.rng, CAR_COLOURS), 7)
    job.canvas.add(layer, 0.03)


def villas(job: Job) -> Facts:
    """Paint a few detached houses with gardens and pools on a winding lane."""
    rng, canvas = job.rng, job.canvas
    angle = rng.uniform(0, math.pi)
    at = frame(SIZE / 2, SIZE / 2, angle)
    canvas.cover(grass(rng, (100, 122, 66), 0.35), np.ones((SIZE, SIZE), np.float32))
    bend = rng.uniform(14, 26) * (1 if job.chance(0.5) else -1)
    lane = curve([at(-210, -bend), at(-105, bend), at(0, -bend), at(105, bend), at(210, -bend)], 14)
    ways, houses = canvas.layer(), canvas.layer()
    road(ways, lane, 9, (124, 122, 118))
    wanted = job.number("houses", 5, 9)
    free = [
        p
        for p in scattered(rng, 60, 52, 32)
        if 30 < min(math.hypot(p[0] - a, p[1] - b) for a, b in lane) < 82
    ][:wanted]
    pools = min(job.number("pools", 2, 5), len(free))
    tiles = job.choice("roof", tuple(TILES))
    taken: list[tuple[float, float, float]] = [(a, b, 12) for a, b in lane]
    for index, (x, y) in enumerate(free):
        taken.append((x, y, 27))
        _villa(job, (ways, houses), (x, y), lane, (TILES[tiles], index < pools))
    canvas.add([ways, houses], 0.04)
    where = np.ones((SIZE, SIZE), np.float32)
    column, row = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    for x, y, r in taken:
        where[np.hypot(column - x, row - y) < r + 3] = 0
    where *= smoothstep(fractal(rng, 45, 3), -0.5, 0.1)
    crowns(canvas, wood(rng, where, 10, (3.5, 7)))
    return Facts(
        "villas",
        "villas",
        {"houses": len(free), "pools": pools},
        {},
        {"roof": tiles},
        {"axis": axis(angle)},
    )


def _villa(
    job: Job,
    layers: tuple[Layer, Layer],
    middle: Point,
    lane: list[Point],
    style: tuple[tuple[Colour, ...], bool],
) -> None:
    """Draw a house in two wings, its drive and perhaps a pool, turned to the lane."""
    rng, (ways, houses) = job.rng, layers
    x, y = middle
    nearest = min(lane, key=lambda p: (p[0] - x) ** 2 + (p[1] - y) ** 2)
    turn = math.atan2(nearest[1] - y, nearest[0] - x)
    to = frame(x, y, turn)
    ways.line([to(4, 7), nearest], 4, (168, 162, 150))
    ways.polygon(box(*to(-13, 0), 9, 24, turn), (186, 178, 162))
    tile = pick(rng, style[0])
    roof(houses, (*to(0, 0), 26, 14, turn + math.pi / 2), tile, 6, True)
    roof(houses, (*to(6, 6 if rng.random() < 0.5 else -6), 20, 11, turn), tile, 6, True)
    if style[1]:
        houses.polygon(box(*to(-15, 0), 7.5, 15, turn), (214, 208, 196))
        houses.polygon(box(*to(-15, 0), 5.5, 13, turn), (70, 158, 182))
        houses.polygon(box(*to(-14.2, 0), 3.2, 11, turn), (88, 176, 196))
    if rng.random() < 0.7:
        car(houses, to(20, 8), turn, pick(rng, CAR_COLOURS), 8)
