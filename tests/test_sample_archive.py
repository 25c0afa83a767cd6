"""The painted sample archive is deterministic, and its records say what is in the pictures."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trsllava.errors import InputError
from trsllava.records import bounding_box, time_span
from trsllava.resources import load_script

painter = load_script("datasets/sample_archive.py")
words = painter._parts("facts")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    return folder, painter.paint_archive(folder)


@pytest.fixture(scope="module")
def scenes():
    return [painter.scene(kind, seed) for kind in painter.KINDS for seed in (3, 11)]


def texts(record):
    return [text.text for text in record.texts()]


def test_an_archive_has_sixty_pictures_of_at_least_fifteen_kinds(archive):
    folder, records = archive
    assert len(records) == 60
    assert len({record.metadata.properties["kind"] for record in records}) >= 15
    assert sorted(path.name for path in folder.iterdir()) == [record.image for record in records]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 10_000_000


def test_every_record_is_full_and_no_text_occurs_twice(archive):
    _, records = archive
    assert not any(record.is_thin for record in records)
    assert all(len(record.variants) == 5 for record in records)
    everything = [text for record in records for text in texts(record)]
    assert len(everything) == len(set(everything)) == 900


def test_no_sign_of_a_template_is_left_in_a_text(archive):
    for record in archive[1]:
        for text in texts(record):
            assert not re.search(r"[\[\]{}<>|?_]|  | ,|,,|\.\.", text), text
            assert text[0].isupper()


def test_every_caption_is_a_paragraph_and_every_sentence_ends(archive):
    for record in archive[1]:
        for variant in record.variants:
            assert variant.one_sentence.endswith(".")
            assert 2 <= len(re.findall(r"\.(?: |$)", variant.caption)) <= 4, variant.caption
            assert len(variant.caption) > len(variant.one_sentence)


def test_footprints_and_times_are_valid_and_spread(archive):
    _, records = archive
    boxes = [bounding_box(list(record.metadata.bbox)) for record in records]
    years = {time_span(record.metadata.datetime)[0].year for record in records}
    assert all(box.west < box.east and box.south < box.north for box in boxes)
    assert any(box.east < 0 for box in boxes)
    assert any(box.north < 0 for box in boxes)
    assert len(years) >= 5
    assert years <= set(range(2019, 2026))


def test_the_three_demo_queries_have_an_answer_in_words(archive):
    everything = {record.image: " ".join(texts(record)).lower() for record in archive[1]}
    assert "ships moored at a pier" in everything["harbour_01.jpg"]
    assert "a bridge over a river" in everything["river_bridge_01.jpg"]
    assert "white storage tanks" in everything["storage_tanks_01.jpg"]
    assert "no ships" in everything["harbour_03.jpg"]
    assert "moored" not in everything["harbour_03.jpg"]


def test_two_pictures_of_one_place_differ_only_in_what_was_planned(archive):
    records = {record.image: record for record in archive[1]}
    white, brown = records["storage_tanks_02.jpg"], records["storage_tanks_03.jpg"]
    assert white.metadata.bbox == brown.metadata.bbox
    assert white.metadata.datetime != brown.metadata.datetime
    assert "rust-brown" in " ".join(texts(brown))
    assert "rust-brown" not in " ".join(texts(white))


def test_the_same_seed_paints_the_same_bytes_and_another_seed_does_not(archive, tmp_path):
    folder, records = archive
    again = painter.paint_archive(tmp_path / "again", count=5)
    for record in again:
        first = (folder / record.image).read_bytes()
        assert (tmp_path / "again" / record.image).read_bytes() == first
    assert {record.image for record in again} <= {record.image for record in records}
    other = painter.paint_archive(tmp_path / "other", seed=8, count=5)
    for record in other:
        first = (folder / record.image).read_bytes()
        assert (tmp_path / "other" / record.image).read_bytes() != first


def test_a_scene_depends_on_nothing_painted_before_it():
    first = painter.scene("forest", 5)
    painter.scene("desert", 6)
    second = painter.scene("forest", 5)
    assert np.array_equal(first.pixels, second.pixels)
    assert first.record("a.jpg") == second.record("a.jpg")
    assert not np.array_equal(first.pixels, painter.scene("forest", 6).pixels)


def test_pictures_are_opaque_colour_with_contrast(archive):
    folder, records = archive
    for record in records:
        with Image.open(folder / record.image) as image:
            pixels = np.asarray(image, float)
        assert pixels.shape == (256, 256, 3)
        assert pixels.std() > 12, record.image
        assert 40 < pixels.mean() < 215, record.image
        # Texture everywhere: no block of 16 x 16 pixels is one flat colour.
        blocks = pixels.mean(2).reshape(16, 16, 16, 16).std(axis=(1, 3))
        assert blocks.min() > 0.5, record.image


def test_every_count_among_the_facts_is_said_in_words(scenes):
    for scene in scenes:
        said = " ".join(texts(scene.record("x.jpg"))).lower()
        for thing, number in scene.facts.counts.items():
            if thing in {"tracks", "lakes", "boats", "parasols", "ships"} and number == 0:
                continue
            if thing == "bases":
                assert "four bases" in said
                continue
            assert re.search(rf"\b{words.in_words(number)}\b", said), (scene.facts.kind, thing)


def test_no_text_names_a_count_that_is_not_among_the_facts(scenes):
    for scene in scenes:
        counts = scene.facts.counts
        for thing in ("ships", "aircraft", "tanks", "halls", "courts", "turbines", "trains"):
            if thing not in counts:
                continue
            for text in texts(scene.record("x.jpg")):
                for match in re.finditer(rf"\b([a-z-]+) {thing}\b", text.lower()):
                    number = _number(match[1])
                    assert number in (None, counts[thing]), text


def _number(word):
    return next((n for n in range(1, 100) if words.in_words(n) == word), None)


@pytest.mark.parametrize("cars", [0, 12, 90])
def test_more_cars_change_more_pixels_of_an_empty_parking_lot(cars):
    empty = painter.scene("parking", 21, {"cars": 0})
    some = painter.scene("parking", 21, {"cars": cars})
    share = np.mean(np.abs(empty.pixels.astype(int) - some.pixels).max(axis=2) > 40)
    assert some.facts.counts["cars"] == cars
    assert share <= 0.02 if cars == 0 else share > 0.0008 * cars


def test_white_tanks_are_brighter_than_rust_brown_ones():
    white = painter.scene("storage_tanks", 4, {"tank": "white"}).pixels
    brown = painter.scene("storage_tanks", 4, {"tank": "rust-brown"}).pixels
    changed = np.abs(white.astype(int) - brown).max(axis=2) > 40
    assert changed.mean() > 0.05
    assert white[changed].mean() > brown[changed].mean() + 40


def test_shadows_fall_away_from_the_equator(scenes):
    for scene in scenes:
        north = scene.facts.phrases["shadow"] in {"north", "northeast", "northwest"}
        assert north == (scene.bbox.south > 0)


def test_an_unknown_kind_is_refused_with_the_kinds_there_are():
    with pytest.raises(InputError, match="harbour"):
        painter.scene("volcano", 1)


def test_the_scripts_lie_beside_each_other_and_import_no_more_than_the_base_install():
    folder = Path(painter.__file__).with_name("sample_archive")
    for path in folder.glob("*.py"):
        assert not re.search(
            r"^\s*(import|from) (scipy|cv2|torch|pandas|skimage)", path.read_text(), re.M
        )
