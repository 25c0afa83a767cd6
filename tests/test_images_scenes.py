"""Rasters: what pictures a scene gives, where they lie, and what they look like."""

import logging
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

from trsllava.errors import UsageError
from trsllava.images import notices, stretch
from trsllava.images.opening import open_source
from trsllava.images.scenes import read, sources
from trsllava.images.source import Reading, Skipped, Source, Unfit, Unreadable
from trsllava.records import BBox

SCENES = Path(__file__).parents[1].parent / "shared" / "data" / "scenes"
UTM = Affine(10, 0, 500000, 0, -10, 5000000)


@pytest.fixture(autouse=True)
def _new_job():
    notices.forget()


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


# --- windows


def test_windows_cover_the_scene_row_by_row_and_the_last_ones_are_moved_inward(tmp_path):
    path = tif(tmp_path / "s.tif", np.full((3, 100, 150), 9, "uint8"))
    found = found_in(path, Reading(tile=64, overlap=16))
    assert [one.image for one in found] == [
        "s.tif#0,0,64,64",
        "s.tif#48,0,64,64",
        "s.tif#86,0,64,64",
        "s.tif#0,36,64,64",
        "s.tif#48,36,64,64",
        "s.tif#86,36,64,64",
    ]
    assert [tuple(one.window) for one in found][2] == (86, 0, 64, 64)


@pytest.mark.parametrize(("size", "count"), [(128, 4), (64, 1), (65, 4), (40, 1)])
def test_a_scene_of_whole_tiles_has_no_window_twice(tmp_path, size, count):
    path = tif(tmp_path / "s.tif", np.full((1, size, size), 9, "uint8"))
    found = found_in(path, Reading(tile=64))
    assert len(found) == len({one.image for one in found}) == count
    assert all(one.window.width == min(size, 64) for one in found)


def test_without_tile_the_whole_raster_is_one_picture_with_size_and_time_of_its_file(tmp_path):
    path = tif(tmp_path / "s.tif", np.full((3, 40, 50), 9, "uint8"))
    [one] = found_in(path)
    assert (one.image, one.window, one.path) == ("s.tif", None, str(path))
    assert (one.size, one.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
    assert Source.from_json(one.to_json()) == one


def test_each_window_shows_its_own_pixels(tmp_path):
    array = np.zeros((3, 96, 96), "uint8")
    for row in range(3):
        for column in range(3):
            array[:, row * 32 : row * 32 + 32, column * 32 : column * 32 + 32] = np.array(
                [row * 50, column * 50, 200]
            )[:, None, None]
    got = pictures(tif(tmp_path / "s.tif", array), Reading(tile=32))
    assert len(got) == 9
    for one, pixels in got:
        assert (pixels == [one.window.y // 32 * 50, one.window.x // 32 * 50, 200]).all()


def test_the_same_window_gives_the_same_bytes_whatever_else_is_read(tmp_path):
    array = np.random.default_rng(0).integers(0, 4000, (3, 128, 128)).astype("uint16")
    path = tif(tmp_path / "s.tif", array)
    reading = Reading(tile=32)
    found = found_in(path, reading)
    forward = [read(one, reading).sha256 for one in found]
    backward = [read(one, reading).sha256 for one in reversed(found)]
    assert forward == backward[::-1]
    assert len(set(forward)) == len(found) == 16
    other = found_in(path, Reading(tile=32, overlap=4))
    assert read(other[0], reading).sha256 == forward[0]


@pytest.mark.parametrize(
    "reading", [Reading(tile=27), Reading(tile=64, overlap=64), Reading(tile=64, overlap=-1)]
)
def test_a_tile_or_overlap_that_cannot_be_is_a_usage_error(tmp_path, reading):
    path = tif(tmp_path / "s.tif", np.zeros((1, 64, 64), "uint8"))
    with pytest.raises(UsageError, match="--(tile|overlap)"):
        found_in(path, reading)


def test_a_whole_large_scene_is_said_once_and_names_the_remedy(tmp_path, caplog):
    path = tif(tmp_path / "s.tif", np.zeros((1, 8, 5000), "uint8"))
    found_in(path), found_in(path)
    assert [record.message for record in caplog.records if "--tile" in record.message] == [
        f"{path} has 5000 x 8 pixels and becomes one small picture (others like it too); "
        "--tile PX cuts scenes in windows"
    ]


# --- stretch


def test_limits_are_robust_and_never_fall_together():
    draw = np.random.default_rng(0).integers(1000, 2000, (50, 50)).astype("uint16")
    draw[0, 0] = 60000
    low, high = stretch.limits(draw, np.ones((50, 50), bool))
    assert 1000 <= low < 1050
    assert 1950 < high < 2000
    for value in (0, 7, -7):
        low, high = stretch.limits(np.full((4, 4), value, "int16"), np.ones((4, 4), bool))
        assert low < high
        shown = stretch.apply(np.full((4, 4), value, "int16"), (low, high))
        assert shown.max() < 255


@pytest.mark.parametrize(
    ("dtype", "expected"), [("int8", (-128, 127)), ("uint16", (0, 65535)), ("float32", (0, 1))]
)
def test_where_nothing_is_valid_the_limits_are_those_of_the_type(dtype, expected):
    assert stretch.limits(np.ones((3, 3), dtype), np.zeros((3, 3), bool)) == expected


def test_values_that_are_no_numbers_or_beyond_all_measure_do_not_count():
    array = np.array([[np.nan, np.inf, -np.inf, -3.4e38, 1e308, 1, 2, 3]])
    low, high = stretch.limits(array, np.ones_like(array, bool))
    assert 1 <= low < high <= 3
    assert stretch.apply(array, (1.0, 3.0)).tolist() == [[0, 255, 0, 0, 255, 0, 128, 255]]


def test_narrow_integers_do_not_overflow_between_two_values():
    array = np.array([[-128, 127]], "int8")
    low, high = stretch.limits(array, np.ones_like(array, bool))
    assert -128 <= low < -100 < 100 < high <= 127
    assert stretch.apply(array, (low, high)).tolist() == [[0, 255]]


def test_eight_bits_are_a_picture_already():
    array = np.arange(256, dtype="uint8").reshape(16, 16)
    assert stretch.limits(array, np.ones_like(array, bool)) == (0, 255)
    assert (stretch.apply(array, (0.0, 255.0)) == array).all()


def test_sixteen_bits_keep_the_order_of_all_values_and_use_the_whole_range():
    array = np.arange(300, 3001, dtype="uint16")[None]
    shown = stretch.apply(array, (300.0, 3000.0))[0].astype(int)
    assert (np.diff(shown) >= 0).all()
    assert (shown[0], shown[-1], len(set(shown))) == (0, 255, 256)


def test_a_blue_scene_of_sixteen_bits_is_blue(tmp_path):
    array = np.zeros((3, 64, 64), "uint16")
    array[2] = 3000
    array[:, :8] = 200
    red, green, blue = mean_colour(tif(tmp_path / "s.tif", array))
    assert blue > 200
    assert max(red, green) < 20


@pytest.mark.parametrize(("dtype", "nodata"), [("int32", -9999), ("float32", np.nan)])
def test_dark_water_stays_dark_and_no_data_or_one_bright_pixel_take_the_range(
    tmp_path, dtype, nodata
):
    draw = np.random.default_rng(1)
    array = np.empty((1, 512, 512), dtype)
    array[0, :, :256] = draw.integers(300, 341, (512, 256))
    array[0, :, 256:] = draw.integers(300, 3001, (512, 256))
    array[0, :100, :100] = nodata
    array[0, 300, 300] = 60000
    path = tif(tmp_path / "s.tif", array, nodata=nodata)
    got = pictures(path, Reading(tile=256))
    assert len({one.rendering for one, _ in got}) == 1
    means = {tuple(one.window)[:2]: pixels.mean() for one, pixels in got}
    assert means[0, 256] < 10
    assert 100 < means[256, 0] < 160
    assert abs(means[256, 0] - means[256, 256]) < 5
    assert (got[0][1][:100, :100] == 128).all()  # the ground where there is no data
    assert got[0][1][100:, 100:].max() < 10


def test_zeros_that_nobody_declared_do_not_wash_a_scene_out(tmp_path):
    array = np.random.default_rng(1).integers(7400, 8500, (1, 100, 100)).astype("uint16")
    array[0, :20] = 0
    [(_, pixels)] = pictures(tif(tmp_path / "s.tif", array))
    assert pixels[:20].max() == 0
    assert 100 < pixels[20:].mean() < 155


# --- no data


def test_windows_without_data_are_left_out_and_counted(tmp_path):
    array = np.zeros((3, 128, 128), "uint16")
    array[:, :64, :64] = 500
    array[:, 127, 127] = 500  # one pixel is data
    found = found_in(tif(tmp_path / "s.tif", array, nodata=0), Reading(tile=64))
    assert [one.image for one in found if isinstance(one, Source)] == [
        "s.tif#0,0,64,64",
        "s.tif#64,64,64,64",
    ]
    assert [one for one in found if not isinstance(one, Source)] == [
        Skipped("window without data", 2)
    ]


def test_a_raster_without_any_data_is_skipped(tmp_path):
    path = tif(tmp_path / "s.tif", np.full((1, 64, 64), np.nan, "float32"))
    assert found_in(path) == [Skipped("scene without data", 1)]


def test_a_single_pixel_of_data_that_the_sample_misses_is_found(tmp_path):
    array = np.zeros((1, 2100, 2100), "uint8")
    array[0, 1001, 1001] = 7
    path = tif(tmp_path / "s.tif", array, nodata=0, tiled=True, compress="deflate")
    [one] = found_in(path)
    assert isinstance(one, Source)
    tiles = found_in(path, Reading(tile=700))
    assert [type(one) for one in tiles] == [Source, Skipped]
    assert tiles[0].image == "s.tif#700,700,700,700"


def test_alpha_is_a_mask(tmp_path):
    array = np.full((4, 64, 64), 200, "uint8")
    array[3, :, 32:] = 0
    array[3, 0, 0] = 1  # hardly there is there
    got = pictures(tif(tmp_path / "s.tif", array))
    [(_, pixels)] = got
    assert (pixels[:, :32] == 200).all()
    assert (pixels[:, 32:] == 128).all()


def test_a_mask_inside_the_file_counts(tmp_path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        mask = np.zeros((64, 64), bool)
        mask[:, :32] = True
        path = tif(
            tmp_path / "s.tif",
            np.full((3, 64, 64), 50, "uint8"),
            after=lambda file: file.write_mask(mask),
        )
    [(_, pixels)] = pictures(path)
    assert (pixels[:, :32] == 50).all()
    assert (pixels[:, 32:] == 128).all()


def test_a_nodata_value_that_the_type_cannot_hold_hides_nothing(tmp_path):
    path = tif(tmp_path / "s.tif", np.full((1, 64, 64), 55537, "uint16"), nodata=12345)
    raw = path.read_bytes()
    assert raw.count(b"12345") == 1
    path.write_bytes(raw.replace(b"12345", b"-9999"))  # is 55537 modulo 65536
    [(_, pixels)] = pictures(path, Reading(tile=64))
    assert (pixels == 128).all()  # a constant is grey
    [(one, _)] = pictures(path)
    assert one.rendering.limits[0] == (0, 2 * 55537)


# --- bands


def stack(red_band, count=4):
    array = np.full((count, 64, 64), 20, "uint8")
    array[red_band - 1] = 220
    return array


RED = [220, 20, 20]


def described(*names):
    def after(file):
        file.descriptions = names

    return after


def interpreted(*colours):
    def after(file):
        file.colorinterp = colours

    return after


@pytest.mark.parametrize(
    ("red_band", "names"),
    [
        (3, ("blue", "green", "red", "nir")),
        (3, ("Blue (B2)", "Green (B3)", "Red (B4)", "NIR")),
        (3, ("b", "g", "r", "n")),
        (3, ("B02", "B03", "B04", "B08")),
        (4, ("near infra-red", "blue", "green", "red")),
        (6, ("coastal_blue", "blue", "green_i", "green", "rededge", "red", "red edge", "nir")),
    ],
)
def test_names_say_which_band_is_red(tmp_path, red_band, names, caplog):
    path = tif(tmp_path / "s.tif", stack(red_band, len(names)), after=described(*names))
    assert mean_colour(path).tolist() == RED
    assert "--bands" not in caplog.text


def test_colour_interpretation_says_which_band_is_red(tmp_path, caplog):
    colours = [ColorInterp[name] for name in ("blue", "green", "red", "undefined")]
    path = tif(tmp_path / "s.tif", stack(3), after=interpreted(*colours))
    assert mean_colour(path).tolist() == RED
    assert "--bands" not in caplog.text


def test_near_infrared_in_fourth_place_is_no_alpha(tmp_path):
    array = stack(3)
    array[3] = 0  # water is black there
    path = tif(tmp_path / "s.tif", array, after=described("blue", "green", "red", "nir"))
    assert mean_colour(path).tolist() == RED


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_without_a_hint_the_first_three_bands_are_taken_and_that_is_said_once(
    tmp_path, dtype, caplog
):
    array = stack(1).astype(dtype)
    for name in ("a.tif", "b.tif"):
        [(one, _)] = pictures(tif(tmp_path / name, array))
        assert one.rendering.bands == (1, 2, 3)
    said = [record.message for record in caplog.records if "--bands" in record.message]
    assert len(said) == 1
    assert "4 bands: bands 1,2,3 are shown as red, green, blue" in said[0]


def test_the_user_chooses_bands(tmp_path):
    path = tif(tmp_path / "s.tif", stack(3), after=described("red", "green", "blue", "nir"))
    assert mean_colour(path, Reading(bands=(3, 2, 1))).tolist() == RED


def test_bands_that_are_not_there_name_the_file_and_what_it_has(tmp_path):
    path = tif(tmp_path / "s.tif", stack(3))
    with pytest.raises(UsageError, match=r"--bands 5,2,1: .*s\.tif has the bands 1 to 4"):
        found_in(path, Reading(bands=(5, 2, 1)))


def test_one_band_is_grey_and_two_show_the_first(tmp_path, caplog):
    assert mean_colour(tif(tmp_path / "a.tif", stack(1, 1))).tolist() == [220, 220, 220]
    assert "--bands" not in caplog.text
    assert mean_colour(tif(tmp_path / "b.tif", stack(1, 2))).tolist() == [220, 220, 220]
    assert "2 bands: band 1 is shown in grey" in caplog.text


def test_a_palette_gives_its_colours(tmp_path):
    array = np.zeros((1, 64, 64), "uint8")
    array[0, :, 32:] = 7
    path = tif(
        tmp_path / "s.tif",
        array,
        photometric="palette",
        after=lambda file: file.write_colormap(1, {0: (10, 20, 30), 7: (200, 100, 50)}),
    )
    [(_, pixels)] = pictures(path)
    assert (pixels[:, :32] == [10, 20, 30]).all()
    assert (pixels[:, 32:] == [200, 100, 50]).all()


def test_a_scan_whose_zero_is_white_is_no_negative(tmp_path):
    path = tif(tmp_path / "s.tif", np.full((1, 64, 64), 15, "uint8"), photometric="miniswhite")
    assert mean_colour(path).tolist() == [240, 240, 240]


@pytest.mark.parametrize(("bits", "most"), [(1, 1), (4, 15)])
def test_values_of_few_bits_use_the_whole_range(tmp_path, bits, most):
    array = np.tile(np.array([0, most], "uint8"), (1, 64, 32))
    [(_, pixels)] = pictures(tif(tmp_path / "s.tif", array, nbits=bits))
    assert (pixels[0, 0, 0], pixels[0, 1, 0]) == (0, 255)


def test_two_scenes_can_be_listed_in_turn(tmp_path):
    one = tif(tmp_path / "a.tif", np.full((1, 64, 64), 9, "uint8"))
    other = tif(tmp_path / "b.tif", np.full((1, 64, 64), 9, "uint8"))
    first, second = (sources(path, path.name, Reading(tile=32)) for path in (one, other))
    assert [next(first).image, next(second).image] == ["a.tif#0,0,32,32", "b.tif#0,0,32,32"]
    assert len(list(first)) == len(list(second)) == 3
    assert all(found.metadata.bbox for found in found_in(one))


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]
)
def test_every_real_type_becomes_a_picture_with_contrast(tmp_path, dtype):
    array = np.tile(np.arange(1, 101).astype(dtype), (1, 64, 1))
    [(_, pixels)] = pictures(tif(tmp_path / "s.tif", array))
    if dtype == "uint8":
        assert (pixels[0, :, 0] == np.arange(1, 101)).all()
    else:
        assert (pixels[0, 0, 0], pixels[0, -1, 0]) == (0, 255)


def test_complex_numbers_are_refused(tmp_path):
    [one] = found_in(tif(tmp_path / "s.tif", np.ones((1, 32, 32), "complex64")))
    assert isinstance(one, Unfit)
    assert (one.image, one.reason) == ("s.tif", "complex")


# --- footprints


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


# --- dates


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


# --- what cannot be read


def noise(path, **profile):
    array = np.random.default_rng(0).integers(1, 4000, (1, 512, 512)).astype("uint16")
    return tif(path, array, tiled=True, blockxsize=128, blockysize=128, **profile)


@pytest.mark.parametrize("content", [b"II*\0", b"II*\0\x08\0\0\0", b"\xff\x4f\xff\x51"])
def test_a_broken_raster_is_one_line(tmp_path, content, capfd):
    path = tmp_path / "s.tif"
    path.write_bytes(content)
    [one] = found_in(path)
    assert isinstance(one, Unfit)
    assert (one.image, one.reason) == ("s.tif", "unreadable")
    assert "\n" not in one.detail
    assert "s.tif" in one.detail
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"<VRTDataset/>"])
def test_what_is_no_raster_but_is_called_so_is_left_to_the_decoder_of_pictures(tmp_path, content):
    path = tmp_path / "s.tif"
    path.write_bytes(content)
    [one] = found_in(path, Reading(tile=64))
    assert isinstance(one, Source)
    assert (one.image, one.window, one.rendering) == ("s.tif", None, None)


def test_a_header_that_gdal_alone_complains_about_is_one_reason_too(tmp_path, capfd):
    path = noise(tmp_path / "s.tif")
    raw = path.read_bytes()
    first = int.from_bytes(raw[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(raw[first : first + 2], "little")
    for offset in (16711680, 3959422976):  # of a second directory that is not there
        path.write_bytes(raw[:end] + offset.to_bytes(4, "little") + raw[end + 4 :])
        reasons = []
        for one in found_in(path):
            try:
                reasons.append(
                    one.reason if isinstance(one, Unfit) else read(one, Reading()).sha256
                )
            except Unreadable as error:
                reasons.append(error.reason)
        assert len(reasons) == 1
    assert capfd.readouterr() == ("", "")


def test_names_that_are_not_utf_8_name_no_band(tmp_path):
    path = tif(tmp_path / "s.tif", stack(1, 3), after=described("QWXYZ", "green", "blue"))
    path.write_bytes(path.read_bytes().replace(b"QWXYZ", b"M\xfcllr"))
    assert mean_colour(path).tolist() == RED


def test_a_vrt_that_calls_itself_tif_is_not_followed(tmp_path):
    secret = tif(tmp_path / "secret.tif", np.zeros((1, 32, 32), "uint8"))
    path = tmp_path / "s.tif"
    path.write_text(
        '<VRTDataset rasterXSize="32" rasterYSize="32"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource><SourceFilename>{secret}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    [one] = found_in(path)
    assert one.rendering is None
    with pytest.raises(Unreadable):
        open_source(one, Reading())


def test_files_beside_a_raster_change_nothing(tmp_path):
    path = tif(tmp_path / "s.tif", np.full((1, 64, 64), 9, "uint8"), crs=None, transform=None)
    alone = found_in(path)
    (tmp_path / "s.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><NoDataValue>9</NoDataValue></PAMRasterBand>'
        "</PAMDataset>"
    )
    (tmp_path / "s.tfw").write_text("10\n0\n0\n-10\n500005\n4999995\n")
    tif(tmp_path / "s.tif.msk", np.zeros((1, 64, 64), "uint8"), crs=None, transform=None)
    tif(tmp_path / "s.tif.ovr", np.zeros((1, 32, 32), "uint8"), crs=None, transform=None)
    assert found_in(path) == alone
    [(_, pixels)] = pictures(path)
    assert (pixels == 9).all()
    assert not list(tmp_path.glob("*.aux.xml.*"))


def test_a_missing_file_and_a_pipe_do_not_hang(tmp_path):
    assert [one.reason for one in found_in(tmp_path / "s.tif")] == ["gone"]
    os.mkfifo(tmp_path / "p.tif")
    assert [one.reason for one in found_in(tmp_path / "p.tif")] == ["unreadable"]


def test_of_a_cut_scene_the_windows_that_are_whole_are_read_and_the_others_named(tmp_path):
    path = noise(tmp_path / "s.tif", compress="deflate")
    reading = Reading(tile=128)
    whole = {one.image: read(one, reading).sha256 for one in found_in(path, reading)}
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    good, bad = {}, {}
    for one in found_in(path, reading):
        try:
            good[one.image] = np.asarray(read(one, reading).pixels)
        except Unreadable as error:
            bad[one.image] = error
    assert {error.reason for error in bad.values()} == {"truncated"}
    assert all(image in str(error) for image, error in bad.items())
    assert len(good) + len(bad) == len(whole) == 16
    assert 4 <= len(good) <= 12
    assert all(pixels.std() > 30 for pixels in good.values())


def test_a_cut_raster_without_tiles_is_truncated(tmp_path):
    path = noise(tmp_path / "s.tif", compress="deflate")
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    [one] = found_in(path)
    with pytest.raises(Unreadable) as error:
        read(one, Reading())
    assert error.value.reason == "truncated"


def test_blocks_that_would_fill_the_memory_are_refused(tmp_path):
    path = tmp_path / "s.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=1,
        width=36000,
        height=36000,
        dtype="uint8",
        tiled=True,
        blockxsize=36000,
        blockysize=36000,
        compress="deflate",
        SPARSE_OK=True,
        crs="EPSG:32633",
        transform=UTM,
    ):
        pass
    assert path.stat().st_size < 10000
    [one] = found_in(path)
    assert isinstance(one, Unfit)
    assert one.reason == "bomb"
    assert "tiles" in one.detail


def test_a_scene_is_read_smaller_than_it_is(tmp_path):
    array = np.zeros((1, 600, 1200), "uint8")
    array[0, :, 600:] = 200
    path = tif(tmp_path / "s.tif", array)
    [one] = found_in(path)
    picture = read(one, Reading(side=100))
    assert picture.pixels.size == (100, 50)
    pixels = np.asarray(picture.pixels)
    assert pixels[:, :46].max() <= 2
    assert pixels[:, 54:].min() >= 198


def test_a_file_that_changed_is_read_anew(tmp_path):
    path = tif(tmp_path / "s.tif", np.full((1, 64, 64), 9, "uint8"))
    [one] = found_in(path)
    assert np.asarray(read(one, Reading()).pixels).max() == 9
    path.unlink()
    tif(path, np.full((1, 64, 64), 77, "uint8"))
    assert np.asarray(read(one, Reading()).pixels).min() == 77
    path.unlink()
    with pytest.raises(Unreadable) as error:
        read(one, Reading())
    assert error.value.reason == "gone"


def test_many_threads_read_the_same_scene(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    path = noise(tmp_path / "s.tif", compress="lzw")
    reading = Reading(tile=64)
    found = found_in(path, reading)
    alone = [read(one, reading).sha256 for one in found]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda one: read(one, reading).sha256, found)) == alone


def test_a_forked_worker_opens_the_scene_itself(tmp_path):
    path = noise(tmp_path / "s.tif")
    reading = Reading(tile=64)
    found = found_in(path, reading)
    alone = [read(one, reading).sha256 for one in found]
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests have threads
        child = os.fork()
    if child == 0:
        try:
            same = [read(one, reading).sha256 for one in found] == alone
            os.write(writer, b"1" if same else b"0")
        finally:
            os._exit(0)
    assert [read(one, reading).sha256 for one in found] == alone
    os.waitpid(child, 0)
    assert os.read(reader, 1) == b"1"
    os.close(reader), os.close(writer)


def test_names_that_look_like_addresses_are_files(tmp_path):
    for name in ("a#b.tif", "a?b.tif", "a!b.tif", "zip+x:.tif", "a b%20c.tif", "[x.tif"):
        path = tif(tmp_path / "t.tif", np.full((1, 32, 32), 9, "uint8")).rename(tmp_path / name)
        [one] = found_in(path)
        assert isinstance(one, Source), name
        assert read(one, Reading()).pixels.size == (32, 32)


def test_jpeg_2000_is_read(tmp_path):
    array = np.full((3, 64, 64), 20, "uint8")
    array[0] = 220
    try:
        path = tif(tmp_path / "s.jp2", array, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    except rasterio.errors.RasterioError as error:
        pytest.skip(f"this GDAL cannot write JPEG 2000: {error}")
    assert mean_colour(path) == pytest.approx(RED, abs=2)


# --- real scenes


@pytest.mark.skipif(not SCENES.is_dir(), reason="the real scenes are not here")
@pytest.mark.parametrize(
    "name",
    [
        "LC08_L1TP_224077_20200518_20200518_01_RT_B2_60m.TIF",
        "LE07_L2SP_225078_20110306_02_T1_B1.tif",
        "LE07_L2SP_225078_20110306_02_T1_SZA.tif",
        "OSBS_029.tif",
        "rmnp-dem.tif",
        "rmnp-rgb.tif",
    ],
)
def test_real_scenes_give_sane_pictures_where_they_lie(name, caplog):
    path = SCENES / name
    [one] = found_in(path)
    with rasterio.open(path) as file:
        expected = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
        valid = file.dataset_mask() > 0
    assert one.metadata.bbox == pytest.approx(expected, abs=1e-4)
    pixels = np.asarray(read(one, Reading()).pixels)
    assert pixels.shape[:2] == valid.shape
    assert (pixels[~valid] == 128).all()
    shown = pixels[valid]
    assert 60 < shown.mean() < 190
    assert shown.std() > 30
    assert (shown == 0).mean() < 0.06
    assert (shown == 255).mean() < 0.06
    windows = [one for one in found_in(path, Reading(tile=64)) if isinstance(one, Source)]
    assert len({one.rendering for one in windows}) == 1
    west, south, east, north = expected
    for window in windows:
        box = window.metadata.bbox
        assert west - 1e-4 <= box.west < box.east <= east + 1e-4
        assert south - 1e-4 <= box.south < box.north <= north + 1e-4
    assert caplog.text == ""


def test_gdal_says_nothing_of_its_own(tmp_path, caplog, capfd):
    caplog.set_level(logging.WARNING)
    path = noise(tmp_path / "s.tif", compress="deflate", crs=None, transform=None)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 3000] = b"\xff" * 3000
    path.write_bytes(raw)
    reading = Reading(tile=128)
    bad = 0
    for one in found_in(path, reading):
        try:
            read(one, reading)
        except Unreadable:
            bad += 1
    assert bad >= 1
    assert capfd.readouterr() == ("", "")
