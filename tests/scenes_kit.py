"""Rasters made for tests, and the pictures that they give."""

import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

from trsllava.images.scenes import read, sources
from trsllava.images.source import Reading, Source

SCENES = Path(__file__).parents[1].parent / "shared" / "data" / "scenes"
UTM = Affine(10, 0, 500000, 0, -10, 5000000)


def tif(path, array, crs="EPSG:32633", transform=UTM, after=lambda file: None, **profile):
    """Write bands x rows x columns; ``after`` sets what is set on an open file."""
    count, height, width = array.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver=profile.pop("driver", "GTiff"),
            count=count,
            height=height,
            width=width,
            dtype=array.dtype,
            **({"crs": crs} if crs else {}),
            **({"transform": transform} if transform else {}),
            **profile,
        ) as file:
            file.write(array)
            after(file)
    return path


def found_in(path, reading=None, image="s.tif"):
    return list(sources(path, image, reading or Reading()))


def pictures(path, reading=None):
    reading = reading or Reading()
    return [
        (one, np.asarray(read(one, reading).pixels).astype(int))
        for one in found_in(path, reading)
        if isinstance(one, Source)
    ]


def mean_colour(path, reading=None):
    [(_, pixels)] = pictures(path, reading)
    return pixels.reshape(-1, 3).mean(0)


def noise(path, **profile):
    array = np.random.default_rng(0).integers(1, 4000, (1, 512, 512)).astype("uint16")
    return tif(path, array, tiled=True, blockxsize=128, blockysize=128, **profile)


def stack(red_band, count=4):
    array = np.full((count, 64, 64), 20, "uint8")
    array[red_band - 1] = 220
    return array


RED = [220, 20, 20]


def described(*names):
    def after(file):
        file.descriptions = names

    return after
