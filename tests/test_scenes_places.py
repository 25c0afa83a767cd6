"""Footprints and dates of rasters."""

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine
from rasterio.warp import transform_bounds
from scenes_kit import UTM, found_in, tif

from trsllava.images import notices
from trsllava.images.source import Reading
from trsllava.records import BBox


@pytest.fixture(autouse=True)
def _new_job():
    notices.forget()


def close(bbox, *expected):
    assert isinstance(bbox, BBox)
    assert bbox == pytest.approx(expected, abs=1e-4)


def test_a_rotated_raster_has_four_corners_and_the_box_around_all_of_them(tmp_path):
    turn = Affine(7.07, 7.07, 500000, 7.07, -7.07, 5000000)
    [one] = found_in(tif(tmp_path / "s.tif", np.zeros((3, 100, 200), "uint8"), transform=turn))
    close(one.metadata.bbox, 15.0, 45.1471, 15.0270, 45.1662)
    corners = [(15.0, 45.1535), (15.0180, 45.1662), (15.0270, 45.1598), (15.0090, 45.1471)]
    for got, expected in zip(one.metadata.properties["footprint"], corners, strict=True):
        assert got == pytest.approx(expected, abs=1e-4)


def test_a_south_up_raster_has_a_box_the_right_way_round_and_no_corners(tmp_path):
    up = Affine(10, 0, 500000, 0, 10, 4999000)
    [one] = found_in(tif(tmp_path / "s.tif", np.zeros((3, 100, 200), "uint8"), transform=up))
    close(one.metadata.bbox, 15.0, 45.1445, 15.0254, 45.1535)
    assert one.metadata.properties == {}


@pytest.mark.parametrize(
    "turn", [UTM, Affine(10, 0, 500000, 0, 10, 4999000), Affine(7, 7, 500000, 7, -7, 5000000)]
)
def test_windows_lie_inside_their_scene_and_together_fill_it(tmp_path, turn):
    path = tif(tmp_path / "s.tif", np.zeros((3, 100, 200), "uint8"), transform=turn)
    [whole] = found_in(path)
    boxes = [one.metadata.bbox for one in found_in(path, Reading(tile=50))]
    assert len(set(boxes)) == 8
    assert all(box.west < box.east and box.south < box.north for box in boxes)
    union = (
        min(box.west for box in boxes),
        min(box.south for box in boxes),
        max(box.east for box in boxes),
        max(box.north for box in boxes),
    )
    close(whole.metadata.bbox, *union)


@pytest.mark.parametrize("crs", [None, "EPSG:32633"])
def test_a_raster_without_crs_or_without_transform_has_no_footprint_and_that_is_said_once(
    tmp_path, crs, caplog
):
    transform = None if crs else UTM
    path = tif(tmp_path / "n.tif", np.zeros((3, 50, 80), "uint8"), crs=crs, transform=transform)
    for _ in range(2):
        [one] = found_in(path)
        assert one.metadata.bbox is None
    assert sum("no bbox" in record.message for record in caplog.records) == 1


def test_degrees_that_are_none_give_no_footprint(tmp_path):
    path = tif(tmp_path / "s.tif", np.zeros((1, 50, 80), "uint8"), crs="EPSG:4326")
    assert found_in(path)[0].metadata.bbox is None


def gcps(west, east):
    corners = [(0, 0, west, 46), (0, 200, east, 46), (100, 0, west, 45), (100, 200, east, 45)]
    return [GroundControlPoint(row, column, x, y) for row, column, x, y in corners]


def test_ground_control_points_give_a_footprint_and_windows_too(tmp_path):
    path = tif(
        tmp_path / "g.tif",
        np.zeros((1, 100, 200), "uint8"),
        crs="EPSG:4326",
        transform=None,
        gcps=gcps(15, 16),
    )
    [one] = found_in(path)
    close(one.metadata.bbox, 15, 45, 16, 46)
    assert len(one.metadata.properties["footprint"]) == 4
    close(found_in(path, Reading(tile=100))[1].metadata.bbox, 15.5, 45, 16, 46)


def test_ground_control_points_across_the_antimeridian_do_not_span_the_globe(tmp_path):
    path = tif(
        tmp_path / "g.tif",
        np.zeros((1, 100, 200), "uint8"),
        crs="EPSG:4326",
        transform=None,
        gcps=gcps(179.5, -179.5),
    )
    close(found_in(path)[0].metadata.bbox, 179.5, 45, -179.5, 46)


@pytest.mark.parametrize(
    ("crs", "transform", "shape", "expected"),
    [
        # Fiji, across the antimeridian, in UTM and as degrees beyond 180
        ("EPSG:32701", Affine(1000, 0, 100000, 0, -1000, 8e6), (100, 200), (179.2, -19, -179, -18)),
        ("EPSG:4326", Affine(0.1, 0, 179, 0, -0.1, -17), (10, 20), (179, -18, -179, -17)),
        # the globe, from -180 and from 0
        ("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), (180, 360), (-180, -90, 180, 90)),
        ("EPSG:4326", Affine(1, 0, 0, 0, -1, 90), (180, 360), (-180, -90, 180, 90)),
        ("EPSG:4326", Affine(1, 0, 200, 0, -1, 50), (10, 100), (-160, 40, -60, 50)),
        # around the pole
        ("EPSG:3413", Affine(1e4, 0, -1e6, 0, -1e4, 1e6), (200, 200), (-180, 77, 180, 90)),
        ("EPSG:3031", Affine(1e4, 0, -1e6, 0, -1e4, 1e6), (200, 200), (-180, -90, 180, -77)),
    ],
)
def test_the_antimeridian_and_the_poles_are_told(tmp_path, crs, transform, shape, expected):
    path = tif(tmp_path / "s.tif", np.zeros((1, *shape), "uint8"), crs=crs, transform=transform)
    bbox = found_in(path)[0].metadata.bbox
    assert bbox == pytest.approx(expected, abs=0.6)
    assert (bbox.west > bbox.east) == (expected[0] > expected[2])


def test_a_crs_without_an_epsg_code_counts(tmp_path):
    wkt = rasterio.crs.CRS.from_proj4(
        "+proj=laea +lat_0=45 +lon_0=15 +x_0=1234 +y_0=4321 +datum=WGS84 +units=m"
    ).to_wkt()
    path = tif(
        tmp_path / "s.tif",
        np.zeros((1, 100, 100), "uint8"),
        crs=wkt,
        transform=Affine(10, 0, 1234, 0, -10, 4321),
    )
    close(found_in(path)[0].metadata.bbox, 15, 44.991, 15.0127, 45)


def test_pixel_is_point_moves_no_footprint_by_half_a_pixel(tmp_path):
    boxes = []
    for kind in ("Area", "Point"):
        path = tif(
            tmp_path / f"{kind}.tif",
            np.zeros((1, 10, 10), "uint8"),
            transform=Affine(1000, 0, 500000, 0, -1000, 5000000),
            after=lambda file, kind=kind: file.update_tags(AREA_OR_POINT=kind),
        )
        with rasterio.open(path) as file:
            expected = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
        [one] = found_in(path)
        assert one.metadata.bbox == pytest.approx(expected, abs=1e-5)
        boxes.append(one.metadata.bbox)
    assert boxes[0] == boxes[1]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"TIFFTAG_DATETIME": "2020:05:18 13:24:00"}, "2020-05-18T13:24:00Z"),
        ({"TIFFTAG_DATETIME": "2020:13:18 13:24:00"}, None),
        ({"TIFFTAG_DATETIME": "yesterday"}, None),
        (
            {
                "TIFFTAG_DATETIME": "2024:01:01 00:00:00",
                "ACQUISITIONDATETIME": "2020-05-18 13:24:00",
            },
            "2020-05-18T13:24:00Z",
        ),
    ],
)
def test_the_date_of_a_scene_is_rfc_3339_or_nothing(tmp_path, tags, expected):
    path = tif(
        tmp_path / "s.tif",
        np.zeros((1, 32, 32), "uint8"),
        after=lambda file: file.update_tags(**tags),
    )
    assert found_in(path)[0].metadata.datetime == expected
