"""One scene: the picture of a kind, the facts about it, and its record."""

import math
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from types import MappingProxyType
from zlib import crc32

import numpy as np
import numpy.typing as npt

from trsllava.errors import InputError
from trsllava.records import BBox, Metadata, Record

from . import coast, fields, homes, roads, sites, sport, stadium, transport, wild, words, works
from .canvas import Canvas
from .facts import Facts, Job, heading
from .noise import SIZE

MODEL = "sample-archive painter 1"

PAINTERS: Mapping[str, Callable[[Job], Facts]] = MappingProxyType(
    {
        "harbour": coast.harbour,
        "airport": transport.airport,
        "storage_tanks": works.storage_tanks,
        "river_bridge": roads.river_bridge,
        "dense_housing": homes.dense_housing,
        "farmland": fields.farmland,
        "stadium": stadium.stadium,
        "forest": wild.forest,
        "parking": roads.parking,
        "beach": coast.beach,
        "railway": transport.railway,
        "centre_pivot": fields.centre_pivot,
        "villas": homes.villas,
        "desert": wild.desert,
        "industrial": works.industrial,
        "lake": wild.lake,
        "tennis_courts": sport.tennis_courts,
        "mountain": wild.mountain,
        "interchange": roads.interchange,
        "solar_farm": works.solar_farm,
        "baseball_field": sport.baseball_field,
        "wind_turbines": fields.wind_turbines,
    }
)
KINDS = tuple(PAINTERS)


@dataclass(frozen=True, slots=True)
class Scene:
    """A painted scene: pixels (height, width, 3), what is in it, where and when it lies."""

    pixels: npt.NDArray[np.uint8]
    facts: Facts
    bbox: BBox
    datetime: str
    seed: int

    def record(self, image_id: str, taken: Set[str] = frozenset()) -> Record:
        """Return the scene in words, in other words than the texts already `taken`."""
        kind = self.facts.kind
        rng = np.random.default_rng([self.seed, crc32(f"{kind} {image_id}".encode())])
        properties = {"kind": kind, "sensor": "painted", "gsd_m": sites.SITES[kind][0]}
        variants = words.describe(self.facts, rng, taken)
        return Record(image_id, variants, MODEL, Metadata(self.bbox, self.datetime, properties))


def scene(kind: str, seed: int, wanted: Mapping[str, int | str] | None = None) -> Scene:
    """Paint one scene.

    Parameters
    ----------
    kind
        One of `KINDS`.
    seed
        Decides everything else: place, light, layout, counts, colours.
    wanted
        What chance is not to decide, such as ``{"ships": 0}``; place and layout stay the seed's.

    Returns
    -------
    Scene
        The picture and what is known about it.

    Raises
    ------
    InputError
        If there is no such kind, or the seed is negative.
    """
    if kind not in PAINTERS:
        raise InputError(f"there is no kind of scene {kind!r}; choose from {', '.join(KINDS)}")
    if seed < 0:
        raise InputError(f"a seed must be 0 or more, not {seed}")
    fixed = dict(wanted or {})
    rng = np.random.default_rng([seed, crc32(kind.encode())])
    box = sites.footprint(kind, rng)
    shadow = sites.shadow(box, rng)
    canvas = Canvas(rng, shadow, rng.uniform(0.7, 1.1))
    facts = PAINTERS[kind](Job(canvas, rng, fixed))
    light = math.atan2(shadow[1], shadow[0])
    setting = {
        "shadow": heading(light),
        "sun": heading(light + math.pi),
        "extent": f"{round(sites.SITES[kind][0] * SIZE, -1):.0f} metres",
    }
    facts = replace(facts, phrases={**facts.phrases, **setting})
    when = np.random.default_rng([seed, crc32(f"{kind} {sorted(fixed.items())}".encode())])
    return Scene(canvas.finish(), facts, box, sites.moment(box, when), seed)
