"""Where and when a scene was supposedly taken: invented, but each kind in a plausible country."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np

from trsllava.records import BBox

from .noise import SIZE

# Metres a pixel, and some (latitude, longitude) around which scenes of the kind may lie.
SITES: dict[str, tuple[float, tuple[tuple[float, float], ...]]] = {
    "harbour": (2.4, ((53.54, 9.93), (51.93, 4.05), (-33.03, -71.62), (35.44, 139.67))),
    "airport": (1.2, ((48.35, 11.79), (39.86, -104.67), (-23.43, -46.47), (41.3, 2.08))),
    "storage_tanks": (1.6, ((29.74, -95.12), (51.88, 4.32), (-22.7, -43.25), (1.26, 103.7))),
    "stadium": (1.1, ((52.51, 13.24), (40.42, -3.68), (-34.55, -58.45), (45.48, 9.12))),
    "farmland": (4.0, ((48.9, 2.1), (52.3, -1.2), (50.1, 19.4), (-35.1, -60.5))),
    "centre_pivot": (6.5, ((38.1, -100.8), (29.8, 38.6), (22.2, 28.7), (-28.6, 24.7))),
    "river_bridge": (1.0, ((47.6, 1.5), (50.3, 7.6), (44.9, -93.1), (-31.6, -60.6))),
    "dense_housing": (0.55, ((51.5, -0.08), (43.3, 5.4), (-12.05, -77.05), (39.47, -0.37))),
    "villas": (0.6, ((43.6, 7.05), (34.1, -118.4), (-33.95, 18.4), (38.7, -9.4))),
    "forest": (0.8, ((48.5, 8.2), (62.1, 25.6), (45.6, -122.9), (-40.6, -71.7))),
    "beach": (0.7, ((39.5, 2.7), (36.5, -6.2), (-22.99, -43.2), (-33.9, 151.27))),
    "parking": (0.35, ((40.0, -82.9), (48.7, 2.2), (-37.8, 145.1), (52.1, 5.1))),
    "railway": (1.0, ((49.4, 8.7), (51.4, -0.9), (46.2, 6.1), (-33.9, 151.1))),
    "solar_farm": (0.8, ((37.4, -5.9), (35.0, -118.2), (-29.2, 20.8), (51.2, 12.4))),
    "industrial": (1.0, ((51.5, 7.4), (45.5, 9.3), (41.7, -87.7), (-23.6, -46.6))),
    "interchange": (1.3, ((50.05, 8.6), (33.9, -84.3), (-26.1, 28.1), (45.1, 7.6))),
    "desert": (5.0, ((23.5, 11.2), (21.4, 50.2), (-24.6, 15.4), (39.9, 102.1))),
    "tennis_courts": (0.4, ((48.85, 2.25), (40.75, -73.84), (-37.82, 144.98), (41.4, 2.1))),
    "baseball_field": (0.7, ((40.8, -73.9), (35.7, 139.7), (41.9, -87.8), (18.4, -66.1))),
    "lake": (0.9, ((53.4, 13.2), (61.8, 28.9), (46.6, -93.6), (-41.1, -71.6))),
    "mountain": (7.0, ((46.5, 8.0), (45.8, 6.9), (39.1, -106.4), (-32.6, -70.0))),
    "wind_turbines": (2.4, ((53.9, 8.9), (55.6, 9.4), (42.0, -93.5), (-38.4, -60.3))),
}


def footprint(kind: str, rng: np.random.Generator) -> BBox:
    """Return the box in EPSG:4326 that the picture covers at the kind's metres a pixel."""
    metres, places = SITES[kind]
    latitude, longitude = places[int(rng.integers(len(places)))]
    latitude += rng.uniform(-0.03, 0.03)
    longitude += rng.uniform(-0.03, 0.03)
    half = SIZE * metres / 2 / 111_320
    wide = half / math.cos(math.radians(latitude))
    corners = (longitude - wide, latitude - half, longitude + wide, latitude + half)
    return BBox(*(round(float(c), 6) for c in corners))


def shadow(box: BBox, rng: np.random.Generator) -> tuple[float, float]:
    """Return the way that shadows fall (x east, y south): away from the equator."""
    aside = math.radians(rng.uniform(15, 62)) * (1 if rng.random() < 0.5 else -1)
    away = -1 if box.south > 0 else 1
    return math.sin(aside), away * math.cos(aside)


def moment(box: BBox, rng: np.random.Generator) -> str:
    """Return an instant from 2019 to 2025, about half past ten in the morning at the place."""
    day = datetime(2019, 1, 1, 10, 30, tzinfo=UTC) + timedelta(days=int(rng.integers(0, 2500)))
    local = day - timedelta(hours=(box.west + box.east) / 30, minutes=float(rng.uniform(-40, 40)))
    return local.replace(microsecond=0).isoformat().replace("+00:00", "Z")
