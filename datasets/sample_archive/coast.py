"""Painters of the shore: a harbour with its ships, a beach with its breakers."""

import math

import numpy as np

from .canvas import Layer, Point
from .facts import Facts, Job, axis, heading
from .ground import crowns, earth, grass, water, wood
from .noise import SIZE, Array, Colour, along, fractal, smoothstep
from .shapes import CONCRETE, Frame, box, frame, pick, road, roof, spaced, steps, vary

HULLS: dict[str, Colour] = {
    "red": (150, 52, 44),
    "blue": (44, 74, 116),
    "black": (44, 46, 50),
    "green": (52, 92, 72),
}


BOXES: tuple[Colour, ...] = (
    (160, 62, 48),
    (58, 92, 140),
    (192, 188, 180),
    (60, 112, 84),
    (196, 132, 52),
    (110, 60, 54),
)


SEAS: tuple[tuple[Colour, Colour], ...] = (
    ((36, 66, 84), (66, 100, 108)),
    ((42, 74, 72), (84, 112, 100)),
    ((30, 60, 90), (60, 96, 116)),
)


def harbour(job: Job) -> Facts:
    """Paint piers that reach from a quay into a basin, with ships alongside or without."""
    rng, canvas = job.rng, job.canvas
    quarter = int(rng.integers(4))
    angle = quarter * math.pi / 2 + rng.uniform(-0.22, 0.22)
    at = frame(SIZE / 2, SIZE / 2, angle)
    out, _ = along(angle)
    quay = -rng.uniform(42, 60)
    deep, shallow = SEAS[int(rng.integers(3))]
    canvas.cover(water(rng, deep, shallow, smoothstep(out, quay, 110)), np.ones_like(out))
    apron = Layer(canvas.throw)
    apron.polygon([at(quay, -260), at(quay, 260), at(-300, 260), at(-300, -260)], CONCRETE, 2.0)
    piers = job.number("piers", 2, 3)
    spots = [v + rng.uniform(-4, 4) for v in ((-38, 42) if piers == 2 else (-76, 0, 76))]
    reach = quay + rng.uniform(112, 128)
    for v in spots:
        _pier(apron, at, (quay, reach), v, rng)
    canvas.add(apron, 0.05)
    ships = job.number("ships", 2, 2 * piers)
    hull = job.choice("hull", tuple(HULLS))
    _moor(job, at, (quay, reach), spots, (ships, hull))
    _quayside(job, at, quay)
    return Facts(
        "harbour",
        "harbour" if ships else "harbour_empty",
        {"ships": ships, "piers": piers},
        {"land": heading(angle + math.pi), "sea": heading(angle)},
        {"hull": hull},
        {"axis": axis(angle)},
    )


def _pier(layer: Layer, to: Frame, span: Point, v: float, rng: np.random.Generator) -> None:
    start, end = span
    layer.polygon(
        [to(start - 2, v - 6), to(end, v - 6), to(end, v + 6), to(start - 2, v + 6)],
        vary(rng, (168, 162, 150)),
        2.0,
    )
    layer.line([to(start, v), to(end - 3, v)], 2.6, (132, 130, 126))
    for u in steps(start + 8, end - 4, 9):
        for side in (-5.2, 5.2):
            layer.disc(*to(u, v + side), 0.7, (70, 68, 64))


def _moor(job: Job, at: Frame, span: Point, spots: list[float], what: tuple[int, str]) -> None:
    """Lay ships alongside the piers, one on a side."""
    ships, hull = what
    berths = [(v, side) for v in spots for side in (-1, 1)]
    order = job.rng.permutation(len(berths))
    layer = job.canvas.layer()
    for index in order[:ships]:
        v, side = berths[int(index)]
        length = job.rng.uniform(58, 84)
        width = length * job.rng.uniform(0.17, 0.2)
        u = (span[0] + span[1]) / 2 + job.rng.uniform(-8, 14)
        x, y = at(u, v + side * (7.5 + width / 2))
        turn = 0.0 if job.chance(0.6) else math.pi
        ux, uy = at(u + 1, v + side * (7.5 + width / 2))
        ship(
            layer, (x, y, math.atan2(uy - y, ux - x) + turn), (length, width), HULLS[hull], job.rng
        )
    job.canvas.add(layer, 0.03)


def ship(
    layer: Layer,
    pose: tuple[float, float, float],
    size: Point,
    hull: Colour,
    rng: np.random.Generator,
) -> None:
    """Draw a freighter: hull, deck, hatches or containers, and the white bridge astern."""
    at = frame(*pose)
    a, b = size[0] / 2, size[1] / 2
    outline = [
        at(-a, -b * 0.8),
        at(-a * 0.9, -b),
        at(a * 0.6, -b),
        at(a * 0.85, -b * 0.55),
        at(a, 0),
        at(a * 0.85, b * 0.55),
        at(a * 0.6, b),
        at(-a * 0.9, b),
        at(-a, b * 0.8),
    ]
    layer.polygon(outline, hull, 3.5)
    x, y = pose[0], pose[1]
    layer.polygon(
        [(x + (px - x) * 0.93, y + (py - y) * 0.84) for px, py in outline],
        vary(rng, ((142, 92, 78), (120, 132, 120), (150, 140, 124))[int(rng.integers(3))]),
    )
    laden = rng.random() < 0.5
    holds = int(rng.integers(4, 6))
    step = a * 1.2 / holds
    for i in range(holds):
        u = -a * 0.48 + (i + 0.5) * step
        if not laden:
            layer.polygon(box(*at(u, 0), step * 0.7, b * 1.2, pose[2]), (184, 182, 172), 1.2)
            continue
        for j in range(4):
            for k in (-0.25, 0.25):
                layer.polygon(
                    box(*at(u + k * step, (j - 1.5) * b * 0.38), step * 0.42, b * 0.36, pose[2]),
                    pick(rng, BOXES),
                    2.0,
                )
    layer.polygon(box(*at(-a * 0.72, 0), a * 0.28, b * 1.6, pose[2]), (232, 232, 228), 5.0)
    layer.polygon(box(*at(-a * 0.66, 0), a * 0.1, b * 1.9, pose[2]), (206, 208, 208))
    layer.disc(*at(-a * 0.84, 0), b * 0.28, (70, 66, 64), 2.0)


def _quayside(job: Job, at: Frame, quay: float) -> None:
    """Fill the land behind the quay with a road, sheds and stacks of containers."""
    rng, layer = job.rng, job.canvas.layer()
    ux, uy = at(1, 0)
    angle = math.atan2(uy - SIZE / 2, ux - SIZE / 2)
    road(layer, [at(quay - 16, -260), at(quay - 16, 260)], 7)
    v, shed = -190.0, job.chance(0.5)
    while v < 190:
        length = rng.uniform(34, 60)
        middle = at(quay - 46 - rng.uniform(0, 3), v + length / 2)
        shed = not shed
        if shed:
            roof(
                layer,
                (*middle, length, 30, angle + math.pi / 2),
                pick(rng, ((150, 156, 160), (134, 106, 92), (120, 138, 150), (176, 174, 166))),
                6,
            )
        else:
            for i in range(int(length // 9)):
                for j in range(7):
                    layer.polygon(
                        box(*at(quay - 32 - j * 4, v + i * 9 + 4), 3.4, 8, angle),
                        pick(rng, BOXES),
                        float(rng.uniform(1, 4)),
                    )
        v += length + rng.uniform(7, 14)
    job.canvas.add(layer, 0.05)


def beach(job: Job) -> Facts:
    """Paint a shore with breakers, sand and the scrub behind it."""
    rng, canvas = job.rng, job.canvas
    angle = int(rng.integers(8)) * math.pi / 4 + rng.uniform(-0.25, 0.25)
    out, side = along(angle)
    bend = 12 * np.sin(side / 75 + rng.uniform(0, 6)) + 5 * fractal(rng, 90, 3)
    sea = out + bend + rng.uniform(-18, 12)
    sand: Colour = vary(rng, (206, 188, 152))
    canvas.cover(earth(rng, sand, 0.04), np.ones_like(sea))
    green = smoothstep(sea + 8 * fractal(rng, 30, 4), -70, -92)
    canvas.cover(grass(rng, (104, 112, 72), 0.7), green)
    deep: Colour = ((28, 92, 120), (24, 78, 108), (40, 96, 108))[int(rng.integers(3))]
    shallow: Colour = (104, 168, 164)
    canvas.cover(earth(rng, (150, 130, 100), 0.05), smoothstep(sea, -13, -3) * 0.8)
    canvas.cover(water(rng, deep, shallow, smoothstep(sea, 0, 95)), smoothstep(sea, -0.5, 3))
    rows = job.number("lines_of_breakers", 2, 4)
    for row in range(rows):
        at = 3 + row * rng.uniform(15, 20)
        line = sea - at + 2.2 * fractal(rng, 40, 4)
        crest = np.exp(-np.square(line / 1.7)) + 0.55 * np.exp(-np.square((line + 3) / 4)) * (
            smoothstep(fractal(rng, 7, 4, 0.8), -0.3, 0.8)
        )
        gaps = smoothstep(fractal(rng, 60, 3), -1.3 + 0.25 * row, -0.4 + 0.25 * row)
        canvas.cover(np.full_like(canvas.rgb, 238), crest * (gaps if row else 1) * 0.9)
    trees = wood(rng, smoothstep(sea + 12 * fractal(rng, 40, 3), -84, -100), 11, (2.5, 5.5))
    crowns(canvas, trees, ((74, 88, 50), (92, 102, 60), (64, 82, 50)))
    parasols = _parasols(job, sea, job.number("parasols", 0, 14))
    return Facts(
        "beach",
        "beach",
        {"lines_of_breakers": rows, "parasols": parasols},
        {"sea": heading(angle), "land": heading(angle + math.pi)},
    )


def _parasols(job: Job, sea: Array, count: int) -> int:
    """Stand parasols on the sand and return how many found room."""
    layer = job.canvas.layer()
    near = [
        p for p in job.rng.uniform(8, SIZE - 8, (1500, 2)) if -46 < sea[int(p[1]), int(p[0])] < -20
    ]
    spots = spaced(near, 9)[:count]
    spots = spots if len(spots) > 1 else []
    for x, y in spots:
        layer.polygon(
            box(x + 3, y + 2, 4, 1.8, job.rng.uniform(0, 3)),
            pick(job.rng, ((70, 120, 150), (220, 214, 200))),
        )
        layer.disc(
            x,
            y,
            2.3,
            pick(job.rng, ((190, 60, 50), (232, 226, 210), (56, 104, 148), (214, 172, 70))),
            2.5,
        )
    job.canvas.add(layer, 0.02)
    return len(spots)
