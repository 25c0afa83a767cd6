"""Painters of farmed land: a patchwork, centre pivots, wind turbines among crops."""

import math

import numpy as np

from .canvas import Layer, Point
from .facts import Facts, Job, axis, place
from .ground import crowns, earth
from .noise import SIZE, Colour, along, fractal, grid, smoothstep
from .shapes import Frame, box, frame, pick, road, roof, steps, vary

CROPS: tuple[Colour, ...] = (
    (96, 116, 62),
    (122, 132, 74),
    (148, 140, 84),
    (186, 168, 112),
    (136, 112, 84),
    (84, 104, 60),
    (164, 148, 108),
    (112, 126, 66),
    (118, 98, 76),
    (196, 182, 124),
)


def farmland(job: Job) -> Facts:
    """Paint a patchwork of fields with their furrows, hedges, a track and a farm."""
    rng, canvas = job.rng, job.canvas
    angle = rng.uniform(0, math.pi / 2)
    at = frame(SIZE / 2, SIZE / 2, angle)
    plots = _plots(rng, (-190.0, -190.0, 190.0, 190.0))
    layer = canvas.layer()
    for u0, v0, u1, v1 in plots:
        layer.polygon([at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)], pick(rng, CROPS))
    canvas.add(layer, 0.05)
    _furrows(job, angle, plots)
    edges = canvas.layer()
    for u0, v0, u1, v1 in plots:
        edges.line([at(u0, v0), at(u1, v0), at(u1, v1)], 1.6, (98, 104, 66))
    split = plots[0][3]
    road(edges, [at(-260, split), at(260, split)], 5, (176, 164, 138))
    canvas.add(edges, 0.08)
    hedges: list[tuple[float, float, float]] = []
    for u0, v0, u1, v1 in plots:
        if rng.random() < 0.45 and split not in (v0, v1):
            hedges += [
                (*at(u, v0 + rng.uniform(-1, 1)), rng.uniform(2, 3.6))
                for u in steps(u0, u1, 5)
                if rng.random() < 0.85
            ]
    crowns(canvas, np.asarray(hedges, np.float32).reshape(-1, 3))
    u, v = rng.uniform(-60, 60), split + rng.choice([-1, 1]) * 20
    buildings = job.number("farm_buildings", 2, 4)
    _farm(job, at, (float(u), float(v), angle), buildings)
    return Facts(
        "farmland",
        "farmland",
        {"farm_buildings": buildings},
        {"farm": place(*at(u, v))},
        {},
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
    for u0, v0, u1, v1 in plots:
        here = (u >= u0) & (u < u1) & (v >= v0) & (v < v1)
        if not here.any():
            continue
        line = (v if rng.random() < 0.6 else u)[here] + wobble[here]
        period = rng.uniform(3.2, 7)
        light[here] = (
            1
            + rng.uniform(0.0, 0.07) * np.sin(line * 2 * math.pi / period)
            + rng.uniform(0.02, 0.08) * patches[here]
        )
    job.canvas.rgb = job.canvas.rgb * light[..., None]


def _farm(job: Job, at: Frame, yard: tuple[float, float, float], buildings: int) -> None:
    u, v, angle = yard
    rng, layer = job.rng, job.canvas.layer()
    layer.polygon(box(*at(u, v), 20 + buildings * 15, 28, angle), (170, 158, 134))
    for k in range(buildings):
        tile = pick(rng, ((150, 84, 66), (142, 140, 136), (120, 100, 84)))
        roof(
            layer,
            (
                *at(u + (k - (buildings - 1) / 2) * 17, v + rng.uniform(-3, 3)),
                13,
                rng.uniform(8, 11),
                angle + (math.pi / 2 if k % 2 else 0),
            ),
            tile,
            5,
        )
    job.canvas.add(layer, 0.05)
    trees = [
        (*at(u + rng.uniform(-38, 38), v + s * 17 + rng.uniform(-3, 3)), rng.uniform(3, 5))
        for s in (-1, 1)
        for _ in range(5)
    ]
    crowns(job.canvas, np.asarray(trees, np.float32))


def centre_pivot(job: Job) -> Facts:
    """Paint round irrigated fields on dry ground."""
    rng, canvas = job.rng, job.canvas
    soil: Colour = vary(
        rng, ((196, 174, 136), (184, 158, 122), (176, 164, 132))[job.number("soil", 0, 2)]
    )
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
        "centre_pivot",
        "centre_pivot",
        {"circles": len(cells), "green_circles": len(cells) - fallow, "brown_circles": fallow},
        {"brown": place(*order[0])},
        {"soil": "tan"},
        {},
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
    canvas.cover(
        np.asarray(colours * light[..., None], np.float32), smoothstep(far, radius, radius - 1.2)
    )
    layer = canvas.layer()
    a = start
    end = (middle[0] + radius * math.cos(a), middle[1] + radius * math.sin(a))
    layer.line([middle, end], 0.8, (214, 214, 208), 1.5)
    layer.disc(*middle, 1.5, (226, 222, 210), 1)
    canvas.add(layer, 0.02)


def wind_turbines(job: Job) -> Facts:
    """Paint wind turbines on farmland, each with its long shadow and gravel track."""
    rng, canvas = job.rng, job.canvas
    angle = rng.uniform(-0.5, 0.5) + (math.pi / 2 if job.chance(0.5) else 0)
    at = frame(SIZE / 2, SIZE / 2, angle)
    canvas.cover(earth(rng, pick(rng, CROPS[:3]), 0.06), np.ones((SIZE, SIZE), np.float32))
    fields, tracks, towers = canvas.layer(), canvas.layer(), canvas.layer()
    for k in range(-4, 5):
        fields.polygon(box(*at(k * 46 + 23, 0), 46, 400, angle), pick(rng, CROPS[:8]))
    canvas.add(fields, 0.06)
    u, _ = along(angle)
    canvas.rgb = canvas.rgb * (1 + 0.04 * np.sin(u * 2 * math.pi / 4.6))[..., None]
    turbines = job.number("turbines", 2, 5)
    line = rng.uniform(-20, 20)
    tracks.line([at(-260, line + 14), at(260, line + 14)], 4, (190, 178, 150))
    facing = rng.uniform(0, 6)
    for k in range(turbines):
        p = (k - (turbines - 1) / 2) * (190 / turbines)
        v = line + (-16 if k % 2 else -2)
        tracks.line([at(p, line + 14), at(p, v)], 3, (190, 178, 150))
        tracks.polygon(box(*at(p, v), 14, 12, angle), (196, 186, 162))
        _turbine(towers, at(p, v), facing, rng)
    canvas.add([tracks, towers], 0.04)
    return Facts(
        "wind_turbines",
        "wind_turbines",
        {"turbines": turbines},
        {},
        {},
        {"axis": axis(angle)},
    )


def _turbine(
    layer: Layer, foot: tuple[float, float], facing: float, rng: np.random.Generator
) -> None:
    """Draw a turbine from above: tower, nacelle, rotor edge-on, and the shadow of it all."""
    x, y = foot
    tall = 40.0
    hub = (x + layer.throw[0] * tall, y + layer.throw[1] * tall)
    layer.cast(box(x, y, 1.4, 1.4, 0), tall)
    turn = rng.uniform(0, 2)
    for k in range(3):
        a = turn + k * 2 * math.pi / 3
        tip = (hub[0] + 17 * math.cos(a), hub[1] + 17 * math.sin(a))
        layer.shade_line([hub, tip], 1.1)
    layer.disc(x, y, 2.0, (236, 236, 234))
    layer.polygon(box(x, y, 7, 2.6, facing), (240, 240, 240))
    to = frame(x, y, facing)
    for k in range(3):
        reach = 17 * math.cos(turn + k * 2 * math.pi / 3)
        layer.line([to(3.5, 0), to(3.5, reach)], 1.1, (240, 240, 240))
