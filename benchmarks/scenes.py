"""Windows of a large GeoTIFF: pictures a second, as a share of what bare rasterio reads.

The scene has 3 bands of 16 bits in compressed tiles, some 200 MB, made on the spot. Both read
the same windows in the same order from files in the cache of the system, in turn; rasterio only
reads, we also find no data, stretch, hash and make a picture.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from common import report
from rasterio.windows import Window

from trsllava.images.scenes import read, sources
from trsllava.images.source import Reading, Source

SIDE = 8192  # pixels
TILE = 512
TIMES = 5


def write_scene(path: Path) -> None:
    """Write a scene with the noise and the smoothness of a real one."""
    draw = np.random.default_rng(1)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=SIDE,
        height=SIDE,
        count=3,
        dtype="uint16",
        crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 500000, 0, -10, 5000000),
        nodata=0,
        tiled=True,
        blockxsize=TILE,
        blockysize=TILE,
        compress="deflate",
        predictor=2,
        zlevel=1,
    ) as file:
        for y in range(0, SIDE, TILE):
            ground = draw.normal(1500, 60, (3, TILE, SIDE)).cumsum(axis=2) % 3000
            file.write((ground / 8 + 300).astype("uint16"), window=Window(0, y, SIDE, TILE))


def bare(path: Path, windows: list[Window]) -> float:
    started = time.perf_counter()
    with rasterio.open(path) as dataset:
        for window in windows:
            dataset.read(window=window)
    return time.perf_counter() - started


def ours(found: list[Source], reading: Reading) -> float:
    started = time.perf_counter()
    for source in found:
        read(source, reading)
    return time.perf_counter() - started


with tempfile.TemporaryDirectory() as name:
    path = Path(name) / "scene.tif"
    write_scene(path)
    reading = Reading(tile=TILE)
    started = time.perf_counter()
    found = [one for one in sources(path, "scene.tif", reading) if isinstance(one, Source)]
    listing = time.perf_counter() - started
    windows = [Window(*source.window) for source in found if source.window]
    bare(path, windows), ours(found, reading)
    pairs = [(bare(path, windows), ours(found, reading)) for _ in range(TIMES)]
    bare_seconds, our_seconds = (statistics.median(side) for side in zip(*pairs, strict=True))
    report(
        benchmark="scenes",
        megabytes=path.stat().st_size / 1e6,
        windows=len(windows),
        list_seconds=listing,
        bare_rasterio_seconds=bare_seconds,
        seconds=our_seconds,
        ratio=bare_seconds / our_seconds,
    )
