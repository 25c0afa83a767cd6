"""The size in which a picture reaches a captioner, and what a fingerprint tells of it."""

import json
import math

import pytest
from PIL import Image

from trsllava.images.prepare import GROUND, LEAST_SIDE, LONGEST_ASPECT, identity, prepare
from trsllava.images.source import Reading, Unreadable

BLUE = (30, 30, 200)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((64, 64), (64, 64)),
        ((1024, 1024), (1024, 1024)),
        ((2048, 1024), (1024, 512)),
        ((4000, 3999), (1024, 1024)),
        ((27, 300), (28, 311)),
        ((4, 4), (28, 28)),
        ((4, 16), (28, 112)),
        ((690, 15420), (46, 1024)),
        ((15420, 690), (1024, 46)),
        ((28, 560), (28, 560)),
        ((28, 1000), (28, 1000)),
        ((27, 2700), (28, 2800)),
        ((20, 6000), (28, 5600)),
        ((6000, 5), (5600, 28)),
    ],
)
def test_sides_and_aspect_keep_within_their_limits(size, wanted):
    pixels = prepare(Image.new("RGB", size, BLUE), 1024)
    assert pixels.size == wanted
    assert min(pixels.size) >= LEAST_SIDE
    assert max(pixels.size) <= LONGEST_ASPECT * min(pixels.size)
    assert pixels.getpixel((pixels.width // 2, pixels.height // 2)) == BLUE


def test_what_is_padded_is_grey_and_the_picture_stands_in_the_middle():
    pixels = prepare(Image.new("RGB", (20, 6000), BLUE), 1024)
    assert [pixels.getpixel((x, 500)) for x in (0, 3, 24, 27)] == [GROUND] * 4
    assert {pixels.getpixel((x, y)) for x in (4, 22) for y in (0, 5599)} == {BLUE}


def test_a_picture_that_would_be_shown_as_a_hair_is_too_small():
    with pytest.raises(Unreadable, match="40000 x 10") as caught:
        prepare(Image.new("RGB", (40000, 10)), 1024)
    assert caught.value.reason == "too_small"


@pytest.mark.parametrize("size", [(1, 1), (3, 3000), (3000, 3), (2, 2)])
def test_below_four_pixels_nothing_can_be_said(size):
    with pytest.raises(Unreadable) as caught:
        prepare(Image.new("RGB", size), 1024)
    assert caught.value.reason == "too_small"


@pytest.mark.parametrize("side", [28, 64, 336, 2048])
def test_every_side_that_may_be_wanted_is_kept(side):
    for size in ((4, 5), (31, 33), (500, 20), (5000, 37)):
        pixels = prepare(Image.new("RGB", size), side)
        slim = math.ceil(LEAST_SIDE * max(size) / min(size))
        assert LEAST_SIDE <= min(pixels.size) <= max(pixels.size) <= max(side, slim)


def test_the_identity_is_json_and_tells_every_reading_apart():
    readings = [
        Reading(),
        Reading(tile=512),
        Reading(tile=512, overlap=64),
        Reading(bands=(3, 2, 1)),
        Reading(side=768),
    ]
    told = {json.dumps(identity(reading), sort_keys=True) for reading in readings}
    assert len(told) == len(readings)
    assert identity(Reading())["percentiles"] == [2.0, 98.0]
