"""Windows of a large GeoTIFF: pictures a second, as a share of what bare rasterio reads.

Two scenes of some 200 MB, made on the spot: three bands of 16 bits with a nodata value (to be
stretched) and of 8 bits (a picture already), in compressed tiles. Both sides read the same windows
in the same order, in turn, from a file that is opened anew and that the system has in its cache;
rasterio only reads, we also find what is no data, stretch, hash and make a picture. Seconds of
the clock and of the processor: the latter suffer less from what else the machine does.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from common import report
from rasterio.windows import Window

from trsllava.images.scenes import read, sources
from trsllava.images.source import Reading, Source

TILE = 512  # pixels
TIMES = 5
# name, side in pixels, type, nodata
SCENES = (("16 bits, nodata", 8192, "uint16", 0), ("8 bits", 10240, "uint8", None))


def write_scene(path: Path, side: int, dtype: str, nodata: int | None) -> None:
    """Write a scene with the noise and the smoothness of a real one."""
    draw = np.random.default_rng(1)
    most = 3000 if dtype == "uint16" else 200
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=side,
        height=side,
        count=3,
        dtype=dtype,
        nodata=nodata,
        crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 500000, 0, -10, 5000000),
        photometric="rgb",
        tiled=True,
        blockxsize=TILE,
        blockysize=TILE,
        compress="deflate",
        predictor=2,
    ) as file:
        for y in range(0, side, TILE):
            ground = draw.normal(most / 500, most / 250, (3, TILE, side)).cumsum(axis=2) % most
            file.write((ground + 30).astype(dtype), window=Window(0, y, side, TILE))


def bare(path: Path, windows: list[Window]) -> None:
    with rasterio.open(path) as dataset:
        for window in windows:
            dataset.read(window=window)


def ours(path: Path, found: list[Source], reading: Reading) -> None:
    for source in found:
        read(replace(source, path=str(path)), reading)


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds of the clock and of the processor that something takes."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


for name, side, dtype, nodata in SCENES:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.tif"
        write_scene(path, side, dtype, nodata)
        reading = Reading(tile=TILE)
        started = time.perf_counter()
        found = [one for one in sources(path, "scene.tif", reading) if isinstance(one, Source)]
        listing = time.perf_counter() - started
        windows = [Window(*source.window) for source in found if source.window]
        # Under a new name each time, since a raster that is open keeps what it has decoded.
        links = [path.with_name(f"{number}.tif") for number in range(TIMES + 1)]
        for link in links:
            link.hardlink_to(path)
        runs = [
            (
                *seconds(lambda: bare(path, windows)),  # noqa: B023 - called at once
                *seconds(lambda: ours(link, found, reading)),  # noqa: B023
            )
            for link in links
        ]
        bare_clock, bare_cpu, our_clock, our_cpu = (
            statistics.median(column) for column in zip(*runs[1:], strict=True)
        )
        report(
            benchmark="scenes",
            scene=name,
            megabytes=path.stat().st_size / 1e6,
            windows=len(windows),
            list_seconds=listing,
            bare_rasterio_seconds=bare_clock,
            seconds=our_clock,
            ratio=bare_clock / our_clock,
            processor_ratio=bare_cpu / our_cpu,
        )
