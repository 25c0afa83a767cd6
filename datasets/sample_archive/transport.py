"""Painters of stations: an airport with its aircraft, a railway station with its trains."""

import math

import numpy as np

from .canvas import Layer, Point
from .facts import Facts, Job, axis, heading
from .ground import crowns, earth, grass
from .noise import SIZE, Colour, along, fractal, smoothstep
from .shapes import CAR_COLOURS, PAINT, Frame, box, car, frame, pick, road, roof, steps

LIVERIES: dict[str, Colour] = {
    "blue": (40, 74, 138),
    "red": (168, 44, 42),
    "green": (44, 104, 76),
    "grey": (120, 126, 134),
}


TRAINS: dict[str, Colour] = {
    "red": (158, 50, 44),
    "blue": (58, 92, 140),
    "white": (222, 222, 218),
    "green": (64, 104, 76),
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
    for slot in rng.permutation(slots)[:count].tolist():
        u = (slot - 2) * 46.0 + rng.uniform(-2, 2)
        plane(
            layer, (*at(u, 30), angle + math.pi / 2), 36 * rng.uniform(0.95, 1.06), LIVERIES[livery]
        )
    canvas.add(layer, 0.02)
    _terminal(job, at, angle)
    return Facts(
        "airport",
        "airport",
        {"aircraft": count, "runways": 1},
        {"runway": heading(angle - math.pi / 2), "terminal": heading(angle + math.pi / 2)},
        {"tail": livery},
        {"axis": axis(angle)},
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
    for u in steps(-92, 93, 46):
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
        part(
            [(3.2, side * 5), (3.2, side * 6.9), (-2, side * 6.9), (-2, side * 5)],
            (150, 154, 160),
            2,
        )
    part(
        [
            (18, 0),
            (16.6, 1.3),
            (13.5, 2),
            (-9, 2),
            (-15, 1.3),
            (-18.5, 0.4),
            (-18.5, -0.4),
            (-15, -1.3),
            (-9, -2),
            (13.5, -2),
            (16.6, -1.3),
        ],
        white,
        4,
    )
    part([(-12.5, 0), (-19.5, 0.9), (-19.5, -0.9)], tail, 6)
    part([(16.2, 0.9), (15.2, 1.3), (15.2, -1.3), (16.2, -0.9)], (64, 70, 80), 0)


def _terminal(job: Job, at: Frame, angle: float) -> None:
    rng, layer = job.rng, job.canvas.layer()
    layer.polygon(box(*at(0, 86), 204, 24, angle), (196, 196, 192), 7)
    for u in steps(-96, 100, 12):
        layer.polygon(box(*at(u, 86), 5, 15, angle), (158, 166, 174))
    layer.polygon(box(*at(0, 101), 130, 9, angle), (172, 170, 164), 6)
    for u in steps(-92, 93, 46):
        layer.polygon(box(*at(u + 9, 66), 3.4, 20, angle), (206, 206, 204), 3)
    road(layer, [at(-280, 113), at(280, 113)], 8)
    for u in steps(-150, 150, 6.5):
        if rng.random() < 0.7:
            car(layer, at(u, 121), angle + math.pi / 2, pick(rng, CAR_COLOURS), 4.4)
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
    bed = smoothstep(v, top - 8, top - 4) * smoothstep(
        v, top + tracks * gap + 6, top + tracks * gap + 2
    )
    canvas.cover(earth(rng, (122, 112, 100), 0.12), bed)
    rails = [top + (k + 0.5) * gap for k in range(tracks)]
    lines = canvas.layer()
    for r in rails:
        for step in steps(-190, 190, 2.6):
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
        "railway",
        "railway",
        {"tracks": tracks, "trains": trains, "platforms": (tracks - 1) // 3},
        {"station": heading(angle + math.pi / 2)},
        {"train": colour},
        {"axis": axis(angle)},
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
                    car(
                        layer,
                        at(side * (52 + k * 5.2) + side * 2, v - 8 + row * 12),
                        angle + math.pi / 2,
                        pick(rng, CAR_COLOURS),
                        6.5,
                    )
    job.canvas.add(layer, 0.04)
    trees = [(*at(u, v + 36 + rng.uniform(-3, 3)), rng.uniform(4, 6)) for u in steps(-200, 200, 13)]
    crowns(job.canvas, np.asarray(trees, np.float32))
