"""Painters of open land: farmland, centre-pivot fields, forest, desert, snowy mountains."""

import math

import numpy as np

from .canvas import Layer, Point
from .facts import Facts, Job, axis, heading, place
from .ground import AUTUMN, CONIFERS, GREENS, crowns, earth, grass, shaken, water, wood
from .noise import (
    SIZE, Array, Colour, along, fractal, grid, hillshade, mix, ramp, ridged, smoothstep, standard,
)
from .shapes import Frame, box, curve, frame, pick, road, roof, vary

CROPS: tuple[Colour, ...] = (
    (96, 116, 62), (122, 132, 74), (148, 140, 84), (186, 168, 112), (136, 112, 84), (84, 104, 60),
    (164, 148, 108), (112, 126, 66), (118, 98, 76), (196, 182, 124),
)


def farmland(job: Job) -> Facts:
    """Paint a patchwork of fields with their furrows, hedges, a track and a farm."""
    rng, canvas = job.rng, job.canvas
    angle = rng.uniform(0, math.pi / 2)
    at = frame(SIZE / 2, SIZE / 2, angle)
    plots = _plots(rng, (-190.0, -190.0, 190.0, 190.0))
    layer = canvas.layer()
    for (u0, v0, u1, v1) in plots:
        layer.polygon([at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)], pick(rng, CROPS))
    canvas.add(layer, 0.05)
    _furrows(job, angle, plots)
    edges = canvas.layer()
    for (u0, v0, u1, v1) in plots:
        edges.line([at(u0, v0), at(u1, v0), at(u1, v1)], 1.6, (98, 104, 66))
    split = plots[0][3]
    road(edges, [at(-260, split), at(260, split)], 5, (176, 164, 138))
    canvas.add(edges, 0.08)
    hedges: list[tuple[float, float, float]] = []
    for (u0, v0, u1, v1) in plots:
        if rng.random() < 0.45 and v1 != split and v0 != split:
            hedges += [(*at(u, v0 + rng.uniform(-1, 1)), rng.uniform(2, 3.6))
                       for u in np.arange(u0, u1, 5) if rng.random() < 0.85]
    crowns(canvas, np.asarray(hedges, np.float32).reshape(-1, 3))
    u, v = rng.uniform(-60, 60), split + rng.choice([-1, 1]) * 20
    buildings = job.number("farm_buildings", 2, 4)
    _farm(job, at, (float(u), float(v), angle), buildings)
    return Facts(
        "farmland", "farmland", {"farm_buildings": buildings}, {"farm": place(*at(u, v))}, {},
        {"axis": axis(angle)},
    )


def _plots(
    rng: np.random.Generator, whole: tuple[float, float, float, float], depth: int = 0
) -> list[tuple[float, float, float, float]]:
    """Return a rectangle cut at random into fields (u0, v0, u1, v1)."""
    u0, v0, u1, v1 = whole
    wide, tall = u1 - u0, v1 - v0
    if depth > 1 and (max(wide, tall) < 70 or (wide * tall < 9000 and rng.random() < 0.5)):
        return [whole]
    share = rng.uniform(0.36, 0.64)
    if depth == 0 or (tall > wide and rng.random() < 0.9):
        cut = v0 + tall * share
        parts = [(u0, v0, u1, cut), (u0, cut, u1, v1)]
    else:
        cut = u0 + wide * share
        parts = [(u0, v0, cut, v1), (cut, v0, u1, v1)]
    if depth == 0:  # the track runs along the first cut, which ends the first field returned
        upper = _plots(rng, parts[0], 1)
        upper.sort(key=lambda plot: -plot[3])
        return upper + _plots(rng, parts[1], 1)
    return [plot for part in parts for plot in _plots(rng, part, depth + 1)]


def _furrows(job: Job, angle: float, plots: list[tuple[float, float, float, float]]) -> None:
    """Draw the lines of the plough, their direction and depth differing from field to field."""
    rng = job.rng
    u, v = along(angle)
    light = np.ones((SIZE, SIZE), np.float32)
    patches = fractal(rng, 40, 4)
    wobble = fractal(rng, 50, 2) * 0.6
    for (u0, v0, u1, v1) in plots:
        here = (u >= u0) & (u < u1) & (v >= v0) & (v < v1)
        if not here.any():
            continue
        line = (v if rng.random() < 0.6 else u)[here] + wobble[here]
        period = rng.uniform(3.2, 7)
        light[here] = (1 + rng.uniform(0.0, 0.07) * np.sin(line * 2 * math.pi / period)
                       + rng.uniform(0.02, 0.08) * patches[here])
    job.canvas.rgb = job.canvas.rgb * light[..., None]


def _farm(job: Job, at: Frame, yard: tuple[float, float, float], buildings: int) -> None:
    u, v, angle = yard
    rng, layer = job.rng, job.canvas.layer()
    layer.polygon(box(*at(u, v), 20 + buildings * 15, 28, angle), (170, 158, 134))
    for k in range(buildings):
        tile = pick(rng, ((150, 84, 66), (142, 140, 136), (120, 100, 84)))
        roof(layer, (*at(u + (k - (buildings - 1) / 2) * 17, v + rng.uniform(-3, 3)), 13,
                     rng.uniform(8, 11), angle + (math.pi / 2 if k % 2 else 0)), tile, 5)
    job.canvas.add(layer, 0.05)
    trees = [(*at(u + rng.uniform(-38, 38), v + s * 17 + rng.uniform(-3, 3)), rng.uniform(3, 5))
             for s in (-1, 1) for _ in range(5)]
    if abs(v) > 0:
        crowns(job.canvas, np.asarray(trees, np.float32))


def centre_pivot(job: Job) -> Facts:
    """Paint round irrigated fields on dry ground."""
    rng, canvas = job.rng, job.canvas
    soil: Colour = vary(rng, ((196, 174, 136), (184, 158, 122), (176, 164, 132))[job.number("soil", 0, 2)])
    canvas.cover(earth(rng, soil, 0.06), np.ones((SIZE, SIZE), np.float32))
    across = job.number("across", 2, 3)
    step = SIZE / across
    tracks = canvas.layer()
    for k in range(across + 1):
        tracks.line([(k * step, -5), (k * step, 261)], 1.4, (212, 194, 160))
        tracks.line([(-5, k * step), (261, k * step)], 1.4, (212, 194, 160))
    canvas.add(tracks, 0.06)
    cells = [((i + 0.5) * step, (j + 0.5) * step) for j in range(across) for i in range(across)]
    fallow = job.number("brown", 1, across)
    order = [cells[int(i)] for i in rng.permutation(len(cells))]
    for index, middle in enumerate(order):
        _circle(job, middle, step * 0.475, index < fallow)
    return Facts(
        "centre_pivot", "centre_pivot",
        {"circles": len(cells), "green_circles": len(cells) - fallow, "brown_circles": fallow},
        {"brown": place(*order[0])}, {"soil": "tan"}, {},
    )


def _circle(job: Job, middle: Point, radius: float, fallow: bool) -> None:
    """Paint one circle: rings of wheel tracks, sectors of growth, the arm of the machine."""
    rng, canvas = job.rng, job.canvas
    x, y = grid()
    dx, dy = x - middle[0], y - middle[1]
    far, turn = np.hypot(dx, dy), np.arctan2(dy, dx)
    greens: tuple[Colour, ...] = ((78, 104, 58), (98, 122, 66), (64, 92, 54), (116, 130, 76))
    browns: tuple[Colour, ...] = ((150, 120, 88), (164, 138, 100))
    first = pick(rng, browns if fallow else greens)
    colours = earth(rng, first, 0.05)
    start = rng.uniform(-3, 3)
    sector = ((turn - start) % (2 * math.pi)) < rng.uniform(0.5, 2.0)
    light = 1 + 0.10 * sector + 0.05 * np.sin(far * 2 * math.pi / 3.4)
    light -= 0.16 * np.exp(-np.square((far % (radius / 5)) - 1) / 0.5)
    canvas.cover(np.asarray(colours * light[..., None], np.float32), smoothstep(far, radius, radius - 1.2))
    layer = canvas.layer()
    a = start
    end = (middle[0] + radius * math.cos(a), middle[1] + radius * math.sin(a))
    layer.line([middle, end], 0.8, (214, 214, 208), 1.5)
    layer.disc(*middle, 1.5, (226, 222, 210), 1)
    canvas.add(layer, 0.02)


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
    path = curve([at(u, off + rng.uniform(-24, 24)) for u in (-210, -130, -60, 0, 60, 130, 210)], 10)
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
        "coniferous": (CONIFERS, 6.0, (2.8, 4.6)), "deciduous": (GREENS, 8.0, (4.0, 7.4)),
        "autumn": (AUTUMN, 7.6, (4.0, 7.0)),
    }[trees]
    crowns(canvas, wood(rng, free, gap, sizes), palette)
    return Facts(
        "forest", "forest", {"tracks": track, "clearings": 1},
        {"clearing": place(cx, cy)}, {"trees": trees}, {"axis": axis(angle)},
    )


def desert(job: Job) -> Facts:
    """Paint parallel dunes with their slip faces in shade."""
    rng, canvas = job.rng, job.canvas
    angle = rng.uniform(0, math.pi)
    sand = job.choice("sand", ("orange", "pale yellow", "reddish"))
    tone: Colour = {"orange": (204, 150, 98), "pale yellow": (214, 188, 142),
                    "reddish": (184, 120, 84)}[sand]
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
    return Facts("desert", "desert", {}, {}, {"sand": sand},
                 {"axis": axis(angle), "shadow": heading(math.atan2(*canvas.shadow[::-1]))})


def mountain(job: Job) -> Facts:
    """Paint a snowy ridge above rock, with a dark wooded valley or a blue tarn below."""
    rng, canvas = job.rng, job.canvas
    angle = rng.uniform(-math.pi, math.pi)
    u, _ = along(angle)
    relief = ridged(rng, 120, 6)
    height = standard(relief + u / 90 + 0.25 * fractal(rng, 30, 5))
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
        canvas.cover(water(rng, (36, 84, 104), (72, 126, 134), smoothstep(-far, 0, 14)),
                     smoothstep(far, 0.8, -0.8))
    return Facts(
        "mountain", "mountain", {"lakes": tarn},
        {"peak": heading(angle), "valley": heading(angle + math.pi)},
        {}, {"shadow": heading(math.atan2(*canvas.shadow[::-1]))},
    )


_ = (Layer, Array)
