"""Painters of wild land: forest, lake, desert, mountains."""

import math

import numpy as np

from .facts import Facts, Job, axis, heading, place
from .ground import AUTUMN, CONIFERS, GREENS, crowns, earth, grass, shaken, water, wood
from .noise import (
    SIZE,
    Colour,
    along,
    fractal,
    grid,
    hillshade,
    mix,
    ramp,
    ridged,
    smoothstep,
    standard,
)
from .shapes import box, curve, frame, scattered


def forest(job: Job) -> Facts:
    """Paint a closed wood with a clearing and perhaps a track."""
    rng, canvas = job.rng, job.canvas
    trees = job.choice("trees", ("coniferous", "deciduous", "autumn"))
    canvas.cover(grass(rng, (88, 98, 60), 0.5), np.ones((SIZE, SIZE), np.float32))
    x, y = grid()
    cx, cy = rng.uniform(50, 206, 2)
    size = rng.uniform(20, 34)
    open_ground = np.hypot(x - cx, y - cy) + 7 * fractal(rng, 40, 3) - size
    angle = rng.uniform(0, math.pi)
    at = frame(SIZE / 2, SIZE / 2, angle)
    off = rng.uniform(-50, 50)
    path = curve(
        [at(u, off + rng.uniform(-24, 24)) for u in (-210, -130, -60, 0, 60, 130, 210)], 10
    )
    track = job.number("tracks", 0, 1)
    free = smoothstep(open_ground, 0, 2)
    if track:
        lines = canvas.layer()
        lines.line(path, 5, (168, 150, 118))
        lines.line(path, 1.4, (134, 130, 88))
        canvas.add(lines, 0.08)
        for a, b in path:
            free[np.hypot(x - a, y - b) < 7.5] = 0
    palette, gap, sizes = {
        "coniferous": (CONIFERS, 6.0, (2.8, 4.6)),
        "deciduous": (GREENS, 8.0, (4.0, 7.4)),
        "autumn": (AUTUMN, 7.6, (4.0, 7.0)),
    }[trees]
    crowns(canvas, wood(rng, free, gap, sizes), palette)
    return Facts(
        "forest",
        "forest",
        {"tracks": track, "clearings": 1},
        {"clearing": place(cx, cy)},
        {"trees": trees},
        {"axis": axis(angle)},
    )


def lake(job: Job) -> Facts:
    """Paint a lake in a wood, with a few boats on it."""
    rng, canvas = job.rng, job.canvas
    x, y = SIZE / 2 + rng.uniform(-20, 20), SIZE / 2 + rng.uniform(-20, 20)
    turn = rng.uniform(0, math.pi)
    u, v = along(turn)
    at = frame(0, 0, -turn)
    cu, cv = at(x - SIZE / 2, y - SIZE / 2)
    far = np.hypot((u - cu) / 1.35, v - cv) + 9 * fractal(rng, 70, 4) - rng.uniform(54, 66)
    canvas.cover(grass(rng, (98, 116, 66), 0.4), np.ones_like(u))
    canvas.cover(earth(rng, (176, 162, 128), 0.06), smoothstep(far, 8, 3))
    depth = smoothstep(-far, 0, 30)
    canvas.cover(water(rng, (30, 62, 72), (92, 128, 112), depth), smoothstep(far, 0.8, -0.8))
    where = smoothstep(far + 10 * fractal(rng, 40, 3), 9, 14)
    crowns(canvas, wood(rng, where, 7.5, (3.4, 6.4)))
    boats = job.number("boats", 0, 4)
    layer = canvas.layer()
    spots = [p for p in scattered(rng, 60, 26, 30) if far[int(p[1]), int(p[0])] < -14][:boats]
    for px, py in spots:
        a = rng.uniform(0, 6.3)
        to = frame(px, py, a)
        layer.polygon(
            [to(-4, -1.6), to(2, -1.6), to(5, 0), to(2, 1.6), to(-4, 1.6)], (236, 236, 232), 1.5
        )
        layer.polygon(box(*to(-1, 0), 3, 1.6, a), (120, 90, 66))
    canvas.add(layer, 0.02)
    boats = len(spots) if len(spots) > 1 else 0
    return Facts(
        "lake", "lake", {"boats": len(spots)}, {"lake": place(x, y)}, {}, {"axis": axis(turn)}
    )


def desert(job: Job) -> Facts:
    """Paint parallel dunes with their slip faces in shade."""
    rng, canvas = job.rng, job.canvas
    angle = rng.uniform(0, math.pi)
    sand = job.choice("sand", ("orange", "pale yellow", "reddish"))
    tone: Colour = {
        "orange": (204, 150, 98),
        "pale yellow": (214, 188, 142),
        "reddish": (184, 120, 84),
    }[sand]
    u, v = along(angle)
    warp = 17 * fractal(rng, 120, 3) + 2.2 * fractal(rng, 26, 3)
    period = rng.uniform(44, 66)
    phase = ((v + warp) / period) % 1.0
    steep = 0.72
    height = np.where(phase < steep, phase / steep, (1 - phase) / (1 - steep))
    height = np.asarray(height * (9 + 2.4 * fractal(rng, 80, 3)), np.float32)
    ripple = np.sin((u + 6 * fractal(rng, 50, 3)) * 2 * math.pi / 4.2) * 0.16
    light = hillshade(np.asarray(height + ripple, np.float32), canvas.shadow, 0.9)
    base = shaken(rng, earth(rng, tone, 0.03), 0.02, 5)
    dark: Colour = (tone[0] * 0.62, tone[1] * 0.56, tone[2] * 0.58)
    canvas.cover(mix(dark, base, 0.15 + light * 0.72), np.ones_like(u))
    canvas.rgb = canvas.rgb * (0.72 + 0.32 * light)[..., None]
    shrubs = wood(rng, smoothstep(-height + 2.5 * fractal(rng, 30, 3), -1.2, 0.2), 17, (0.9, 1.8))
    keep = rng.random(len(shrubs)) < 0.35
    crowns(canvas, shrubs[keep], ((108, 104, 70), (124, 112, 78)))
    return Facts("desert", "desert", {}, {}, {"sand": sand}, {"axis": axis(angle)})


def mountain(job: Job) -> Facts:
    """Paint a snowy ridge above rock, with a dark wooded valley or a blue tarn below."""
    rng, canvas = job.rng, job.canvas
    angle = rng.uniform(-math.pi, math.pi)
    u, _ = along(angle)
    relief = ridged(rng, 120, 6)
    height = standard(0.75 * relief + u / 55 + 0.25 * fractal(rng, 30, 5))
    light = hillshade(height * 14, canvas.shadow, 0.62)
    rock = ramp([(92, 86, 80), (128, 118, 108), (148, 140, 130)], 0.5 + 0.25 * fractal(rng, 20, 5))
    woods = shaken(rng, earth(rng, (58, 74, 52), 0.1), 0.14, 3)
    base = mix(woods, rock, smoothstep(height + 0.25 * fractal(rng, 20, 4), -0.9, -0.4))
    dy, dx = np.gradient(height)
    steep = np.hypot(dx, dy)
    snow = smoothstep(height + 0.2 * fractal(rng, 14, 4) - 4 * steep, -0.35, 0.15)
    lit = 0.55 + 0.48 * light
    canvas.cover(np.asarray(base * lit[..., None], np.float32), np.ones_like(u))
    white = mix((140, 158, 188), (246, 247, 250), (light - 0.55) / 0.6)
    canvas.cover(white, snow * 0.96)
    tarn = job.number("lakes", 0, 1)
    if tarn:
        at = frame(SIZE / 2, SIZE / 2, angle)
        x, y = at(-78, rng.uniform(-40, 40))
        px, py = grid()
        far = np.hypot(px - x, (py - y) * 1.25) + 5 * fractal(rng, 40, 3) - 19
        canvas.cover(earth(rng, (128, 122, 112), 0.1), smoothstep(far, 5, 1))
        canvas.cover(
            water(rng, (36, 84, 104), (72, 126, 134), smoothstep(-far, 0, 14)),
            smoothstep(far, 0.8, -0.8),
        )
    return Facts(
        "mountain",
        "mountain",
        {"lakes": tarn},
        {"peak": heading(angle), "valley": heading(angle + math.pi)},
        {},
        {},
    )
