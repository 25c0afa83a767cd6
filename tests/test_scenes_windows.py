"""Windows of rasters, their stretch, and what holds no data."""

import numpy as np
import pytest
import rasterio
from scenes_kit import found_in, mean_colour, pictures, tif

from trsllava.errors import UsageError
from trsllava.images import notices, stretch
from trsllava.images.scenes import read
from trsllava.images.source import Reading, Skipped, Source


@pytest.fixture(autouse=True)
def _new_job():
    notices.forget()


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
