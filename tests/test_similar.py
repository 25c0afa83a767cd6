"""Images like one: what texts and pictures tell, of images of the store and of files."""

import json
import shutil

import numpy as np
import pytest
from jobs_kit import Colours, caption, paint_archive
from PIL import Image
from stub import ColourEye, StubEncoder, paint_colours, write_lines
from typer.testing import CliRunner

from trsllava.cli.app import app
from trsllava.embedding import pictures as stage
from trsllava.errors import IndexUnusable, InputError, UsageError
from trsllava.index.build import build_index
from trsllava.index.generation import open_generation
from trsllava.records import bounding_box
from trsllava.search.archive import open_searcher
from trsllava.search.filters import Filters
from trsllava.search.similar import find_similar
from trsllava.store.importing import import_files
from trsllava.store.maintenance import remove_images
from trsllava.store.store import create_store

KINDS = ("harbour", "forest", "airport", "river", "roof", "quarry", "stadium", "beach")
SHADES = ("red", "green", "blue")


def kind(n):
    return KINDS[n % len(KINDS)]


def shade(n):
    return SHADES[n // len(KINDS) % 3]


IMAGES = {f"{n:03}.png": n for n in range(120)}


@pytest.fixture
def encoder():
    return StubEncoder()


@pytest.fixture
def eye(encoder):
    return ColourEye(encoder)


@pytest.fixture
def store(tmp_path):
    """Images of eight kinds, which the records tell, in three colours, which pictures show."""
    paint_colours(tmp_path / "images", {image: shade(n) for image, n in IMAGES.items()})
    lines = []
    for image, n in IMAGES.items():
        for word in ("trees", "cars", "walls", "water", "dunes"):
            text = f"{kind(n)} {kind(n)} {kind(n)} {word} {n}"
            lines.append(json.dumps({"image": image, "caption": text, "bbox": [n, 0, n, 1]}))
    store = create_store(tmp_path / "store")
    import_files(store, [write_lines(tmp_path / "r.jsonl", lines)], images=tmp_path / "images")
    return store


def similar(store, encoder, image, top=10, eye=None, **filters):
    searcher = open_searcher(store.view(), open_generation(store.layout, "imported"), encoder)
    return find_similar(searcher, image, top, Filters(**filters), lambda: eye)


def numbers(alike):
    return [IMAGES[hit.image] for hit in alike.hits]


def test_by_texts_the_records_that_say_the_same_come_first(store, encoder):
    build_index(store, encoder)
    alike = similar(store, encoder, "009.png", top=119)
    assert alike.mode == "texts"
    found = numbers(alike)
    assert 9 not in found
    assert sorted(found) == [n for n in range(120) if n != 9]
    assert {kind(n) for n in found[:14]} == {kind(9)}
    scores = [hit.score for hit in alike.hits]
    assert scores == sorted(scores, reverse=True)
    assert all(not hit.weak and hit.score > 0.5 for hit in alike.hits[:14])
    assert all(hit.weak and hit.score < 0.5 for hit in alike.hits[14:])
    assert all(kind(9) in hit.evidence for hit in alike.hits[:14])


def test_pictures_decide_among_records_that_say_the_same(store, encoder, eye):
    build_index(store, encoder, eye=eye)
    alike = similar(store, encoder, "009.png", top=3)
    assert alike.mode == "fused"
    assert {(kind(n), shade(n)) for n in numbers(alike)} == {(kind(9), shade(9))}


def test_a_file_is_compared_by_its_picture_and_the_evidence_says_what_it_shows(
    tmp_path, store, encoder, eye
):
    Image.new("RGB", (50, 40), "blue").save(tmp_path / "mine.png")
    mine = str(tmp_path / "mine.png")
    build_index(store, encoder)
    with pytest.raises(IndexUnusable, match="trsllava index --images"):
        similar(store, encoder, mine, eye=eye)
    build_index(store, encoder, eye=eye)
    alike = similar(store, encoder, mine, top=40, eye=eye)
    assert alike.mode == "pictures"
    assert {shade(n) for n in numbers(alike)} == {"blue"}
    assert not alike.hits[-1].weak
    assert all(hit.evidence for hit in alike.hits)
    with pytest.raises(IndexUnusable, match="another light head.*--images"):
        similar(store, encoder, mine, eye=ColourEye(encoder, revision="2"))
    (tmp_path / "mine.png").write_text("no picture")
    with pytest.raises(InputError, match="mine.png cannot be read as a picture"):
        similar(store, encoder, mine, eye=eye)


def test_the_file_of_an_image_that_the_archive_holds_is_that_image(tmp_path, store, encoder):
    build_index(store, encoder)
    asked = similar(store, encoder, "009.png").hits
    alike = similar(store, encoder, str(tmp_path / "images" / "009.png"))
    assert (alike.image, alike.mode, alike.hits) == ("009.png", "texts", asked)
    (tmp_path / "link.png").symlink_to(tmp_path / "images" / "009.png")
    assert similar(store, encoder, str(tmp_path / "link.png")).hits == asked


def test_a_copy_of_a_captioned_picture_is_known_by_its_bytes(tmp_path, encoder):
    archive = paint_archive(tmp_path / "in", 12)
    caption(tmp_path / "s", archive, Colours(), prefix="there")
    store = create_store(tmp_path / "s")
    name = store.view().set
    build_index(store, encoder, records=name)
    copy = shutil.copy(archive / "0003.png", tmp_path / "mine.png")
    searcher = open_searcher(store.view(), open_generation(store.layout, name), encoder)
    alike = find_similar(searcher, str(copy), 20)
    assert (alike.image, alike.mode) == ("there/0003.png", "texts")
    assert "there/0003.png" not in [hit.image for hit in alike.hits]
    assert len(alike.hits) == 11


def test_an_image_without_a_picture_is_compared_by_its_texts(tmp_path, store, encoder, eye):
    (tmp_path / "images" / "009.png").unlink()
    build_index(store, encoder, eye=eye)
    alike = similar(store, encoder, "009.png")
    assert alike.mode == "texts"
    assert {kind(n) for n in numbers(alike)} == {kind(9)}
    others = numbers(similar(store, encoder, "017.png", top=119))
    same = [n for n in others if kind(n) == kind(17) and n != 9]
    as_blue = [others.index(n) for n in same if shade(n) == shade(17)]
    unlike = [others.index(n) for n in same if shade(n) != shade(17)]
    assert max(as_blue) < others.index(9) < min(unlike)  # no proof, and no punishment


def test_filters_select_and_the_score_stays_what_it_was(store, encoder, eye):
    build_index(store, encoder, eye=eye)
    scores = {hit.image: hit.score for hit in similar(store, encoder, "009.png", top=119).hits}
    alike = similar(store, encoder, "009.png", top=119, bbox=bounding_box([20, 0, 40, 1]))
    assert sorted(numbers(alike)) == list(range(20, 41))
    for hit in alike.hits:
        assert hit.score == pytest.approx(scores[hit.image], abs=1e-5)
    assert similar(store, encoder, "009.png", where=(("no", "such"),)).hits == ()


def test_both_kinds_of_index_find_the_same(store, encoder, eye, monkeypatch):
    build_index(store, encoder, eye=eye)
    exact = similar(store, encoder, "009.png", top=30).hits
    assert build_index(store, encoder, eye=eye, kind="ivf").kind == "ivf"
    monkeypatch.setattr("trsllava.index.dense.EXACT_ROWS", 0)
    found = similar(store, encoder, "009.png", top=30).hits
    assert [hit.image for hit in found] == [hit.image for hit in exact]


def test_what_is_neither_an_image_nor_a_file_is_told_with_what_is_near(store, encoder):
    build_index(store, encoder)
    with pytest.raises(InputError, match=r"neither .* nor a file; near are: .*009\.png"):
        similar(store, encoder, "0099.png")
    with pytest.raises(InputError, match="neither an image"):
        similar(store, encoder, "/no/such/file.png")
    with pytest.raises(UsageError, match="--top"):
        similar(store, encoder, "009.png", top=0)


def test_a_removed_image_is_neither_asked_for_nor_found(store, encoder):
    build_index(store, encoder)
    remove_images(store, ["009.png"])
    with pytest.raises(InputError, match="neither"):
        similar(store, encoder, "009.png")
    assert 9 not in numbers(similar(store, encoder, "017.png", top=119))


def test_a_record_that_is_not_indexed_yet_names_the_command(tmp_path, store, encoder):
    build_index(store, encoder)
    line = json.dumps({"image": "new.png", "caption": "a forest"})
    import_files(store, [write_lines(tmp_path / "n.jsonl", [line])])
    with pytest.raises(IndexUnusable, match="not indexed yet; run: trsllava index"):
        similar(store, encoder, "new.png")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_archives_of_a_few_images_have_an_answer(tmp_path, encoder, eye, count):
    images = [f"{n}.png" for n in range(count)]
    paint_colours(tmp_path / "images", dict.fromkeys(images, "red"))
    store = create_store(tmp_path / "store")
    lines = (json.dumps({"image": image, "caption": "a field"}) for image in images)
    import_files(store, [write_lines(tmp_path / "r.jsonl", lines)], images=tmp_path / "images")
    build_index(store, encoder, eye=eye)
    alike = similar(store, encoder, "0.png")
    assert [hit.image for hit in alike.hits] == images[1:]
    assert all(np.isfinite(hit.score) for hit in alike.hits)


def test_the_command_prints_hits_and_json(tmp_path, store, encoder, eye, monkeypatch):
    for module in ("trsllava.embedding", "trsllava.search.archive"):
        monkeypatch.setattr(f"{module}.load_embedder", StubEncoder)
    monkeypatch.setattr(stage, "load_eye", lambda: eye)
    build_index(store, encoder, eye=eye)

    def run(*arguments):
        done = CliRunner().invoke(app, ["similar", *arguments, "--store", str(store.root)])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    assert "told by texts and pictures" in run("009.png", "--top", "2")
    body = json.loads(run("009.png", "--top", "2", "--bbox", "0,0,50,1", "--json"))
    assert set(body) == {"image", "mode", "hits", "notes", "elapsed_ms"}
    assert (body["image"], body["mode"], len(body["hits"])) == ("009.png", "fused", 2)
    assert "no other image is indexed that passes the filters" in run(
        "009.png", "--bbox", "-9,-9,-8,-8"
    )
    remove_images(store, [image for image in IMAGES if image != "009.png"])
    assert "no other image is indexed\n" in run("009.png")
    hit = body["hits"][0]
    assert {"rank", "image", "score", "weak", "evidence", "field", "variant", "bbox"} <= set(hit)
    assert hit["path"] == str(tmp_path / "images" / hit["image"])
