"""Painters of works: storage tanks, industrial halls, a solar farm."""

import math

import numpy as np

from .canvas import Layer, Point
from .facts import Facts, Job, axis, heading
from .ground import crowns, earth, grass, wood
from .noise import SIZE, Colour, along, fractal, smoothstep
from .shapes import CAR_COLOURS, box, frame, pick, road, steps, vary

TANKS: dict[str, Colour] = {
    "white": (230, 230, 226),
    "green": (112, 142, 118),
    "rust-brown": (150, 98, 76),
    "grey": (168, 172, 174),
}


HALLS: dict[str, Colour] = {
    "white": (214, 214, 210),
    "blue": (92, 128, 158),
    "grey": (150, 154, 156),
    "green": (120, 142, 126),
}


def storage_tanks(job: Job) -> Facts:
    """Paint round tanks in rows within their earth walls, pipes between them."""
    rng, canvas = job.rng, job.canvas
    angle = int(rng.integers(2)) * math.pi / 2 + rng.uniform(-0.2, 0.2)
    at = frame(SIZE / 2, SIZE / 2, angle)
    canvas.cover(earth(rng, vary(rng, (158, 148, 128)), 0.09), np.ones((SIZE, SIZE), np.float32))
    canvas.cover(grass(rng, (112, 116, 76), 0.7), smoothstep(fractal(rng, 50, 4), 0.5, 1.0))
    columns = job.number("columns", 3, 4)
    rows = job.number("rows", 2, 3)
    colour = job.choice("tank", tuple(TANKS))
    step = 56.0 if columns == 4 else 72.0
    cells = [
        ((i - (columns - 1) / 2) * step, (j - (rows - 1) / 2) * step * 0.94)
        for j in range(rows)
        for i in range(columns)
    ]
    missing = job.number("missing", 0, 2)
    cells = [cells[int(i)] for i in rng.permutation(len(cells))[missing:]]
    base, walls, tanks = canvas.layer(), canvas.layer(), canvas.layer()
    edge = rows * step * 0.47 + 7
    road(base, [at(-260, -edge), at(260, -edge)], 6.5, (128, 124, 116))
    for u, v in cells:
        base.polygon(box(*at(u, v), step * 0.82, step * 0.78, angle), vary(rng, (172, 162, 142)))
        corner = box(*at(u, v), step * 0.82, step * 0.78, angle)
        walls.line([*corner, corner[0]], 1.8, (186, 178, 160), 1.2)
        for off in (-1.2, 1.2):
            walls.line([at(u + off, v), at(u + off, -edge + 6)], 0.7, (196, 196, 192), 0.8)
    for k in (0.0, 1.8, 3.6):
        walls.line([at(-140, -edge + 6 + k), at(140, -edge + 6 + k)], 0.8, (190, 188, 182), 1)
    radius = step * rng.uniform(0.28, 0.32)
    for u, v in cells:
        tank(tanks, at(u, v), radius * rng.uniform(0.93, 1.0), TANKS[colour], rng)
    canvas.add([base, walls, tanks], 0.04)
    crowns(canvas, wood(rng, smoothstep(along(angle)[1], edge + 2, edge + 6), 12, (3, 5.5)))
    return Facts(
        "storage_tanks",
        "storage_tanks",
        {"tanks": len(cells), "rows": rows},
        {"road": heading(angle - math.pi / 2)},
        {"tank": colour},
        {"axis": axis(angle)},
    )


def tank(
    layer: Layer, middle: Point, radius: float, colour: Colour, rng: np.random.Generator
) -> None:
    """Draw a tank: its shadow, the rim, and a roof with seams, a stair and a vent."""
    x, y = middle
    layer.disc(x, y, radius, (colour[0] * 0.80, colour[1] * 0.80, colour[2] * 0.80), radius * 0.55)
    layer.disc(x, y, radius * 0.95, colour)
    dull = (colour[0] * 0.90, colour[1] * 0.90, colour[2] * 0.90)
    toward = (layer.throw[0] * radius * 0.18, layer.throw[1] * radius * 0.18)
    layer.disc(
        x + toward[0],
        y + toward[1],
        radius * 0.74,
        (colour[0] * 0.965, colour[1] * 0.965, colour[2] * 0.965),
    )
    turn = rng.uniform(0, 6)
    for k in range(12):
        a = turn + k * math.pi / 6
        layer.line(
            [
                (x + 2 * math.cos(a), y + 2 * math.sin(a)),
                (x + radius * 0.93 * math.cos(a), y + radius * 0.93 * math.sin(a)),
            ],
            0.35,
            dull,
        )
    layer.disc(x, y, radius * 0.1, dull, 0.8)
    stair = [
        (x + radius * 1.03 * math.cos(turn + t), y + radius * 1.03 * math.sin(turn + t))
        for t in np.linspace(0, 1.2, 8)
    ]
    layer.line(stair, 0.8, (120, 116, 110))


def industrial(job: Job) -> Facts:
    """Paint large flat halls with ribbed roofs, yards and lorries."""
    rng, canvas = job.rng, job.canvas
    angle = int(rng.integers(2)) * math.pi / 2 + rng.uniform(-0.12, 0.12)
    at = frame(SIZE / 2, SIZE / 2, angle)
    canvas.cover(earth(rng, (150, 148, 142), 0.08), np.ones((SIZE, SIZE), np.float32))
    halls = job.number("halls", 3, 6)
    colour = job.choice("roof", tuple(HALLS))
    slots = [(u, v) for v in (-72.0, 58.0) for u in (-80.0, 0.0, 80.0)]
    base, layer = canvas.layer(), canvas.layer()
    road(base, [at(-260, -7), at(260, -7)], 11)
    order = [slots[int(i)] for i in rng.permutation(6)]
    for u, v in order[:halls]:
        _hall(
            layer,
            (*at(u + rng.uniform(-3, 3), v), angle),
            (68.0, rng.uniform(74, 88)),
            vary(rng, HALLS[colour]),
            rng,
        )
    lorries = job.number("lorries", 2, 7)
    for k in range(lorries):
        u = -100 + 200 * (k + rng.uniform(0.3, 0.7)) / lorries
        lorry(layer, (*at(u, -10.0 if k % 2 else -4.0), angle + (math.pi if k % 2 else 0)), rng)
    trees: list[tuple[float, float, float]] = []
    for u, v in order[halls:]:
        base.polygon(box(*at(u, v), 70, 84, angle), (122, 122, 120))
        for _ in range(16):
            spot = at(u + rng.uniform(-28, 28), v + rng.uniform(-34, 34))
            layer.polygon(box(*spot, 8, 4, angle), pick(rng, CAR_COLOURS), 2)
        trees += [(*at(u + 34, v + w), rng.uniform(3, 5)) for w in range(-40, 41, 9)]
    canvas.add([base, layer], 0.04)
    trees += [(*at(u, w), rng.uniform(3, 5)) for u in range(-130, 131, 11) for w in (-124, 118)]
    crowns(canvas, np.asarray(trees, np.float32))
    return Facts(
        "industrial",
        "industrial",
        {"halls": halls, "lorries": lorries},
        {},
        {"roof": colour},
        {"axis": axis(angle)},
    )


def _hall(
    layer: Layer,
    pose: tuple[float, float, float],
    size: Point,
    colour: Colour,
    rng: np.random.Generator,
) -> None:
    """Draw a hall with roof ribs, rooflights and fans."""
    x, y, angle = pose
    at = frame(x, y, angle)
    length, width = size
    layer.polygon(box(x, y, length, width, angle), colour, 10)
    dark = (colour[0] * 0.9, colour[1] * 0.9, colour[2] * 0.9)
    for u in steps(-length / 2 + 4, length / 2, 4):
        layer.line([at(u, -width / 2), at(u, width / 2)], 0.4, dark)
    layer.line(
        [at(0, -width / 2), at(0, width / 2)],
        1.2,
        (colour[0] * 1.1, colour[1] * 1.1, colour[2] * 1.1),
    )
    for u in (-length / 4, length / 4):
        for v in steps(-width / 2 + 9, width / 2 - 5, 13):
            layer.polygon(box(*at(u, v), 10, 3, angle), (206, 214, 216))
    for _ in range(int(rng.integers(2, 6))):
        layer.disc(
            *at(rng.uniform(-0.1, 0.1) * length, rng.uniform(-0.4, 0.4) * width),
            1.5,
            (120, 122, 124),
            2,
        )


def lorry(layer: Layer, pose: tuple[float, float, float], rng: np.random.Generator) -> None:
    """Draw a lorry: trailer and cab."""
    at = frame(*pose)
    layer.polygon(
        box(*at(-2, 0), 15, 4.4, pose[2]),
        pick(rng, ((226, 226, 222), (90, 116, 150), (172, 84, 66))),
        4,
    )
    layer.polygon(box(*at(8, 0), 4, 4.2, pose[2]), pick(rng, ((212, 212, 208), (150, 50, 44))), 3)


def solar_farm(job: Job) -> Facts:
    """Paint rows of dark panels in blocks on grass, with inverter cabins and a track."""
    rng, canvas = job.rng, job.canvas
    canvas.cover(
        grass(rng, pick(rng, ((118, 124, 78), (142, 134, 98))), 0.6),
        np.ones((SIZE, SIZE), np.float32),
    )
    angle = rng.uniform(-0.12, 0.12)
    at = frame(SIZE / 2, SIZE / 2, angle)
    base, panels = canvas.layer(), canvas.layer()
    blocks = job.number("blocks", 2, 4)
    spans = {
        2: [(-60, 0, 96, 200), (60, 0, 96, 200)],
        3: [(-76, 0, 66, 200), (0, 0, 66, 200), (76, 0, 66, 200)],
        4: [(-58, -54, 98, 92), (58, -54, 98, 92), (-58, 54, 98, 92), (58, 54, 98, 92)],
    }[blocks]
    rows = 0
    for u, v, wide, tall in spans:
        count = int(tall // 10)
        rows += count
        for k in range(count):
            w = v - tall / 2 + (k + 0.5) * 10
            panels.polygon(box(*at(u, w), wide, 6, angle), vary(rng, (48, 62, 92), 0.06), 2.2)
            panels.line([at(u - wide / 2, w), at(u + wide / 2, w)], 0.35, (122, 136, 158))
            for x in steps(-wide / 2 + 6, wide / 2, 6):
                panels.line([at(u + x, w - 3), at(u + x, w + 3)], 0.25, (104, 118, 144))
    ways = [[at(-118, -112), at(118, -112), at(118, 112), at(-118, 112), at(-118, -112)]]
    ways += (
        [[at(0, -112), at(0, 112)]]
        if blocks != 3
        else [[at(s, -112), at(s, 112)] for s in (-38, 38)]
    )
    if blocks == 4:
        ways.append([at(-118, 0), at(118, 0)])
    for way in ways:
        base.line(way, 4.5, (186, 172, 142))
    cabins = job.number("cabins", 2, 3)
    for k in range(cabins):
        lane = -38 if blocks == 3 else 0
        panels.polygon(
            box(*at(lane, -70 + k * 70 + (20 if blocks == 4 else 0)), 5, 9, angle),
            (222, 222, 216),
            4,
        )
    canvas.add([base, panels], 0.03)
    return Facts(
        "solar_farm",
        "solar_farm",
        {"blocks": blocks, "rows_of_panels": rows, "cabins": cabins},
        {},
        {"panel": "dark blue"},
        {"axis": axis(angle)},
    )
