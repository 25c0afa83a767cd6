"""One scene: the picture of a kind, the facts about it, and its record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from zlib import crc32

import numpy as np
import numpy.typing as npt

from trsllava.errors import InputError
from trsllava.records import BBox, Metadata, Record

from . import built, coast, land, sites, sport, transport, words
from .canvas import Canvas
from .facts import Facts, Job

MODEL = "sample-archive painter 1"

PAINTERS: Mapping[str, Callable[[Job], Facts]] = MappingProxyType({
    "harbour": coast.harbour,
    "airport": transport.airport,
    "storage_tanks": built.storage_tanks,
    "river_bridge": coast.river_bridge,
    "dense_housing": built.dense_housing,
    "farmland": land.farmland,
    "stadium": built.stadium,
    "forest": land.forest,
    "parking": transport.parking,
    "beach": coast.beach,
    "railway": transport.railway,
    "centre_pivot": land.centre_pivot,
    "villas": built.villas,
    "desert": land.desert,
    "industrial": built.industrial,
    "lake": coast.lake,
    "tennis_courts": sport.tennis_courts,
    "mountain": land.mountain,
    "interchange": transport.interchange,
    "solar_farm": sport.solar_farm,
    "baseball_field": sport.baseball_field,
    "wind_turbines": sport.wind_turbines,
})
KINDS = tuple(PAINTERS)


@dataclass(frozen=True, slots=True)
class Scene:
    """A painted scene: pixels (height, width, 3), what is in it, where and when it lies."""

    pixels: npt.NDArray[np.uint8]
    facts: Facts
    bbox: BBox
    datetime: str
    seed: int
    wanted: Mapping[str, int | str] = field(default_factory=dict)

    def record(self, image_id: str, wording: int = 0) -> Record:
        """Return the scene in words; another `wording` takes other synonyms."""
        kind = self.facts.kind
        rng = np.random.default_rng([self.seed, crc32(f"{kind} {wording}".encode())])
        properties = {"kind": kind, "sensor": "painted", "gsd_m": sites.SITES[kind][0]}
        return Record(
            image_id, words.describe(self.facts, rng), MODEL,
            Metadata(self.bbox, self.datetime, properties),
        )


def scene(kind: str, seed: int, wanted: Mapping[str, int | str] | None = None) -> Scene:
    """Paint one scene.

    ``wanted`` fixes what chance would otherwise decide, such as ``{"ships": 0}``; the same seed
    then still gives the same place and layout.

    Raises
    ------
    InputError
        If there is no such kind, or the seed is negative.
    """
    if kind not in PAINTERS:
        raise InputError(f"there is no kind of scene {kind!r}; choose from {', '.join(KINDS)}")
    if seed < 0:
        raise InputError(f"a seed must be 0 or more, not {seed}")
    wanted = dict(wanted or {})
    rng = np.random.default_rng([seed, crc32(kind.encode())])
    box = sites.footprint(kind, rng)
    canvas = Canvas(rng, sites.shadow(box, rng), rng.uniform(0.7, 1.1))
    facts = PAINTERS[kind](Job(canvas, rng, wanted))
    when = np.random.default_rng([seed, crc32(f"{kind} {sorted(wanted.items())}".encode())])
    return Scene(canvas.finish(), facts, box, sites.moment(box, when), seed, wanted)
