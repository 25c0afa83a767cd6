"""Which bands of a raster make a picture."""

import numpy as np
import pytest
from rasterio.enums import ColorInterp
from scenes_kit import RED, described, found_in, mean_colour, pictures, stack, tif

from trsllava.errors import UsageError
from trsllava.images import notices
from trsllava.images.scenes import sources
from trsllava.images.source import Reading, Unfit


@pytest.fixture(autouse=True)
def _new_job():
    notices.forget()


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
