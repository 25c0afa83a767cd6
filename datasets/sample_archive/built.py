"""Painters of buildings: storage tanks, stadium, dense housing, villas, industrial halls."""

import math

import numpy as np

from .canvas import Layer, Point, ellipse
from .facts import Facts, Job, axis, heading, place
from .ground import crowns, earth, grass, wood
from .noise import SIZE, Colour, along, fractal, mix, smoothstep
from .shapes import (
    CAR_COLOURS, CONCRETE, PAINT, Frame, box, car, curve, frame, pick, road, roof, scattered,
    shifted, vary,
)

TANKS: dict[str, Colour] = {
    "white": (230, 230, 226), "green": (112, 142, 118), "rust-brown": (150, 98, 76),
    "grey": (168, 172, 174),
}
TILES: dict[str, tuple[Colour, ...]] = {
    "red": ((158, 86, 64), (172, 98, 72), (146, 76, 60)),
    "grey": ((126, 126, 128), (108, 112, 118), (144, 142, 140)),
    "brown": ((122, 96, 78), (136, 110, 88), (108, 86, 72)),
}
HALLS: dict[str, Colour] = {
    "white": (214, 214, 210), "blue": (92, 128, 158), "grey": (150, 154, 156),
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
    step = 62.0 if columns == 4 else 74.0
    cells = [((i - (columns - 1) / 2) * step, (j - (rows - 1) / 2) * step * 0.94)
             for j in range(rows) for i in range(columns)]
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
        "storage_tanks", "storage_tanks",
        {"tanks": len(cells), "rows": rows}, {"road": heading(angle - math.pi / 2)},
        {"tank": colour}, {"axis": axis(angle)},
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
    layer.disc(x + toward[0], y + toward[1], radius * 0.74, (
        colour[0] * 0.965, colour[1] * 0.965, colour[2] * 0.965))
    turn = rng.uniform(0, 6)
    for k in range(12):
        a = turn + k * math.pi / 6
        layer.line([(x + 2 * math.cos(a), y + 2 * math.sin(a)),
                    (x + radius * 0.93 * math.cos(a), y + radius * 0.93 * math.sin(a))], 0.35, dull)
    layer.disc(x, y, radius * 0.1, dull, 0.8)
    stair = [(x + radius * 1.03 * math.cos(turn + t), y + radius * 1.03 * math.sin(turn + t))
             for t in np.linspace(0, 1.2, 8)]
    layer.line(stair, 0.8, (120, 116, 110))


def stadium(job: Job) -> Facts:
    """Paint an oval stadium: stands with coloured seats, a running track, a striped pitch."""
    rng, canvas = job.rng, job.canvas
    angle = int(rng.integers(4)) * math.pi / 4 + rng.uniform(-0.12, 0.12)
    at = frame(SIZE / 2, SIZE / 2, angle)
    x, y = SIZE / 2, SIZE / 2
    canvas.cover(earth(rng, (146, 142, 134), 0.06), np.ones((SIZE, SIZE), np.float32))
    canvas.cover(grass(rng, (100, 114, 70)), smoothstep(fractal(rng, 70, 3), 0.2, 0.4))
    around, stands = canvas.layer(), canvas.layer()
    around.polygon(ellipse(x, y, 118, 94, angle, 90), (176, 170, 160))
    seats = job.choice("seat", ("blue", "red", "green", "yellow"))
    tint: Colour = {"blue": (66, 92, 146), "red": (156, 62, 56), "green": (76, 120, 84),
                    "yellow": (190, 160, 74)}[seats]
    stands.polygon(ellipse(x, y, 108, 84, angle, 90), (206, 206, 202), 16)
    stands.polygon(ellipse(x, y, 96, 72, angle, 90), tint)
    for k in range(1, 5):
        loop = ellipse(x, y, 96 - k * 3.6, 72 - k * 3.6, angle, 90)
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
        "stadium", "stadium", {"floodlight_masts": masts}, {"stadium": "centre"},
        {"seat": seats, "track": track}, {"axis": axis(angle)},
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
    ring.polygon(ellipse(x, y, 78, 54, angle, 80), (112, 126, 82))
    oval = [at(sign * 32 + sign * 42 * math.sin(t), -sign * 42 * math.cos(t))
            for sign in (1, -1) for t in np.linspace(0, math.pi, 24)]
    ring.polygon(oval, track)
    for k in range(1, 6):
        lane = [at(sign * 32 + sign * (42 - k * 2) * math.sin(t), -sign * (42 - k * 2) * math.cos(t))
                for sign in (1, -1) for t in np.linspace(0, math.pi, 24)]
        ring.line([*lane, lane[0]], 0.35, (224, 212, 204))
    inner = [at(sign * 32 + sign * 30 * math.sin(t), -sign * 30 * math.cos(t))
             for sign in (1, -1) for t in np.linspace(0, math.pi, 24)]
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
        u, v = (98 if k % 2 else -98), (76 if k // 2 else -76)
        layer.disc(*at(u, v), 2.4, (206, 206, 206), 20)
    for v in (-112.0, 112.0):
        for u in np.arange(-110, 111, 5.0):
            if rng.random() < 0.6:
                car(layer, at(u, v), rng.uniform(-0.06, 0.06) + math.atan2(
                    at(0, 1)[1] - SIZE / 2, at(0, 1)[0] - SIZE / 2), pick(rng, CAR_COLOURS), 6)
    job.canvas.add(layer, 0.03)
    u, v = along(0.0)
    free = smoothstep(np.hypot(u, v), 136, 140)
    crowns(job.canvas, wood(rng, free, 10, (3.5, 6)))


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
            _terrace(job, houses, at, (angle, v, side, cross), TILES[tiles], trees)
    canvas.add([ways, houses], 0.05)
    _street_cars(job, at, centres, cross)
    crowns(canvas, np.asarray(trees, np.float32))
    return Facts(
        "dense_housing", "dense_housing", {"streets": streets, "cross_streets": 1},
        {}, {"roof": tiles}, {"axis": axis(angle), "cross": axis(angle + math.pi / 2)},
    )


def _terrace(
    job: Job, layer: Layer, at: Frame, row: tuple[float, float, int, float],
    tiles: tuple[Colour, ...], trees: list[tuple[float, float, float]] | None = None,
) -> None:
    """Set one row of houses along a street, gardens and trees behind it."""
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
            if trees is not None and rng.random() < 0.55:
                x, y = at(middle + rng.uniform(-6, 6), street + side * (13 + depth + rng.uniform(0, 5)))
                trees.append((x, y, rng.uniform(2.5, 5)))
        u += length + (0.8 if rng.random() < 0.7 else rng.uniform(2, 6))


def _street_cars(job: Job, at: Frame, streets: list[float], cross: float) -> None:
    layer = job.canvas.layer()
    turn = math.atan2(at(1, 0)[1] - SIZE / 2, at(1, 0)[0] - SIZE / 2)
    for v in streets:
        for u in np.arange(-150, 150, 9.0):
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
    free = [p for p in scattered(rng, 60, 52, 32)
            if 30 < min(math.hypot(p[0] - a, p[1] - b) for a, b in lane) < 82][:wanted]
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
    return Facts("villas", "villas", {"houses": len(free), "pools": pools}, {},
                 {"roof": tiles}, {"axis": axis(angle)})


def _villa(
    job: Job, layers: tuple[Layer, Layer], middle: Point, lane: list[Point],
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
        _hall(layer, (*at(u + rng.uniform(-3, 3), v), angle), (68.0, rng.uniform(74, 88)),
              vary(rng, HALLS[colour]), rng)
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
    assert mix is not None and CONCRETE and shifted and place
    return Facts(
        "industrial", "industrial", {"halls": halls, "lorries": lorries}, {},
        {"roof": colour}, {"axis": axis(angle)},
    )


def _hall(
    layer: Layer, pose: tuple[float, float, float], size: Point, colour: Colour,
    rng: np.random.Generator,
) -> None:
    """Draw a hall with roof ribs, rooflights and fans."""
    x, y, angle = pose
    at = frame(x, y, angle)
    length, width = size
    layer.polygon(box(x, y, length, width, angle), colour, 10)
    dark = (colour[0] * 0.9, colour[1] * 0.9, colour[2] * 0.9)
    for u in np.arange(-length / 2 + 4, length / 2, 4):
        layer.line([at(u, -width / 2), at(u, width / 2)], 0.4, dark)
    layer.line([at(0, -width / 2), at(0, width / 2)], 1.2, (colour[0] * 1.1, colour[1] * 1.1, colour[2] * 1.1))
    for u in (-length / 4, length / 4):
        for v in np.arange(-width / 2 + 9, width / 2 - 5, 13):
            layer.polygon(box(*at(u, v), 10, 3, angle), (206, 214, 216))
    for _ in range(int(rng.integers(2, 6))):
        layer.disc(*at(rng.uniform(-0.1, 0.1) * length, rng.uniform(-0.4, 0.4) * width), 1.5,
                   (120, 122, 124), 2)


def lorry(layer: Layer, pose: tuple[float, float, float], rng: np.random.Generator) -> None:
    """Draw a lorry: trailer and cab."""
    at = frame(*pose)
    layer.polygon(box(*at(-2, 0), 15, 4.4, pose[2]), pick(rng, ((226, 226, 222), (90, 116, 150), (172, 84, 66))), 4)
    layer.polygon(box(*at(8, 0), 4, 4.2, pose[2]), pick(rng, ((212, 212, 208), (150, 50, 44))), 3)
