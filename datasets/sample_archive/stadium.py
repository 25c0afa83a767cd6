"""Painter of a stadium with its track and pitch."""

import math

import numpy as np

from .canvas import ellipse
from .facts import Facts, Job, axis
from .ground import crowns, earth, grass, wood
from .noise import SIZE, Colour, along, fractal, smoothstep
from .shapes import CAR_COLOURS, PAINT, Frame, box, car, frame, pick, steps


def stadium(job: Job) -> Facts:
    """Paint an oval stadium: stands with coloured seats, a running track, a striped pitch."""
    rng, canvas = job.rng, job.canvas
    angle = int(rng.integers(4)) * math.pi / 4 + rng.uniform(-0.12, 0.12)
    at = frame(SIZE / 2, SIZE / 2, angle)
    x, y = SIZE / 2, SIZE / 2
    canvas.cover(earth(rng, (146, 142, 134), 0.06), np.ones((SIZE, SIZE), np.float32))
    canvas.cover(grass(rng, (100, 114, 70)), smoothstep(fractal(rng, 70, 3), 0.2, 0.4))
    around, stands = canvas.layer(), canvas.layer()
    around.polygon(ellipse(x, y, 118, 94, angle), (176, 170, 160))
    seats = job.choice("seat", ("blue", "red", "green", "yellow"))
    tint: Colour = {
        "blue": (66, 92, 146),
        "red": (156, 62, 56),
        "green": (76, 120, 84),
        "yellow": (190, 160, 74),
    }[seats]
    stands.polygon(ellipse(x, y, 108, 84, angle), (206, 206, 202), 16)
    stands.polygon(ellipse(x, y, 96, 72, angle), tint)
    for k in range(1, 5):
        loop = ellipse(x, y, 96 - k * 3.6, 72 - k * 3.6, angle)
        stands.line([*loop, loop[0]], 0.5, (tint[0] * 0.8, tint[1] * 0.8, tint[2] * 0.8))
    for t in np.linspace(0, 2 * math.pi, 29)[:-1]:
        c, s = math.cos(t), math.sin(t)
        stands.line([at(79 * c, 55 * s), at(97 * c, 73 * s)], 0.9, (190, 188, 182))
        stands.line([at(97 * c, 73 * s), at(108 * c, 84 * s)], 0.5, (176, 176, 172))
    canvas.add([around, stands], 0.04)
    _bowl_shade(job, angle)
    track = job.choice("track", ("red", "blue"))
    _pitch(job, at, angle, {"red": (162, 88, 68), "blue": (78, 108, 150)}[track])
    masts = job.number("floodlights", 4, 4)
    _forecourt(job, at, masts)
    return Facts(
        "stadium",
        "stadium",
        {"floodlight_masts": masts},
        {"stadium": "centre"},
        {"seat": seats, "track": track},
        {"axis": axis(angle)},
    )


def _bowl_shade(job: Job, angle: float) -> None:
    """Shade the side of the bowl that turns away from the sun."""
    u, v = along(angle)
    c, s = math.cos(angle), math.sin(angle)
    across = (u * c - v * s) * job.canvas.shadow[0] + (u * s + v * c) * job.canvas.shadow[1]
    ring = np.hypot(u / 96, v / 72)
    inside = smoothstep(ring, 1.0, 0.985)
    job.canvas.shade(np.asarray(inside * smoothstep(-across, 38, 66) * 0.75, np.float32))


def _pitch(job: Job, at: Frame, angle: float, track: Colour) -> None:
    canvas = job.canvas
    ring, field = canvas.layer(), canvas.layer()
    x, y = SIZE / 2, SIZE / 2
    ring.polygon(ellipse(x, y, 78, 54, angle), (112, 126, 82))
    oval = [
        at(sign * 32 + sign * 42 * math.sin(t), -sign * 42 * math.cos(t))
        for sign in (1, -1)
        for t in np.linspace(0, math.pi, 24)
    ]
    ring.polygon(oval, track)
    for k in range(1, 6):
        lane = [
            at(sign * 32 + sign * (42 - k * 2) * math.sin(t), -sign * (42 - k * 2) * math.cos(t))
            for sign in (1, -1)
            for t in np.linspace(0, math.pi, 24)
        ]
        ring.line([*lane, lane[0]], 0.35, (224, 212, 204))
    inner = [
        at(sign * 32 + sign * 30 * math.sin(t), -sign * 30 * math.cos(t))
        for sign in (1, -1)
        for t in np.linspace(0, math.pi, 24)
    ]
    ring.polygon(inner, (98, 128, 70))
    for k in range(10):
        light = 1.0 if k % 2 else 0.88
        field.polygon(box(*at(-40.5 + k * 9, 0), 9, 54, angle), (92, 132, 66), 0, light)
    for a, b in ((90, 54), (0.01, 54)):
        lines = box(x, y, a, b, angle)
        field.line([*lines, lines[0]], 0.6, PAINT)
    for sign in (-1, 1):
        for depth, width in ((14, 32), (5, 16)):
            area = box(*at(sign * (45 - depth / 2), 0), depth, width, angle)
            field.line([*area, area[0]], 0.5, PAINT)
    circle = ellipse(x, y, 8, 8)
    field.line([*circle, circle[0]], 0.5, PAINT)
    canvas.add([ring, field], 0.05)


def _forecourt(job: Job, at: Frame, masts: int) -> None:
    rng, layer = job.rng, job.canvas.layer()
    for k in range(masts):
        corner = at(98 if k % 2 else -98, 76 if k // 2 else -76)
        layer.disc(*corner, 2.4, (206, 206, 206), 20)
    for v in (-112.0, 112.0):
        for u in steps(-110, 111, 5.0):
            if rng.random() < 0.6:
                car(
                    layer,
                    at(u, v),
                    rng.uniform(-0.06, 0.06)
                    + math.atan2(at(0, 1)[1] - SIZE / 2, at(0, 1)[0] - SIZE / 2),
                    pick(rng, CAR_COLOURS),
                    6,
                )
    job.canvas.add(layer, 0.03)
    x, y = along(0.0)
    free = smoothstep(np.hypot(x, y), 136, 140)
    crowns(job.canvas, wood(rng, free, 10, (3.5, 6)))
