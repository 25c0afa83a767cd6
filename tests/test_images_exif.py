"""Where and when a picture was taken, and no position rather than a wrong one."""

import io

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from trsllava.images.decode import decode
from trsllava.records import BBox, Metadata, bounding_box, time_span

SAO_PAULO = {1: "S", 2: (23.0, 32.0, 0.0), 3: "W", 4: (46.0, 38.0, 0.0)}


def told(gps=None, details=None, form="JPEG", **tags):
    exif = Image.Exif()
    for name, value in tags.items():
        exif[int(name.removeprefix("t"), 16)] = value
    for where, values in ((0x8825, gps), (0x8769, details)):
        for tag, value in (values or {}).items():
            exif.get_ifd(where)[tag] = value
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, form, exif=exif.tobytes())
    return decode(out.getvalue(), 1024)[1]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_south_and_west_are_negative_once(form):
    box = told(SAO_PAULO, form=form).bbox
    assert box == pytest.approx((-46.63333, -23.53333, -46.63333, -23.53333), abs=1e-4)
    assert bounding_box(list(box)) == box


def test_north_and_east_are_positive():
    box = told({1: "N", 2: (52.0, 30.0, 36.0), 3: "E", 4: (13.0, 24.0, 0.0)}).bbox
    assert box == pytest.approx((13.4, 52.51, 13.4, 52.51), abs=1e-6)


NAN = IFDRational(0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {1: None},
        {3: None},
        {1: "", 3: ""},
        {1: "X"},
        {1: "E"},
        {2: (NAN, NAN, NAN)},
        {4: (46.0, NAN, 0.0)},
        {2: (91.0, 0.0, 0.0)},
        {4: (180.0, 0.0, 1.0)},
        {2: (23.0, 75.0, 0.0)},
        {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
        {2: None},
        {9: "V"},
    ],
)
def test_a_doubtful_position_is_none(change):
    gps = {tag: value for tag, value in (SAO_PAULO | change).items() if value is not None}
    assert told(gps).bbox is None


def test_a_value_signed_already_is_not_signed_again():
    from trsllava.images.exif import _position

    assert _position({1: "S", 2: (-23.5,), 3: "W", 4: (-46.5,)}) == BBox(-46.5, -23.5, -46.5, -23.5)
    assert _position({1: "N", 2: (-23.5,), 3: "W", 4: (46.5,)}) is None
    assert _position({1: b"s\0", 2: -23.5, 3: "w", 4: (46, 30)}) == BBox(-46.5, -23.5, -46.5, -23.5)


def test_the_equator_alone_is_a_place():
    assert told({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (9.0, 0.0, 0.0)}).bbox == (9, 0, 9, 0)


@pytest.mark.parametrize(
    ("details", "tags", "wanted"),
    [
        ({0x9003: "2024:06:01 10:20:30", 0x9011: "+02:00"}, {}, "2024-06-01T10:20:30+02:00"),
        ({0x9003: "2024:06:01 10:20:30"}, {}, "2024-06-01T10:20:30Z"),
        (
            {0x9003: "2024:06:01 10:20:30"},
            {"t0132": "2025:01:01 00:00:00"},
            "2024-06-01T10:20:30Z",
        ),
        ({}, {"t0132": "2025:01:01 00:00:00"}, "2025-01-01T00:00:00Z"),
        ({0x9003: "0000:00:00 00:00:00"}, {"t0132": "2025:01:01 00:00:00"}, "2025-01-01T00:00:00Z"),
        ({0x9003: "    :  :     :  :  "}, {}, None),
        ({0x9003: "2024:13:01 10:20:30"}, {}, None),
        ({0x9003: "2024:06:31 10:20:30"}, {}, None),
        ({0x9003: "2024:06:01 10:20:30", 0x9011: "   :  "}, {}, "2024-06-01T10:20:30Z"),
        ({0x9003: "2024:06:01 10:20:30", 0x9011: "+99:99"}, {}, None),
        ({}, {"t0132": "yesterday"}, None),
    ],
)
def test_the_time_of_exposure_comes_before_that_of_the_file(details, tags, wanted):
    found = told(details=details, **tags).datetime
    assert found == wanted
    if found:
        time_span(found)


def test_a_picture_without_tags_tells_nothing():
    assert told() == Metadata()


def test_tags_that_point_nowhere_leave_the_picture_readable():
    out = io.BytesIO()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x25\x88\x04\0\x01\0\0\0\xff\xff\0\0\x12\x01\x03\0"
    Image.new("RGB", (64, 64), "red").save(out, "JPEG", exif=exif)
    pixels, metadata = decode(out.getvalue(), 1024)
    assert pixels.size == (64, 64)
    assert metadata == Metadata()
