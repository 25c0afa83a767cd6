"""What the tests of the served captioner share: plain pictures, and runs that wait briefly."""

from unittest.mock import patch

from PIL import Image

from trsllava.captioning import exchange, throttle
from trsllava.captioning.captioner import Captioned, Prepared
from trsllava.captioning.served import ServedCaptioner
from trsllava.testing.captioners import COLOURS

NAMES = ("red", "green", "blue", "yellow", "white", "black")


def picture(image, colour, size=(64, 48)):
    return Prepared(image, Image.new("RGB", size, COLOURS[colour]))


def pictures(count=12, size=(64, 48)):
    """Pictures whose id tells their colour; no two have equal pixels."""
    for number in range(count):
        colour = NAMES[number % len(NAMES)]
        prepared = picture(f"{number:03d}-{colour}.png", colour, size)
        prepared.pixels.putpixel((0, 0), (number % 256, number // 256, 7))
        yield prepared


def served(server, **options):
    address = server if isinstance(server, str) else server.address
    return ServedCaptioner(**{"model": "stub", "base_url": address, "budget": 5.0} | options)


def run(captioner, images, **seconds):
    """Caption with short waits; the outcomes by image."""
    found = {}
    with (
        patch.object(throttle, "_FIRST_DELAY", 0.02),
        patch.object(throttle, "FIRST_CONTACT_SECONDS", 0.5),
        patch.object(exchange, "SECONDS", exchange.Seconds(**seconds)),
    ):
        for outcome in captioner.caption(images):
            assert outcome.image not in found
            found[outcome.image] = outcome
    return found


def caption(server, count=12, **options):
    return run(served(server, **options), pictures(count))


def assert_right(found, count=12, but=()):
    """Every picture has an outcome, and all but some colours a record of their own colour."""
    assert sorted(found) == [prepared.image for prepared in pictures(count)]
    for image, outcome in found.items():
        colour = image[4:].removesuffix(".png")
        if colour in but:
            assert not isinstance(outcome, Captioned), image
            continue
        assert isinstance(outcome, Captioned), outcome
        assert all(colour in text for v in outcome.variants for text in v.texts()), image
