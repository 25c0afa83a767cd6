"""What people met in the field with tools of this kind, tried with the real command from outside.

Each test makes an archive of plain colours, runs `trsllava` in processes of their own against a
stub server that names the colour it sees, and looks at what is in the store: whether every image
has the record of its own colour, a reason, or is pending.
"""

import base64
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path
from threading import Event

import numpy as np
import psutil
import pytest
from jobs_kit import COLOURS, balance, paint, paint_archive, sentence
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine
from scenes_kit import tif
from test_caption_command import asking, command, run

from trsllava.errors import TrsllavaError
from trsllava.images.source import Reading
from trsllava.jobs.job import Job, Tally
from trsllava.jobs.pool import run_pool
from trsllava.store.store import open_store
from trsllava.testing.answers import answering, completion, record
from trsllava.testing.server import StubServer

NAMED = tuple(COLOURS)
SEVERAL = re.compile(rf"\b({'|'.join((*NAMED, 'grey', 'black', 'purple', 'brown'))})\b")


def colours(folder):
    """Return which colour the texts of each record tell."""
    told = {}
    for found in open_store(folder / "s").view():
        texts = json.dumps(found.to_json()["variants"])
        told[found.image] = "/".join(sorted(set(SEVERAL.findall(texts))))
    return told


def counts(folder):
    """Return images, records, quarantined and pending of the store."""
    return balance(open_store(folder / "s").view())


def archive_of(folder, count):
    """Paint an archive and return the colour of each image."""
    paint_archive(folder, count)
    return {f"{number:04d}.png": NAMED[number % len(NAMED)] for number in range(count)}


def twice(server):
    """Return how many calls were about a picture that was sent before."""
    sent = Counter(call["sha256"] for call in server.calls)
    return sent.total() - len(sent)


def in_one_line(done):
    """Check that a command failed in words."""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    return done.stderr


def after(first, *arguments):
    """Return a command that begins with something else in its process."""
    script = f"{first}\nimport sys; from trsllava.cli import main\nsys.argv[0] = 'trsllava'; main()"
    return [sys.executable, "-c", script, *arguments]


def hits(folder, *arguments):
    asked = ("query", *arguments, "--store", "s", "--top", "50", "--json")
    return [hit["image"] for hit in json.loads(run(folder, *asked).stdout)["hits"]]


@pytest.fixture
def seen():
    """The pictures that left for the server, decoded."""
    return []


@pytest.fixture
def server(seen):
    def look(asked):
        [uri] = [
            part["image_url"]["url"]
            for message in asked.body["messages"]
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "image_url"
        ]
        picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        seen.append(picture.convert("RGB"))
        return answering("ok")(asked)

    with StubServer(look) as running:
        yield running


# Answers


def test_a_model_that_thinks_has_its_answer_read_and_one_that_only_thinks_is_told_so(tmp_path):
    wanted = archive_of(tmp_path / "in", 2)
    with StubServer("think") as server:
        run(tmp_path, *asking(server, "in"))
        assert colours(tmp_path) == wanted
        shutil.rmtree(tmp_path / "s")
        server.mode = "emptythink"
        run(tmp_path, *asking(server, "in"), expect=3)
    found = json.loads(run(tmp_path, "status", "--store", "s", "--json").stdout)
    assert counts(tmp_path) == (2, 0, 2, 0)
    assert {entry["reason"] for entry in found["quarantine"]} == {"reasoning"}
    assert all("--max-tokens" in entry["detail"] for entry in found["quarantine"])


def test_a_server_that_does_not_look_is_noticed_at_once(tmp_path):
    draw = random.Random(3)
    for number in range(30):
        paint(tmp_path / "in" / f"{number}.png", draw.choice(NAMED))
    with StubServer("swap") as server:  # each answer is about the picture before
        done = run(tmp_path, *asking(server, "in"))
        assert "WARNING" in done.stderr
        assert "trsllava audit --store s" in done.stderr
        shutil.rmtree(tmp_path / "s")
        server.mode = "fixed"
        done = run(tmp_path, *asking(server, "in", "--strict"), expect=1)
        assert "may not see" in in_one_line(done)
    assert counts(tmp_path) == (30, 0, 0, 30)


def _changed(text, **variant):
    """Return a record's text with other values in its third variant."""
    record = json.loads(text)
    record["variants"][2] |= variant
    return json.dumps(record)


BAD_ANSWERS = {
    "cut": lambda text: completion(text[: len(text) // 2], finish="length"),
    "endless": lambda text: completion(text[:20] + "\n" * 3000, finish="length"),
    "loop": lambda text: completion(_changed(text, caption="a plain field, " * 400)),
    "blank field": lambda text: completion(_changed(text, caption=" ")),
    "null field": lambda text: completion(_changed(text, feature=None)),
    "sorry": lambda text: completion(
        _changed(text, caption="I'm sorry, I can't assist with that.")
    ),
    "placeholder": lambda text: completion(_changed(text, one_sentence="string")),
    "garbled": lambda text: completion(_changed(text, caption="A red \x00 field")),
    "alike": lambda text: completion(
        json.dumps({"variants": json.loads(text)["variants"][:1] * 5})
    ),
    "thin": lambda text: completion(json.dumps({"variants": json.loads(text)["variants"][:4]})),
    "context": lambda text: completion(
        json.dumps({"variants": json.loads(text)["variants"][:2]}), usage=(3896, 200)
    ),
    "deep": lambda text: completion("[" * 100_000),
    "no end of thinking": lambda text: completion(f"<think>It is red: {text}"),
}


def test_a_bad_answer_costs_its_own_picture_only_and_its_reason_is_kept(tmp_path):
    wanted = archive_of(tmp_path / "in", 10)
    kinds = dict(enumerate(BAD_ANSWERS, start=70))
    for width, kind in kinds.items():
        paint(tmp_path / "in" / f"{kind}.png", "red", (width, 64))

    def mode(asked):
        kind = kinds.get(asked.size[0])
        return answering("ok")(asked) if kind is None else BAD_ANSWERS[kind](record(asked))

    with StubServer(mode) as server:
        run(tmp_path, *asking(server, "in"), expect=3)
    assert colours(tmp_path) == wanted
    assert counts(tmp_path) == (10 + len(kinds), 10, len(kinds), 0)
    assert len(server.calls) == 10 + 2 * len(kinds)
    limits = {}
    for call in server.calls:
        limits.setdefault(kinds.get(call["size"][0]), []).append(call["max_tokens"])
    for kind in ("cut", "endless"):
        assert limits[kind][1] == 2 * limits[kind][0]
    found = json.loads(run(tmp_path, "status", "--store", "s", "--json").stdout)["quarantine"]
    details = {entry["image"].removesuffix(".png"): entry["detail"] for entry in found}
    assert "OLLAMA_CONTEXT_LENGTH" in details["context"]
    assert "4 of 5" in details["thin"]
    reasons = {entry["image"].removesuffix(".png"): entry["reason"] for entry in found}
    assert reasons == {
        "cut": "cut",
        "endless": "cut",
        "loop": "loop",
        "blank field": "incomplete",
        "null field": "incomplete",
        "sorry": "refused",
        "placeholder": "echo",
        "garbled": "garbled",
        "alike": "repeated",
        "thin": "incomplete",
        "context": "cut",
        "deep": "malformed",
        "no end of thinking": "reasoning",
    }


# Pictures


def test_bad_files_stop_nobody_and_each_is_named_with_its_reason(tmp_path, server):
    wanted = archive_of(tmp_path / "in", 40)
    good = (tmp_path / "in" / "0000.png").read_bytes()
    bad = {
        "truncated.png": good[:100],
        "empty.jpg": b"",
        "page.png": b"<html>no picture</html>",
        "dot.png": _png(Image.new("RGB", (1, 1), COLOURS["blue"])),
    }
    for name, content in bad.items():
        (tmp_path / "in" / name).write_bytes(content)
    done = run(tmp_path, *asking(server, "in"), expect=3)
    assert counts(tmp_path) == (44, 40, 4, 0)
    assert colours(tmp_path) == wanted
    assert open_store(tmp_path / "s").view().quarantined == {
        "truncated.png": "truncated",
        "empty.jpg": "empty",
        "page.png": "not_an_image",
        "dot.png": "too_small",
    }
    assert all(name in done.stderr for name in bad)
    assert len(server.calls) == 40
    for name in bad:
        paint(tmp_path / "in" / name, "green")
    run(tmp_path, *asking(server, "in", "--retry-failed"))
    assert counts(tmp_path) == (44, 44, 0, 0)
    assert colours(tmp_path) == wanted | dict.fromkeys(bad, "green")
    assert len(server.calls) == 44


def _png(picture):
    with io.BytesIO() as file:
        picture.save(file, "PNG")
        return file.getvalue()


def test_only_png_and_jpeg_of_sizes_that_models_take_leave_whatever_the_files_are(tmp_path):
    kinds = ("a.webp", "b.tif", "c.bmp", "d.gif", "e.ppm", "f.jpg", "g.png", "h.jp2", "i.JPG")
    wanted = {name: NAMED[number % len(NAMED)] for number, name in enumerate(kinds)}
    for name, colour in wanted.items():
        paint(tmp_path / "in" / name, colour)
    sizes = {"slim.png": (27, 300), "long.png": (690, 15420), "tiny.png": (5, 5)}
    for name, size in sizes.items():
        paint(tmp_path / "in" / name, "blue", size)
    (tmp_path / "in" / "a.webp").rename(tmp_path / "in" / "a.png")  # a wrong suffix
    wanted |= {"a.png": wanted.pop("a.webp"), **dict.fromkeys(sizes, "blue")}
    with StubServer("small") as server:
        run(tmp_path, *asking(server, "in"))
    assert colours(tmp_path) == wanted
    for call in server.calls:
        assert call["type"] == call["real_type"]
        assert call["type"] in ("image/jpeg", "image/png")
        assert 28 <= min(call["size"]) <= max(call["size"]) <= 1024
        assert max(call["size"]) < 200 * min(call["size"])


def test_phone_pictures_are_sent_upright_and_found_in_their_own_hemisphere(tmp_path, server, seen):
    picture = Image.new("RGB", (80, 40), COLOURS["red"])
    picture.paste(COLOURS["blue"], (40, 0, 80, 40))
    places = {"south.jpg": {1: "S", 3: "W"}, "north.jpg": {1: "N", 3: "E"}, "doubtful.jpg": {}}
    for orientation, (name, sides) in enumerate(places.items(), start=6):
        exif = Image.Exif()
        exif[0x0112] = 6
        exif[0x010E] = name
        exif.get_ifd(0x8825).update({2: (23.0, 32.0, 0.0), 4: (46.0, 38.0, 0.0), **sides})
        (tmp_path / "in").mkdir(exist_ok=True)
        picture.save(tmp_path / "in" / name, quality=90 + orientation, exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "in" / "scanned.tif", exif=exif)
    run(tmp_path, *asking(server, "in"))
    assert [picture.size for picture in seen] == [(40, 80)] * 4
    for picture in seen:
        top, bottom = picture.getpixel((20, 10)), picture.getpixel((20, 70))
        assert top[0] > 150 > top[2]
        assert bottom[2] > 150 > bottom[0]
    run(tmp_path, "index", "--store", "s")
    assert hits(tmp_path, "a field", "--bbox=-46.7,-23.6,-46.6,-23.5") == ["south.jpg"]
    assert hits(tmp_path, "a field", "--bbox=46.6,23.5,46.7,23.6") == ["north.jpg"]


# Archives


def test_dots_in_the_names_of_a_tar_mix_up_no_pictures(tmp_path, server):
    names = (
        "v1.2/a.jpg",
        "v1.2/b.jpg",
        "S2A_2024.tile.3.png",
        "S2A_2024.tile.4.png",
        "9.0/1.1.png",
    )
    wanted = dict(zip(names, NAMED, strict=True))
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, colour in wanted.items():
            tar.add(paint(tmp_path / "painted" / name, colour), name)
            label = tarfile.TarInfo(f"{name.rpartition('.')[0]}.txt")
            label.size = 4
            tar.addfile(label, io.BytesIO(b"text"))
    run(tmp_path, *asking(server, "x.tar"))
    assert colours(tmp_path) == wanted
    (tmp_path / "table.tar").write_bytes(b"PAR1" + bytes(5000) + b"PAR1")
    assert "is not a tar" in in_one_line(run(tmp_path, *asking(server, "table.tar"), expect=2))
    assert len(server.calls) == 5


def test_a_catalogue_without_a_server_answers_place_and_time_together(tmp_path, server):
    scenes = {"old": "red", "new": "green", "whole_year": "blue", "undated": "white"}
    dates = {
        "old": {"datetime": "2019-06-15T10:00:00Z"},
        "new": {"datetime": "2024-06-15T10:00:00Z"},
        "whole_year": {
            "datetime": None,
            "start_datetime": "2024-01-01T00:00:00Z",
            "end_datetime": "2024-12-31T23:59:59Z",
        },
        "undated": {"datetime": None},
    }
    links = [{"rel": "child", "href": "./catalog.json"}, {"rel": "item", "href": "./lost.json"}]
    for name, colour in scenes.items():
        pixels = np.empty((3, 64, 64), "uint8")
        pixels[:] = np.reshape(COLOURS[colour], (3, 1, 1))
        tif(tmp_path / f"{name}.tif", pixels)
        item = {
            "type": "Feature",
            "stac_version": "1.1.0",
            "id": name,
            "geometry": None,
            "properties": dates[name],
            "links": [],
            "assets": {"visual": {"href": f"./{name}.tif", "roles": ["data"]}},
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(item))
        links.append({"rel": "item", "href": f"./{name}.json"})
    catalogue = {"type": "Catalog", "stac_version": "1.1.0", "id": "c", "description": "c"}
    (tmp_path / "catalog.json").write_text(json.dumps(catalogue | {"links": links}))
    tif(tmp_path / "nowhere.tif", np.full((3, 50, 80), 15, "uint8"), crs=None, transform=None)
    done = run(tmp_path, *asking(server, "catalog.json", "nowhere.tif"))
    assert "lost.json" in done.stderr
    assert done.stderr.count("does not say where on Earth") == 1
    told = {f"{name}/visual": colour for name, colour in scenes.items()}
    assert colours(tmp_path) == told | {"nowhere.tif": "black"}
    run(tmp_path, "index", "--store", "s")
    here, june = ("--bbox", "14.9,45,15.1,45.3"), ("--since", "2024-06-01", "--until", "2024-06-30")
    assert sorted(hits(tmp_path, "field", *here, *june)) == ["new/visual", "whole_year/visual"]
    assert sorted(hits(tmp_path, "field", "--bbox", "0,0,80,50")) == sorted(told)


def test_names_are_names_whatever_is_in_them(tmp_path, server):
    names = ("new\nline.png", "q\"uo'te.png", "tab\t.png", "esc\x1b[31m.png", "-dash.png", "*.png")
    names += ("Case.png", "case.PNG", "{0}.png", "a\\b.png", " lead.png", "x" * 251 + ".png")
    names += ("ü" * 125 + ".png", "\u202egnp.png", "%s.png")
    wanted = {name: NAMED[number % len(NAMED)] for number, name in enumerate(names)}
    for name, colour in wanted.items():
        paint(tmp_path / "in" / name, colour)
    paint(tmp_path / "in" / "folder.jpg" / "inner.png", "blue")
    plain = paint(tmp_path / "plain.png")
    os.rename(plain, os.fsencode(tmp_path / "in") + b"/not\xff\xfeutf8.png")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    (tmp_path / "in" / "loop.png").symlink_to("loop.png")
    (tmp_path / "in" / "out.png").symlink_to(paint(tmp_path / "outside.png"))
    (tmp_path / "in" / "up").symlink_to("..")
    done = run(tmp_path, *asking(server, "in"), expect=3)
    assert colours(tmp_path) == wanted | {"folder.jpg/inner.png": "blue"}
    assert counts(tmp_path) == (len(names) + 2, len(names) + 1, 1, 0)
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 4
    again = run(tmp_path, *asking(server, "in"), expect=3)
    assert f"0 new images; {len(names) + 2} known" in again.stderr


def test_an_archive_is_only_read(tmp_path, server):
    def state():
        return {
            path: (path.stat().st_mtime_ns, path.stat().st_mode)
            for path in sorted((tmp_path / "in").rglob("*"))
        }

    wanted = archive_of(tmp_path / "in", 5)
    (tmp_path / "in").chmod(0o555)
    before = state()
    run(tmp_path, *asking(server, "in"))
    assert state() == before
    assert colours(tmp_path) == wanted
    (tmp_path / "in").chmod(0o755)


def test_an_archive_that_is_empty_today_is_told_even_where_records_are(tmp_path, server):
    archive_of(tmp_path / "in", 3)
    run(tmp_path, *asking(server, "in"))
    (tmp_path / "unmounted").mkdir()
    done = run(tmp_path, *asking(server, "unmounted"), expect=1)
    assert "no images in unmounted" in in_one_line(done)
    assert ".png" in done.stderr
    assert "cannot be read" in in_one_line(run(tmp_path, *asking(server, "no_such"), expect=2))
    assert counts(tmp_path) == (3, 3, 0, 0)


def test_two_archives_of_the_same_names_are_kept_apart(tmp_path, server):
    for name, colour in (("a", "red"), ("b", "blue")):
        for number in range(3):
            paint(tmp_path / name / f"{number}.png", colour)
    done = run(tmp_path, *asking(server, "a", "b"), expect=1)
    assert "--prefix" in in_one_line(done)
    run(tmp_path, *asking(server, "a"))
    assert "--prefix" in in_one_line(run(tmp_path, *asking(server, "b"), expect=1))
    run(tmp_path, *asking(server, "b", "--prefix", "b"))
    told = {f"{number}.png": "red" for number in range(3)}
    assert colours(tmp_path) == told | {f"b/{name}": "blue" for name in told}
    assert twice(server) == 0


# Scenes


def _scene(folder, name, values, after=lambda file: None, **profile):
    """Write a scene whose bands have one value each, but for a dark strip."""
    pixels = np.empty((len(values), 64, 64), profile.pop("dtype", "uint16"))
    pixels[:] = np.reshape(values, (-1, 1, 1))
    pixels[:, :, :8] = max(values) / 10
    folder.mkdir(exist_ok=True)
    return tif(folder / name, pixels, after=after, **profile)


def _names_of_bands(*names):
    def name(file):
        file.descriptions = names

    return name


def _control_points(file):
    corners = ((0, 0, 10.0, 50.0), (0, 64, 10.8, 50.0), (64, 0, 10.0, 49.5), (64, 64, 10.8, 49.5))
    points = [GroundControlPoint(row, column, x, y) for row, column, x, y in corners]
    file.gcps = (points, CRS.from_epsg(4326))


def test_scenes_show_their_true_colours_and_lie_where_they_lie(tmp_path, server):
    named = _names_of_bands("blue", "green", "red", "nir")
    folder = tmp_path / "in"
    _scene(folder, "deep.tif", (0, 0, 3000))
    _scene(folder, "signed.tif", (100, 2500, 100), dtype="int16")
    _scene(folder, "reflectance.tif", (0.3, 0.02, 0.02), dtype="float32")
    _scene(folder, "named.tif", (20, 20, 220, 240), named, dtype="uint8")
    _scene(folder, "unnamed.tif", (20, 20, 220, 240), dtype="uint8")
    turned = Affine(7.07, 7.07, 500000, 7.07, -7.07, 5000000)
    _scene(folder, "turned.tif", (200, 30, 30), dtype="uint8", transform=turned)
    upward = Affine(10, 0, 500000, 0, 10, 4999000)
    _scene(folder, "upward.tif", (200, 30, 30), dtype="uint8", transform=upward)
    _scene(
        folder,
        "points.tif",
        (200, 30, 30),
        _control_points,
        dtype="uint8",
        crs=None,
        transform=None,
    )
    Image.fromarray(np.linspace(0, 4000, 4096).reshape(64, 64).astype("uint16")).save(
        folder / "grey.png"
    )
    done = run(tmp_path, *asking(server, "in"))
    assert "unnamed.tif (and others like it) has 4 bands: bands 1,2,3 are shown" in done.stderr
    assert done.stderr.count("--bands") == 2  # once a number of bands
    wanted = {
        "deep.tif": "blue",
        "signed.tif": "green",
        "reflectance.tif": "red",
        "named.tif": "red",
        "unnamed.tif": "blue",
        "turned.tif": "red",
        "upward.tif": "red",
        "points.tif": "red",
        "grey.png": "grey",
    }
    assert colours(tmp_path) == wanted
    run(tmp_path, "export", "map.geojson", "--store", "s")
    done = run(tmp_path, *asking(server, "in/unnamed.tif", "--bands", "3,2,1"))
    assert "reading.bands: None before, [3, 2, 1] now" in done.stderr
    assert colours(tmp_path)["unnamed.tif"] == "red"
    features = json.loads((tmp_path / "map.geojson").read_text())["features"]
    shapes = {feature["id"]: feature["geometry"] for feature in features}
    assert shapes["grey.png"] is None
    [ring] = shapes["turned.tif"]["coordinates"]
    assert len({tuple(corner) for corner in ring}) == 4
    assert len({x for x, _ in ring}) == len({y for _, y in ring}) == 4  # no upright box
    for name, (west, south, east, north) in {
        "points.tif": (10.0, 49.5, 10.8, 50.0),
        "upward.tif": (15.0, 45.14447, 15.00814, 45.15023),
        "turned.tif": (15.0, 45.14934, 15.01151, 45.15755),
    }.items():
        [ring] = shapes[name]["coordinates"]
        xs, ys = zip(*ring, strict=True)
        box = (min(xs), min(ys), max(xs), max(ys))
        assert box == pytest.approx((west, south, east, north), abs=1e-4), name


def test_windows_of_a_scene_share_its_stretch_and_those_without_data_are_counted(
    tmp_path, server, seen
):
    draw = np.random.default_rng(0)
    pixels = draw.integers(300, 3000, (3, 512, 512))
    pixels[:, :, :256] = draw.integers(300, 341, (3, 512, 256))  # dark water in the west
    pixels[:, :64, :64] = -9999
    pixels[:, 300, 400] = 30000  # a glint
    (tmp_path / "in").mkdir()
    tif(tmp_path / "in" / "coast.tif", pixels.astype("int16"), nodata=-9999)
    nothing = np.full((3, 256, 512), -9999, "int16")
    tif(tmp_path / "in" / "void.tif", nothing, nodata=-9999)
    done = run(tmp_path, *asking(server, "in", "--tile", "256", "--concurrency", "1"))
    assert "window without data 2" in done.stderr
    assert counts(tmp_path) == (4, 4, 0, 0)
    boxes = [found.metadata.bbox for found in open_store(tmp_path / "s").view()]
    assert len(set(boxes)) == 4
    dark, bright = [], []
    for window in seen:
        values = np.asarray(window, float)[100:]  # below the corner without data
        (dark if values.mean() < 60 else bright).append(values)
    assert (len(dark), len(bright)) == (2, 2)
    for values in dark:
        assert values.mean() < 5
        assert values.std() < 5
    for values in bright:
        assert 100 < values.mean() < 160
        assert values.std() > 50
    before = {call["sha256"] for call in server.calls}
    shutil.rmtree(tmp_path / "s")
    run(tmp_path, *asking(server, "in/coast.tif", "--tile", "256", "--limit", "1"))
    assert server.calls[-1]["sha256"] in before


@pytest.mark.parametrize("options", [("--tile", "-3"), ("--tile", "64", "--overlap", "64")])
def test_windows_that_cannot_be_make_no_record_set_even_where_no_scene_is(
    tmp_path, server, options
):
    archive_of(tmp_path / "in", 3)
    assert options[-2] in in_one_line(run(tmp_path, *asking(server, "in", *options), expect=2))
    assert server.calls == []
    assert counts(tmp_path) == (0, 0, 0, 0)


def test_runs_with_a_limit_count_what_they_did_themselves(tmp_path, server):
    wanted = archive_of(tmp_path / "in", 9)
    for number, said in ((6, "6 of 6 images"), (5, "3 of 3 images")):
        done = run(tmp_path, *asking(server, "in", "--limit", str(number)))
        assert f"\n{said}, " in done.stderr
    assert "6 more were done before" in done.stderr
    assert colours(tmp_path) == wanted
    assert twice(server) == 0


# Records that are there


def test_hand_written_records_stay_and_another_prompt_makes_another_set(tmp_path, server):
    archive_of(tmp_path / "in", 3)
    text = {"one_sentence": "A castle.", "feature": "one castle", "caption": "A castle stands."}
    by_hand = {"image": "0000.png", "variants": [text] * 5}
    (tmp_path / "hand.jsonl").write_text(json.dumps(by_hand) + "\n")
    run(tmp_path, "import", "hand.jsonl", "--images", "in", "--store", "s")
    run(tmp_path, *asking(server, "in"))
    first = open_store(tmp_path / "s").view()
    assert len(server.calls) == 2
    (tmp_path / "own.txt").write_text("Describe this in five variants as JSON.")
    done = run(tmp_path, *asking(server, "in", "--prompt", "own.txt", "--update"))
    assert f"other settings than those of record set {first.set}" in done.stderr
    assert "captioner.prompt.name: rsrt before, own now" in done.stderr
    second = open_store(tmp_path / "s").view()
    assert second.set != first.set
    for view in (second, open_store(tmp_path / "s").view(first.set)):
        assert sentence(view, "0000.png") == "A castle."
        assert "green" in sentence(view, "0001.png")
    run(tmp_path, "remove", "0001.png", "--store", "s")
    assert counts(tmp_path) == (2, 2, 0, 0)
    run(tmp_path, *asking(server, "in", "--prompt", "own.txt"))
    assert counts(tmp_path) == (3, 3, 0, 0)
    assert len(server.calls) == 5


def test_a_picture_replaced_under_its_name_is_found_by_its_new_content_only(tmp_path, server):
    paint(tmp_path / "in" / "a.png", "red")
    paint(tmp_path / "in" / "b.png", "white")
    run(tmp_path, *asking(server, "in"))
    paint(tmp_path / "in" / "a.png", "blue", (65, 65))
    done = run(tmp_path, *asking(server, "in"), expect=1)
    assert "a.png" in in_one_line(done)
    assert colours(tmp_path) == {"a.png": "red", "b.png": "white"}
    run(tmp_path, *asking(server, "in", "--update"))
    assert colours(tmp_path) == {"a.png": "blue", "b.png": "white"}
    run(tmp_path, "index", "--store", "s")
    assert "red" not in run(tmp_path, "query", "a red field", "--store", "s").stdout
    assert counts(tmp_path) == (2, 2, 0, 0)


def test_metadata_that_comes_too_late_is_said_to_change_nothing(tmp_path, server):
    archive_of(tmp_path / "in", 2)
    run(tmp_path, *asking(server, "in"))
    paint(tmp_path / "in" / "new.png", "red")
    (tmp_path / "dates.csv").write_text("image,datetime\n0000.png,2024-05-01\nnew.png,2024-05-02\n")
    done = run(tmp_path, *asking(server, "in", "--metadata", "dates.csv"))
    assert "the 2 known images keep the place, date and properties" in done.stderr
    dates = {found.image: found.metadata.datetime for found in open_store(tmp_path / "s").view()}
    assert dates == {"0000.png": None, "0001.png": None, "new.png": "2024-05-02"}


# Trouble on the way


def test_a_full_disk_ends_the_run_of_a_pool_in_one_line_and_loses_nothing(tmp_path, server):
    wanted = archive_of(tmp_path / "in", 100)

    limited = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (100_000, 100_000))"
    done = subprocess.run(
        after(limited, *asking(server, "in", "--workers", "2")),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "what was finished is kept" in in_one_line(done)
    assert counts(tmp_path) == (100, 0, 0, 100)
    assert run(tmp_path, "verify", "--store", "s").stdout.endswith(" 0 damaged\n")
    before = len(server.calls)
    assert 10 < before < 100
    run(tmp_path, *asking(server, "in"))
    assert colours(tmp_path) == wanted
    assert twice(server) <= 40
    assert run(tmp_path, "verify", "--store", "s").stdout.endswith(" 0 damaged\n")


def test_a_worker_that_fails_without_words_is_no_success(tmp_path, server):
    archive_of(tmp_path / "in", 2)
    run(tmp_path, *asking(server, "in", "--limit", "0"))
    options = {"model": "stub", "base_url": server.address, "concurrency": "four"}
    name = open_store(tmp_path / "s").view().set
    job = Job(str(tmp_path / "s"), name, "openai", options, Reading())
    with pytest.raises(TrsllavaError, match="a worker failed"):
        run_pool(job, 2, stop=Event(), report=Tally().add, limit=None, strict=False)
    assert counts(tmp_path) == (2, 0, 0, 2)


def test_workers_end_when_the_command_that_started_them_is_killed(tmp_path):
    wanted = archive_of(tmp_path / "in", 80)
    with StubServer(delay=0.1) as server:
        job = command(*asking(server, "in", "--workers", "2", "--concurrency", "2"))
        process = subprocess.Popen(job, cwd=tmp_path, stderr=subprocess.DEVNULL)
        while len(server.calls) < 8:
            time.sleep(0.02)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        assert len(workers) >= 2
        assert psutil.wait_procs(workers, timeout=20)[1] == []
        assert len(server.calls) < 60
        server.mode = "ok"
        run(tmp_path, *asking(server, "in"))
        assert colours(tmp_path) == wanted
        assert twice(server) <= 4


def test_an_archive_that_goes_away_quarantines_nobody(tmp_path):
    wanted = archive_of(tmp_path / "in", 60)
    with StubServer("slow:0.1") as server:
        job = command(*asking(server, "in", "--concurrency", "2"))
        process = subprocess.Popen(job, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        while len(server.calls) < 5:
            time.sleep(0.02)
        (tmp_path / "in").rename(tmp_path / "away")
        _, told = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "Traceback" not in told
        assert counts(tmp_path) == (60, 0, 0, 60)
        (tmp_path / "away").rename(tmp_path / "in")
        server.mode = "ok"
        run(tmp_path, *asking(server, "in"))
        assert colours(tmp_path) == wanted
        assert twice(server) <= 2


def test_two_jobs_on_one_store_ask_about_each_picture_once(tmp_path):
    wanted = archive_of(tmp_path / "in", 40)
    with StubServer(delay=0.1) as server:
        job = command(*asking(server, "in"))
        jobs = [subprocess.Popen(job, cwd=tmp_path, stderr=subprocess.PIPE) for _ in range(2)]
        for process in jobs:
            _, told = process.communicate(timeout=60)
            assert process.returncode == 0, told
        assert colours(tmp_path) == wanted
        assert len(server.calls) == 40
        assert twice(server) == 0


def test_one_processor_is_enough_and_no_more_threads_than_needed_are_started(tmp_path):
    wanted = archive_of(tmp_path / "in", 10)
    one = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})"
    with StubServer(delay=0.3) as server:
        process = subprocess.Popen(
            after(one, *asking(server, "in", "--concurrency", "2")),
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        while len(server.calls) < 3:
            time.sleep(0.02)
        threads = len(list(Path(f"/proc/{process.pid}/task").iterdir()))
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert threads <= 6
    assert len(told.splitlines()) == 3
    assert colours(tmp_path) == wanted
