"""Painters of smaller sports grounds: tennis courts, a baseball field."""

import math

import numpy as np

from .canvas import Layer
from .facts import Facts, Job, axis, heading, place
from .ground import crowns, grass, wood
from .noise import SIZE, Colour, along, fractal, smoothstep
from .shapes import CAR_COLOURS, PAINT, Frame, box, car, frame, pick, road, roof, vary

COURTS: dict[str, tuple[Colour, Colour]] = {
    "red clay": ((170, 96, 70), (146, 84, 64)),
    "blue": ((74, 104, 146), (96, 128, 104)),
    "green": ((88, 122, 92), (140, 92, 74)),
}


def tennis_courts(job: Job) -> Facts:
    """Paint tennis courts side by side, with nets, a clubhouse and trees."""
    rng, canvas = job.rng, job.canvas
    angle = int(rng.integers(2)) * math.pi / 2 + rng.uniform(-0.2, 0.2)
    at = frame(SIZE / 2, SIZE / 2, angle)
    canvas.cover(grass(rng, (98, 118, 68), 0.45), np.ones((SIZE, SIZE), np.float32))
    columns, rows = job.number("columns", 2, 4), job.number("rows", 1, 2)
    surface = job.choice("court", tuple(COURTS))
    inner, outer = COURTS[surface]
    width, length = 46.0, 84.0
    base, lines = canvas.layer(), canvas.layer()
    top = 20.0 if rows == 1 else 12.0
    base.polygon(box(*at(0, top), columns * width + 6, rows * length + 6, angle), (170, 166, 156))
    base.polygon(box(*at(0, top), columns * width, rows * length, angle), outer)
    for j in range(rows):
        for i in range(columns):
            u, v = (i - (columns - 1) / 2) * width, top + (j - (rows - 1) / 2) * length
            _court(base, lines, at, (u, v, angle), vary(rng, inner, 0.03))
    fence = box(*at(0, top), columns * width, rows * length, angle)
    lines.line([*fence, fence[0]], 0.5, (92, 100, 92), 3)
    road(base, [at(-260, -108), at(260, -108)], 7, (168, 158, 138))
    canvas.add([base, lines], 0.05)
    house = canvas.layer()
    side = -1 if job.chance(0.5) else 1
    hu, hv = (side * 60.0, -86.0) if rows == 2 else (side * 50.0, -62.0)
    roof(
        house,
        (*at(hu, hv), 44, 18 if rows == 2 else 24, angle),
        pick(rng, ((150, 88, 68), (120, 120, 122))),
        7,
        True,
    )
    for k in range(6):
        if rng.random() < 0.8:
            car(house, at(-hu + k * 9 - 22, -92), angle + math.pi / 2, pick(rng, CAR_COLOURS), 13)
    canvas.add(house, 0.04)
    x, y = along(angle)
    apart = (np.abs(x) > columns * width / 2 + 10) | (np.abs(y - top) > rows * length / 2 + 10)
    apart &= y > (-70 if rows == 2 else -26)
    free = apart.astype(np.float32) * smoothstep(fractal(rng, 40, 3), -0.6, -0.1)
    crowns(canvas, wood(rng, free, 13, (5, 8)))
    return Facts(
        "tennis_courts",
        "tennis_courts",
        {"courts": columns * rows},
        {"clubhouse": place(*at(hu, hv))},
        {"court": surface},
        {"axis": axis(angle + math.pi / 2)},
    )


def _court(
    base: Layer, lines: Layer, at: Frame, pose: tuple[float, float, float], colour: Colour
) -> None:
    """Draw one court: ground, lines and net, 24 by 11 metres at 0.4 m a pixel."""
    u, v, angle = pose
    base.polygon(box(*at(u, v), 28, 60, angle), colour)
    for w in (28.0, 21.0):
        outline = box(*at(u, v), w, 60, angle)
        lines.line([*outline, outline[0]], 0.7, PAINT)
    for d in (-16.0, 16.0):
        lines.line([at(u - 10.5, v + d), at(u + 10.5, v + d)], 0.7, PAINT)
    lines.line([at(u, v - 16), at(u, v + 16)], 0.7, PAINT)
    lines.line([at(u - 16, v), at(u + 16, v)], 0.7, (60, 64, 62), 2.5)


def baseball_field(job: Job) -> Facts:
    """Paint a baseball field: the fan of the outfield, the skinned infield, bases and mound."""
    rng, canvas = job.rng, job.canvas
    angle = int(rng.integers(8)) * math.pi / 4 + rng.uniform(-0.1, 0.1)
    home = frame(SIZE / 2 - 82 * math.cos(angle), SIZE / 2 - 82 * math.sin(angle), angle)
    canvas.cover(grass(rng, (104, 116, 72), 0.7), np.ones((SIZE, SIZE), np.float32))
    quarter = math.pi / 4

    def fan(radius: float, back: float, spread: float = quarter) -> list[tuple[float, float]]:
        turns = np.linspace(-spread, spread, 30)
        return [home(-back, 0), *(home(radius * math.cos(t), radius * math.sin(t)) for t in turns)]

    soil: Colour = vary(rng, (178, 128, 90))
    field, marks = canvas.layer(), canvas.layer()
    field.polygon(fan(178, 12, quarter * 1.09), vary(rng, (166, 124, 90)))
    field.polygon(fan(168, 2, quarter * 1.04), (88, 124, 62))
    for k in range(0, 12, 2):
        near, away = 84 + k * 7, 91 + k * 7
        turns = np.linspace(-quarter, quarter, 24)
        ring = [home(near * math.cos(t), near * math.sin(t)) for t in turns]
        ring += [home(away * math.cos(t), away * math.sin(t)) for t in turns[::-1]]
        field.polygon(ring, (100, 136, 70))
    base = 58.0
    turns = np.linspace(-1.2, 1.2, 30)
    field.polygon(
        [
            home(-4, 0),
            home(40, -44),
            *(home(42 + 50 * math.cos(t), 50 * math.sin(t)) for t in turns),
            home(40, 44),
        ],
        soil,
    )
    half = base * math.sqrt(0.5)
    field.polygon(
        [home(7, 0), home(half, -half + 7), home(2 * half - 7, 0), home(half, half - 7)],
        (92, 130, 66),
    )
    field.disc(*home(0, 0), 9, soil)
    field.disc(*home(half, 0), 6, soil)
    for sign in (-1, 1):
        marks.line(
            [home(0, 0), home(168 * math.cos(quarter), sign * 168 * math.sin(quarter))], 0.8, PAINT
        )
    for u, v in ((0, 0), (half, -half), (2 * half, 0), (half, half)):
        marks.polygon(box(*home(u, v), 2.2, 2.2, angle + quarter), (242, 242, 238))
    canvas.add([field, marks], 0.06)
    stands = job.choice("stand", ("grey", "blue", "green"))
    tint: Colour = {"grey": (158, 160, 160), "blue": (82, 106, 146), "green": (84, 118, 90)}[stands]
    dugouts = canvas.layer()
    for sign in (-1, 1):
        dugouts.polygon(box(*home(8, sign * 32), 34, 11, angle + sign * quarter), tint, 4)
        for k in (-3, 0, 3):
            start = frame(*home(8, sign * 32), angle + sign * quarter)
            dugouts.line([start(-17, k), start(17, k)], 0.4, (206, 206, 202))
        dugouts.polygon(
            box(*home(62, sign * 70), 15, 5, angle + sign * quarter), (120, 116, 110), 3
        )
    canvas.add(dugouts, 0.03)
    x, y = along(angle)
    far = np.hypot(x + 82, y)
    free = smoothstep(far, 190, 194) + smoothstep(np.abs(y) - np.maximum(x + 82, 0) * 1.05, 62, 66)
    crowns(canvas, wood(rng, free * smoothstep(fractal(rng, 50, 3), -0.8, -0.4), 10, (4, 7)))
    return Facts(
        "baseball_field",
        "baseball_field",
        {"stands": 2, "bases": 4},
        {"home": heading(angle + math.pi), "outfield": heading(angle)},
        {"stand": stands},
        {},
    )
