"""From a file to upright RGB: every mode and depth, hostile bytes, and the disk's troubles."""

import errno
import hashlib
import io
import logging
import os
import random
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from trsllava.images import colours, opening
from trsllava.images import decode as decoding
from trsllava.images.decode import PIXEL_LIMIT, decode
from trsllava.images.opening import open_source
from trsllava.images.prepare import GROUND
from trsllava.images.source import Reading, Source, Unreadable
from trsllava.records import BBox, Metadata

BLUE = (30, 30, 200)


def encoded(image, form="PNG", **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def plain(size=(64, 64), colour=BLUE, mode="RGB"):
    return Image.new("RGB", size, colour).convert(mode)


def source_of(path, **more):
    status = os.stat(path)
    return Source(path.name, str(path), status.st_size, status.st_mtime_ns, **more)


def refusal(data):
    with pytest.raises(Unreadable) as caught:
        decode(data, 1024)
    return caught.value.reason


def near(pixel, wanted, by=8):
    return all(abs(a - b) <= by for a, b in zip(pixel, wanted, strict=True))


def png16(array):
    """Write a PNG of 16 bits a value, which Pillow cannot do for more than one band."""
    height, width = array.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[array.shape[2] if array.ndim == 3 else 1]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# What pictures are made of


def lab():
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    return ImageCms.applyTransform(plain(), to_lab)


@pytest.mark.parametrize(
    "data",
    [
        encoded(plain(), "PNG"),
        encoded(plain(), "JPEG", quality=95),
        encoded(plain(), "JPEG", progressive=True, quality=95),
        encoded(plain(), "WEBP", lossless=True),
        encoded(plain(), "BMP"),
        encoded(plain(), "GIF"),
        encoded(plain(), "PPM"),
        encoded(plain(), "TIFF"),
        encoded(plain(), "TIFF", compression="tiff_lzw"),
        encoded(plain(), "JPEG2000"),
        encoded(plain(mode="CMYK"), "JPEG", quality=95),
        encoded(plain(mode="CMYK"), "TIFF"),
        encoded(plain(mode="YCbCr"), "TIFF"),
        encoded(plain().quantize(8), "PNG"),
        encoded(lab(), "TIFF"),
        encoded(plain().convert("RGBA"), "PNG"),
        encoded(plain(), "MPO", save_all=True, append_images=[plain(colour="red")], quality=95),
    ],
)
def test_a_blue_picture_is_blue_in_every_format_and_colour_space(data):
    pixels, _ = decode(data, 1024)
    assert (pixels.mode, pixels.size) == ("RGB", (64, 64))
    assert near(pixels.getpixel((32, 32)), BLUE, by=25)


@pytest.mark.parametrize(("value", "grey"), [(0, 0), (1, 255)])
def test_a_picture_of_one_bit_is_black_and_white(value, grey):
    pixels, _ = decode(encoded(Image.new("1", (40, 40), value)), 1024)
    assert pixels.getpixel((3, 3)) == (grey, grey, grey)


def half_transparent(mode):
    """Return a picture whose left half is transparent over black, the right half blue."""
    rgba = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    rgba.paste((*BLUE, 255), (32, 0, 64, 64))
    if mode == "RGBA":
        return encoded(rgba, "PNG")
    if mode == "palette":
        flat = Image.new("P", (64, 64), 0)
        flat.putpalette([0, 0, 0, *BLUE])
        flat.paste(1, (32, 0, 64, 64))
        return encoded(flat, "PNG", transparency=0)
    if mode == "key":
        return encoded(rgba.convert("RGB"), "PNG", transparency=(0, 0, 0))
    return encoded(rgba, mode, **({"lossless": True} if mode == "WEBP" else {}))


@pytest.mark.parametrize("mode", ["RGBA", "palette", "key", "WEBP", "GIF", "TIFF"])
def test_what_is_transparent_shows_the_neutral_ground_not_black(mode):
    pixels, _ = decode(half_transparent(mode), 1024)
    assert pixels.getpixel((8, 32)) == GROUND
    assert pixels.getpixel((50, 32)) == BLUE


def test_half_opacity_is_mixed_with_the_ground():
    pixels, _ = decode(encoded(Image.new("RGBA", (32, 32), (0, 0, 0, 128))), 1024)
    assert near(pixels.getpixel((5, 5)), (64, 64, 64), by=1)


def test_of_frames_and_pages_the_first_is_taken_and_that_is_said(caplog):
    from trsllava.images.notices import forget

    forget()
    others = [plain(colour="red"), plain(colour="lime")]
    with caplog.at_level(logging.WARNING):
        for form in ("GIF", "TIFF", "PNG"):
            data = encoded(plain(), form, save_all=True, append_images=others)
            pixels, _ = decode(data, 1024)
            assert near(pixels.getpixel((32, 32)), BLUE)
    assert [record.message for record in caplog.records] == [
        "of pictures with several frames or pages the first is taken"
    ]


# More than 8 bits


def scene(bands):
    """Return 12-bit values in 16 bits: a dark stripe, the rest bright in the last band."""
    array = np.full((64, 64, bands), 200, np.uint16)
    array[:, 8:, bands - 1] = 3000
    return array


def test_a_grey_png_of_16_bits_is_neither_white_nor_black():
    for data in (png16(scene(1)[..., 0]), encoded(Image.fromarray(scene(1)[..., 0]), "TIFF")):
        pixels, _ = decode(data, 1024)
        assert pixels.getpixel((2, 2)) == (0, 0, 0)
        assert pixels.getpixel((40, 40)) == (255, 255, 255)


def test_a_colour_png_of_16_bits_keeps_its_low_bytes():
    pixels, _ = decode(png16(scene(3)), 1024)
    assert pixels.getpixel((40, 40)) == (0, 0, 255)
    steps = np.full((64, 64, 3), 0, np.uint16)
    steps[...] = np.arange(64, dtype=np.uint16)[None, :, None]  # all in the low byte
    pixels, _ = decode(png16(steps), 1024)
    row = [pixels.getpixel((x, 30))[0] for x in range(64)]
    assert row == sorted(row)
    assert len(set(row)) > 55


def test_the_alpha_of_a_png_of_16_bits_is_no_band():
    for bands in (2, 4):
        array = np.concatenate([scene(bands - 1), np.full((64, 64, 1), 65535, np.uint16)], axis=2)
        array[:, 60:, -1] = 0
        pixels, _ = decode(png16(array), 1024)
        assert pixels.getpixel((62, 9)) == GROUND
        assert pixels.getpixel((40, 40)) == ((0, 0, 255) if bands == 4 else (255, 255, 255))


def test_floats_and_wide_integers_are_stretched_without_what_is_no_number():
    values = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    values[0, :4] = np.nan, np.inf, -np.inf, 1e38
    pixels, _ = decode(encoded(Image.fromarray(values), "TIFF"), 1024)
    assert pixels.getpixel((0, 0)) == GROUND
    assert near(pixels.getpixel((32, 32)), (128, 128, 128), by=6)
    whole = np.arange(64 * 64, dtype=np.int32).reshape(64, 64) - 2000
    pixels, _ = decode(encoded(Image.fromarray(whole), "TIFF"), 1024)
    assert near(pixels.getpixel((32, 32)), (128, 128, 128), by=6)


def test_strips_change_nothing(monkeypatch):
    noise = np.random.default_rng(1).integers(0, 4000, (301, 203, 3)).astype(np.uint16)
    pictures = [png16(noise), encoded(Image.fromarray((noise >> 4).astype(np.uint8)))]
    rgba = np.concatenate([noise >> 4, noise[..., :1] >> 4], axis=2).astype(np.uint8)
    pictures.append(encoded(Image.fromarray(rgba)))
    whole = [np.asarray(decode(data, 60)[0]) for data in pictures]
    monkeypatch.setattr(colours, "_STRIP", 2000)
    for data, before in zip(pictures, whole, strict=True):
        np.testing.assert_array_equal(np.asarray(decode(data, 60)[0]), before)


# Orientation


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_turned_picture_is_set_upright(form):
    picture = Image.new("RGB", (80, 40), "blue")
    picture.paste("red", (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels, _ = decode(encoded(picture, form, exif=exif), 1024)
    assert pixels.size == (40, 80)
    assert near(pixels.getpixel((20, 10)), (255, 0, 0), by=30)
    assert near(pixels.getpixel((20, 70)), (0, 0, 255), by=30)


def test_all_eight_orientations_give_the_same_upright_picture():
    upright = Image.new("RGB", (64, 32), "white")
    upright.paste("red", (0, 0, 16, 8))
    undo = [None, None, 0, 3, 1, 5, 2, 6, 4]  # Transpose members that each orientation undoes
    for value in range(1, 9):
        stored = upright if undo[value] is None else upright.transpose(Image.Transpose(undo[value]))
        exif = Image.Exif()
        exif[0x0112] = value
        pixels, _ = decode(encoded(stored, "PNG", exif=exif), 1024)
        assert pixels.tobytes() == upright.tobytes(), value


# Hostile bytes


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just text in a file named .jpg", "not_an_image"),
        (b"\0" * 4096, "not_an_image"),
        (b"<html>404</html>", "not_an_image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n", "not_an_image"),
        (b"%PDF-1.7\n", "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
        (b"\xff\xd8\xff", "truncated"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
    ],
)
def test_what_is_no_picture_has_one_word_of_reason(data, reason):
    assert refusal(data) == reason


def test_a_truncated_jpeg_is_unreadable_and_says_so(tmp_path):
    data = encoded(plain((300, 300)), "JPEG")
    for cut in (200, len(data) // 2, len(data) - 40):
        path = tmp_path / "t.jpg"
        path.write_bytes(data[:cut])
        with pytest.raises(Unreadable, match=r"t\.jpg: .*truncated|t\.jpg: .*cut") as caught:
            open_source(source_of(path), Reading())
        assert caught.value.reason == "truncated"


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "BMP", "PPM", "TIFF", "JPEG2000"])
def test_half_of_a_picture_is_never_taken_for_a_whole_one(form):
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    data = encoded(Image.fromarray(noise), form)
    for cut in (len(data) // 8, len(data) // 2):
        assert refusal(data[:cut]) in ("truncated", "damaged")


def test_a_wrong_suffix_does_not_matter(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(plain(), "PNG"))
    picture = open_source(source_of(tmp_path / "a.jpg"), Reading())
    assert picture.pixels.getpixel((9, 9)) == BLUE


def bomb(width, height, bits=8):
    head = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    idat = zlib.compress(b"")
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk
        + struct.pack(">I", len(idat))
        + b"IDAT"
        + idat
        + struct.pack(">I", zlib.crc32(b"IDAT" + idat))
    )


def test_a_bomb_is_refused_by_its_header():
    side = int(PIXEL_LIMIT**0.5) + 1
    assert refusal(bomb(side, side)) == "bomb"
    assert refusal(bomb(60_000, 60_000)) == "bomb"
    assert refusal(bomb(side, side // 2 + 1, bits=16)) == "bomb"
    assert refusal(bomb(100, 100)) == "truncated"


def test_large_jpegs_are_decoded_small_in_bounded_memory(tmp_path):
    path = tmp_path / "big.jpg"
    path.write_bytes(encoded(Image.new("RGB", (13000, 13000), BLUE), "JPEG"))
    script = (
        "import resource, sys\n"
        "from trsllava.images.opening import open_source\n"
        "from trsllava.images.source import Reading, Source\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"p = open_source(Source('a', {str(path)!r}, 0, 0), Reading())\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(p.pixels.size, p.pixels.getpixel((5, 5)))\n"
        "sys.exit(0 if grown < 200_000 else f'{grown} KiB')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "(1024, 1024) (31, 29, 201)\n"), done.stderr


def test_running_out_of_memory_is_the_pictures_trouble(monkeypatch):
    monkeypatch.setattr(decoding, "rgb", lambda *a: (_ for _ in ()).throw(MemoryError))
    assert refusal(encoded(plain())) == "too_large"


def test_broken_bytes_give_a_reason_and_nothing_else(capfd, recwarn):
    """A second of mutations; warnings are errors here, so a leak would be seen as damage."""
    dice = random.Random(7)
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2024:06:01 10:00:00"
    forms = [
        encoded(plain(), "JPEG", exif=exif),
        encoded(plain().quantize(8), "PNG", exif=exif),
        encoded(plain(), "WEBP", exif=exif),
        encoded(plain(), "GIF", save_all=True, append_images=[plain(colour="red")]),
        encoded(plain(), "BMP"),
        png16(scene(3)),
        half_transparent("palette"),
    ]
    reasons, lines = set(), set()
    for _ in range(1500):
        data = bytearray(dice.choice(forms))
        for _ in range(dice.choice([1, 4, 20])):
            data[dice.randrange(min(len(data), 600))] = dice.randrange(256)
        try:
            pixels, told = decode(bytes(data), 256)
        except Unreadable as error:
            reasons.add(error.reason)
            lines.add(str(error))
        else:
            assert pixels.mode == "RGB"
            assert isinstance(told, Metadata)
    assert reasons <= {"truncated", "damaged", "bomb", "not_an_image", "too_large"}
    assert not any("\n" in line for line in lines)
    assert not recwarn.list
    assert capfd.readouterr().err == ""


def test_pillows_warnings_stay_inside_and_others_are_left_alone():
    palette = Image.new("P", (32, 32))
    palette.putpalette([0, 0, 0, *BLUE])
    data = encoded(palette, "PNG", transparency=b"\x00\xff")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        decode(data, 1024)
        decode(encoded(Image.new("L", (9500, 9500)), compress_level=1), 1024)  # a "possible bomb"
        warnings.warn("of the user's", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["of the user's"]


# Files


def test_the_picture_comes_with_the_digest_of_its_bytes_and_within_the_side(tmp_path):
    data = encoded(plain((3000, 1500)), "JPEG")
    (tmp_path / "a.jpg").write_bytes(data)
    picture = open_source(source_of(tmp_path / "a.jpg"), Reading(side=512))
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert picture.pixels.size == (512, 256)


def test_only_the_members_bytes_are_read(tmp_path):
    data = encoded(plain())
    (tmp_path / "x.tar").write_bytes(b"before" + data + b"after")
    source = source_of(tmp_path / "x.tar", member=(6, len(data)))
    assert open_source(source, Reading()).sha256 == hashlib.sha256(data).hexdigest()


def test_what_the_source_knows_wins_over_what_the_picture_tells(tmp_path):
    exif = Image.Exif()
    exif[0x0132] = "2024:06:01 10:00:00"
    (tmp_path / "a.jpg").write_bytes(encoded(plain(), "JPEG", exif=exif))
    told = open_source(source_of(tmp_path / "a.jpg"), Reading()).metadata
    assert told == Metadata(datetime="2024-06-01T10:00:00Z")
    known = Metadata(BBox(1, 2, 3, 4), "2020", {"k": "v"})
    merged = open_source(source_of(tmp_path / "a.jpg", metadata=known), Reading()).metadata
    assert merged == known
    part = Metadata(BBox(1, 2, 3, 4), None, {"k": "v"})
    merged = open_source(source_of(tmp_path / "a.jpg", metadata=part), Reading()).metadata
    assert merged == Metadata(BBox(1, 2, 3, 4), "2024-06-01T10:00:00Z", {"k": "v"})


def reason_of(source):
    with pytest.raises(Unreadable) as caught:
        open_source(source, Reading())
    return caught.value.reason


def test_a_picture_too_small_to_see_is_named_with_its_size(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(plain((1, 1))))
    with pytest.raises(Unreadable, match=r"a\.png: 1 x 1 pixels") as caught:
        open_source(source_of(tmp_path / "a.png"), Reading())
    assert caught.value.reason == "too_small"


def test_a_deleted_file_is_gone_but_a_missing_folder_is_the_disks_trouble(tmp_path):
    source = Source("a.png", str(tmp_path / "a.png"), 1, 1)
    assert reason_of(source) == "gone"
    with pytest.raises(FileNotFoundError):
        open_source(Source("a.png", str(tmp_path / "away" / "a.png"), 1, 1), Reading())


@pytest.mark.parametrize(
    ("number", "reason"),
    [("EACCES", "unreadable"), ("EPERM", "unreadable"), ("ELOOP", "unreadable")],
)
def test_an_unreadable_file_is_the_pictures_trouble(tmp_path, monkeypatch, number, reason):
    code = getattr(errno, number)
    monkeypatch.setattr(opening.os, "open", lambda *a: (_ for _ in ()).throw(OSError(code, number)))
    assert reason_of(Source("a.png", str(tmp_path / "a.png"), 1, 1)) == reason


@pytest.mark.parametrize("number", ["EIO", "ESTALE", "ETIMEDOUT", "ENOTCONN", "EMFILE"])
def test_a_disk_in_trouble_is_not_the_pictures(tmp_path, monkeypatch, number):
    code = getattr(errno, number)
    monkeypatch.setattr(opening.os, "open", lambda *a: (_ for _ in ()).throw(OSError(code, number)))
    with pytest.raises(OSError, match=number) as caught:
        open_source(Source("a.png", str(tmp_path / "a.png"), 1, 1), Reading())
    assert caught.value.errno == code


def test_a_pipe_or_folder_that_took_a_pictures_place_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").mkdir()
    for name in ("a.png", "b.png"):
        assert reason_of(Source(name, str(tmp_path / name), 1, 1)) == "not_an_image"


def test_a_file_of_gigabytes_is_refused_unread(tmp_path):
    with open(tmp_path / "a.bmp", "wb") as file:
        file.truncate(opening.BYTES_LIMIT + 1)
    assert reason_of(source_of(tmp_path / "a.bmp")) == "too_large"
    assert reason_of(source_of(tmp_path / "a.bmp", member=(0, 1 << 40))) == "too_large"
