"""Painters of traffic: airport, railway station, motorway interchange, parking lot."""

import math

import numpy as np

from .canvas import Layer, Point
from .facts import Facts, Job, axis, heading
from .ground import crowns, earth, grass, wood
from .noise import SIZE, Array, Colour, along, blur, fractal, smoothstep
from .shapes import (
    ASPHALT, CAR_COLOURS, CONCRETE, PAINT, Frame, box, car, curve, frame, pick, road, roof, shifted, vary,
)

LIVERIES: dict[str, Colour] = {
    "blue": (40, 74, 138), "red": (168, 44, 42), "green": (44, 104, 76), "grey": (120, 126, 134),
}
TRAINS: dict[str, Colour] = {
    "red": (158, 50, 44), "blue": (58, 92, 140), "white": (222, 222, 218), "green": (64, 104, 76),
}


def airport(job: Job) -> Facts:
    """Paint a runway, the taxiway beside it, and aircraft parked at a terminal."""
    rng, canvas = job.rng, job.canvas
    angle = int(rng.integers(8)) * math.pi / 4 + rng.uniform(-0.12, 0.12)
    at = frame(SIZE / 2, SIZE / 2, angle)
    canvas.cover(grass(rng, (112, 122, 78), 0.6), np.ones((SIZE, SIZE), np.float32))
    ground = canvas.layer()
    ground.line([at(-300, -78), at(300, -78)], 36, (146, 142, 128))
    ground.line([at(-300, -78), at(300, -78)], 30, (92, 92, 94))
    ground.line([at(-300, -26), at(300, -26)], 13, (134, 134, 132))
    for u in (-96, 74):
        ground.line([at(u, -78), at(u + 26, -26)], 12, (128, 128, 126))
        ground.line([at(u, -26), at(u, 40)], 12, (134, 134, 132))
    ground.polygon(box(*at(0, 34), 236, 74, angle), (168, 166, 160))
    canvas.add(ground, 0.05)
    _runway_paint(job, at, angle)
    slots = 5
    count = job.number("aircraft", 2, slots)
    livery = job.choice("tail", tuple(LIVERIES))
    layer = canvas.layer()
    for slot in sorted(rng.permutation(slots)[:count]):
        u = (int(slot) - 2) * 46 + rng.uniform(-2, 2)
        plane(layer, (*at(u, 30), angle + math.pi / 2), 36 * rng.uniform(0.95, 1.06), LIVERIES[livery])
    canvas.add(layer, 0.02)
    _terminal(job, at, angle)
    return Facts(
        "airport", "airport", {"aircraft": count, "runways": 1},
        {"runway": heading(angle - math.pi / 2), "terminal": heading(angle + math.pi / 2)},
        {"tail": livery}, {"axis": axis(angle)},
    )


def _runway_paint(job: Job, at: Frame, angle: float) -> None:
    """Mark the runway: middle line, edge lines, threshold bars, tyre marks."""
    x, y = along(angle)
    marks = np.exp(-np.square((y + 78) / 5)) * smoothstep(np.abs(x), 110, 30)
    job.canvas.shade(np.asarray(marks * 0.35, np.float32))
    layer = job.canvas.layer()
    layer.dashes([at(-190, -78), at(190, -78)], 11, 1.0, PAINT)
    for v in (-91.5, -64.5):
        layer.line([at(-200, v), at(200, v)], 0.9, PAINT)
    for k in range(8):
        layer.line([at(-74, -88 + k * 2.9), at(-56, -88 + k * 2.9)], 1.3, PAINT)
    layer.line([at(-300, -26), at(300, -26)], 0.6, (196, 168, 64))
    for u in range(-92, 93, 46):
        layer.line([at(u, -24), at(u, 40)], 0.5, (196, 168, 64))
    job.canvas.add(layer, 0.05)


def plane(layer: Layer, pose: tuple[float, float, float], length: float, tail: Colour) -> None:
    """Draw an airliner with its nose in the direction of the pose."""
    at = frame(*pose)
    s = length / 36
    white: Colour = (236, 237, 238)
    wing: Colour = (204, 208, 212)

    def part(points: list[Point], colour: Colour, height: float) -> None:
        layer.polygon([at(u * s, v * s) for u, v in points], colour, height)

    for side in (-1, 1):
        part([(5, side * 1.2), (-5.5, side * 17), (-8.5, side * 17), (-4, side * 1.2)], wing, 3)
        part([(-13, side * 1), (-17, side * 6.6), (-19, side * 6.6), (-17.5, side * 1)], wing, 3.5)
        part([(3.2, side * 5), (3.2, side * 6.9), (-2, side * 6.9), (-2, side * 5)], (150, 154, 160), 2)
    part([(18, 0), (16.6, 1.3), (13.5, 2), (-9, 2), (-15, 1.3), (-18.5, 0.4), (-18.5, -0.4),
          (-15, -1.3), (-9, -2), (13.5, -2), (16.6, -1.3)], white, 4)
    part([(-12.5, 0), (-19.5, 0.9), (-19.5, -0.9)], tail, 6)
    part([(16.2, 0.9), (15.2, 1.3), (15.2, -1.3), (16.2, -0.9)], (64, 70, 80), 0)


def _terminal(job: Job, at: Frame, angle: float) -> None:
    rng, layer = job.rng, job.canvas.layer()
    layer.polygon(box(*at(0, 86), 204, 24, angle), (196, 196, 192), 7)
    for u in np.arange(-96, 100, 12):
        layer.polygon(box(*at(u, 86), 5, 15, angle), (158, 166, 174))
    layer.polygon(box(*at(0, 103), 130, 12, angle), (172, 170, 164), 6)
    for u in range(-92, 93, 46):
        layer.polygon(box(*at(u + 9, 66), 3.4, 20, angle), (206, 206, 204), 3)
    road(layer, [at(-280, 122), at(280, 122)], 9)
    for u in np.arange(-150, 150, 6.5):
        if rng.random() < 0.7:
            car(layer, at(u, 134), angle + math.pi / 2, pick(rng, CAR_COLOURS), 4.4)
    job.canvas.add(layer, 0.04)


def railway(job: Job) -> Facts:
    """Paint a station: parallel tracks on ballast, platforms under roofs, trains."""
    rng, canvas = job.rng, job.canvas
    angle = int(rng.integers(4)) * math.pi / 4 + rng.uniform(-0.15, 0.15)
    at = frame(SIZE / 2, SIZE / 2, angle)
    u, v = along(angle)
    canvas.cover(earth(rng, (142, 138, 126), 0.08), np.ones_like(u))
    canvas.cover(grass(rng, (96, 108, 68), 0.6), smoothstep(fractal(rng, 60, 4), 0.2, 0.8))
    tracks = job.number("tracks", 6, 9)
    gap = 11.0
    top = -tracks * gap / 2 - 12
    bed = smoothstep(v, top - 8, top - 4) * smoothstep(v, top + tracks * gap + 6, top + tracks * gap + 2)
    canvas.cover(earth(rng, (122, 112, 100), 0.12), bed)
    rails = [top + (k + 0.5) * gap for k in range(tracks)]
    lines = canvas.layer()
    for r in rails:
        for step in np.arange(-190, 190, 2.6):
            lines.line([at(step, r - 2.6), at(step, r + 2.6)], 0.9, (96, 86, 76))
        for side in (-1.5, 1.5):
            lines.line([at(-190, r + side), at(190, r + side)], 0.6, (186, 182, 176))
    canvas.add(lines, 0.06)
    trains = job.number("trains", 2, 4)
    colour = job.choice("train", tuple(TRAINS))
    _platforms(job, at, angle, rails)
    _trains(job, at, angle, [rails[int(i)] for i in rng.permutation(tracks)[:trains]], colour)
    _station(job, at, angle, top + tracks * gap)
    return Facts(
        "railway", "railway", {"tracks": tracks, "trains": trains, "platforms": (tracks - 1) // 3},
        {"station": heading(angle + math.pi / 2)}, {"train": colour}, {"axis": axis(angle)},
    )


def _platforms(job: Job, at: Frame, angle: float, rails: list[float]) -> None:
    layer = job.canvas.layer()
    start = job.rng.uniform(-30, 30)
    for k in range((len(rails) - 1) // 3):
        v = (rails[3 * k + 1] + rails[3 * k + 2]) / 2
        layer.polygon(box(*at(start, v), 186, 5.0, angle), (188, 184, 176), 1)
        layer.polygon(box(*at(start, v), 96, 5.6, angle), (150, 156, 158), 3)
        layer.line([at(start - 48, v), at(start + 48, v)], 0.6, (120, 124, 128))
    job.canvas.add(layer, 0.05)


def _trains(job: Job, at: Frame, angle: float, rails: list[float], colour: str) -> None:
    layer = job.canvas.layer()
    for r in rails:
        cars = int(job.rng.integers(4, 7))
        u = job.rng.uniform(-100, 70 - cars * 20)
        for k in range(cars):
            middle = at(u + k * 23 + 10, r)
            layer.polygon(box(*middle, 22, 5.4, angle), TRAINS[colour], 3)
            layer.polygon(box(*middle, 20, 2.6, angle), (196, 198, 198))
            for w in (-6, 0, 6):
                layer.polygon(box(*at(u + k * 23 + 10 + w, r), 3, 1.8, angle), (150, 154, 158))
    job.canvas.add(layer, 0.03)


def _station(job: Job, at: Frame, angle: float, edge: float) -> None:
    rng, layer = job.rng, job.canvas.layer()
    v = edge + 22
    tile = pick(rng, ((140, 84, 66), (120, 122, 126)))
    roof(layer, (*at(0, v), 84, 20, angle), tile, 7, True)
    roof(layer, (*at(0, v), 30, 26, angle + math.pi / 2), tile, 9, True)
    road(layer, [at(-260, v + 24), at(260, v + 24)], 9)
    for side in (-1, 1):
        for row in range(2):
            for k in range(8):
                if rng.random() < 0.75:
                    car(layer, at(side * (52 + k * 5.2) + side * 2, v - 8 + row * 12),
                        angle + math.pi / 2, pick(rng, CAR_COLOURS), 6.5)
    job.canvas.add(layer, 0.04)
    x, y = np.arange(-200, 200, 13.0), np.full(31, v + 36.0)
    trees = [(*at(float(a), float(b) + rng.uniform(-3, 3)), rng.uniform(4, 6)) for a, b in zip(x, y, strict=True)]
    crowns(job.canvas, np.asarray(trees, np.float32))


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
        outer = [at(a * 200, b * 8), at(a * 138, b * 15), at(a * 78, b * 78), at(a * 15, b * 138),
                 at(a * 8, b * 200)]
        road(ramps, curve(outer, 10), 5.5)
    canvas.add(ramps, 0.05)
    cars = job.number("cars", 8, 24)
    for turn, height, span in ((angle, 0.0, 0), (angle + math.pi / 2, 7.0, 34)):
        _motorway(job, at, turn - angle, (height, span), cars // 2 + (cars % 2 if height else 0))
    free = _clear_of_roads(canvas.rgb)
    crowns(canvas, wood(rng, free * smoothstep(fractal(rng, 40, 3), 0.0, 0.2), 8, (2.5, 5)))
    return Facts(
        "interchange", "interchange", {"loops": loops, "cars": cars}, {},
        {}, {"lower": axis(angle), "upper": axis(angle + math.pi / 2)},
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
        reach = 60.0 if i % 4 < 2 else 96.0
        u = (-1 if i % 3 else 1) * (30 + (reach - 30) * (i + rng.random()) / max(cars, 1))
        car(layer, to(u, side * (5.4 + (2.2 if rng.random() < 0.5 else -2.2))),
            math.atan2(y1 - y0, x1 - x0), pick(rng, CAR_COLOURS), 5.0)
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
    bays = [(u, v) for v in rows for u in np.arange(-98, 99, 9.4)]
    for v in rows:
        for u in np.arange(-102.7, 108, 9.4):
            lines.line([at(u, v - 9), at(u, v + 9)], 0.6, PAINT)
    for v in (-48.0, 14.0, 76.0):
        lines.line([at(-102.7, v), at(104, v)], 0.6, PAINT)
        for end in (-110.0, 111.0):
            lines.polygon(box(*at(end, v), 12, 38, angle), (108, 118, 78))
    taken = job.number("cars", 25, 90)
    for index in rng.permutation(len(bays))[:taken]:
        u, v = bays[int(index)]
        turn = math.pi / 2 if rng.random() < 0.5 else -math.pi / 2
        car(cars, at(u + rng.uniform(-0.6, 0.6), v + rng.uniform(-1.5, 1.5)), angle + turn,
            pick(rng, CAR_COLOURS), 13 * rng.uniform(0.92, 1.05))
    canvas.add([lines, cars], 0.03)
    _shop(job, at, angle)
    trees = [(*at(end, v + w), rng.uniform(5, 6.5)) for v in (-48, 14, 76) for end in (-110, 111)
             for w in (-11, 1, 12)]
    crowns(canvas, np.asarray(trees, np.float32))
    return Facts(
        "parking", "parking", {"cars": taken, "rows": 6},
        {"shop": heading(angle - math.pi / 2)}, {}, {"axis": axis(angle)},
    )


def _shop(job: Job, at: Frame, angle: float) -> None:
    layer = job.canvas.layer()
    layer.polygon(box(*at(0, -92), 300, 12, angle), CONCRETE)
    layer.polygon(box(*at(0, -124), 300, 56, angle), vary(job.rng, (190, 188, 182)), 9)
    layer.line([at(-150, -97), at(150, -97)], 2, (214, 212, 206))
    for u in np.arange(-100, 110, 34):
        layer.polygon(box(*at(u, -114), 9, 7, angle), (150, 152, 154), 2.5)
        layer.disc(*at(u, -114), 2.2, (96, 98, 100))
    job.canvas.add(layer, 0.05)
