"""Rasters that cannot be read, large and odd ones, and real scenes."""

import logging
import os
import warnings

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_bounds
from scenes_kit import (
    RED,
    SCENES,
    UTM,
    described,
    found_in,
    mean_colour,
    noise,
    pictures,
    stack,
    tif,
)

from trsllava.images import notices
from trsllava.images.opening import open_source
from trsllava.images.scenes import read
from trsllava.images.source import Reading, Source, Unfit, Unreadable


@pytest.fixture(autouse=True)
def _new_job():
    notices.forget()


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
