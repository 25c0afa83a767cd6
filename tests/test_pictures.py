"""What pictures add to an index and to a query, with an eye that sees nothing but colours."""

import json
import re
import shutil

import numpy as np
import pytest
from jobs_kit import Colours, caption, paint_archive
from stub import ColourEye, StubEncoder, paint_colours, record_line, write_lines
from typer.testing import CliRunner

from trsllava.cli.app import app
from trsllava.embedding import pictures as stage
from trsllava.embedding.pictures import eye_fingerprint
from trsllava.errors import IndexUnusable, InputError, StoreDamaged
from trsllava.images.source import Reading
from trsllava.index.build import build_index
from trsllava.index.generation import open_generation
from trsllava.index.manifest import picture_files, read_current
from trsllava.search.archive import open_searcher
from trsllava.search.query import Query
from trsllava.store.importing import import_files
from trsllava.store.maintenance import compact, remove_images
from trsllava.store.store import create_store, open_store
from trsllava.upkeep.prune import prune
from trsllava.upkeep.status import status_of
from trsllava.upkeep.verify import verify

COLOURS = {f"{n:02}.png": ("red", "green", "blue")[n % 3] for n in range(30)}


@pytest.fixture
def encoder():
    return StubEncoder()


@pytest.fixture
def eye(encoder):
    return ColourEye(encoder)


@pytest.fixture
def store(tmp_path):
    """Thirty pictures, and records that say nothing of their colours."""
    return give(tmp_path, COLOURS)


def give(home, colours, word="field", line=record_line):
    paint_colours(home / "images", colours)
    store = create_store(home / "store")
    file = write_lines(home / "r.jsonl", (line(image, word) for image in colours))
    import_files(store, [file], images=home / "images", update=True)
    return store


def same_line(image, word):
    """A thin record that says the same of every image."""
    return json.dumps({"image": image, "caption": word})


def searcher_of(store, encoder):
    return open_searcher(store.view(), open_generation(store.layout, "imported"), encoder)


def ask(store, encoder, text, **options):
    options = {"mode": "fused", "top": 100, **options}
    return searcher_of(store, encoder).search(Query(text, **options)).hits


def pictured(store):
    return status_of(store)["index"]["picture_vectors"]


def test_a_fused_query_finds_what_only_the_pictures_show(store, encoder, eye):
    build_index(store, encoder, eye=eye)
    assert pictured(store) == 30
    hits = ask(store, encoder, "red", top=10)
    assert {COLOURS[hit.image] for hit in hits} == {"red"}
    by_texts = ask(store, encoder, "red", mode="hybrid", top=10)
    assert {COLOURS[hit.image] for hit in by_texts} == {"red", "green", "blue"}
    for hit in hits:
        parts = hit.explanation
        assert parts.raw == pytest.approx(parts.meaning + parts.words + parts.picture, abs=1e-6)
        assert parts.similarity > 0.5
        assert hit.evidence.startswith("field")
    hybrid = ask(store, encoder, "red", mode="hybrid", top=1)[0].explanation
    assert (hybrid.picture, hybrid.similarity) == (0, 0)


def test_what_must_not_be_seen_lowers_the_images_that_show_it(tmp_path, encoder, eye):
    store = give(tmp_path, COLOURS, line=same_line)
    build_index(store, encoder, eye=eye)
    plain = {hit.image: hit.score for hit in ask(store, encoder, "field")}
    less = {hit.image: hit.score for hit in ask(store, encoder, "field", without=("blue",))}
    for image, colour in COLOURS.items():
        assert (less[image] < plain[image]) == (colour == "blue")


def test_the_matrix_of_an_evaluation_ranks_as_a_fused_query_does(store, encoder, eye):
    build_index(store, encoder, eye=eye)
    searcher = searcher_of(store, encoder)
    texts = ["red", "blue", "green green"]
    matrix = searcher.score_matrix(texts, np.arange(30), "fused")
    for text, row in zip(texts, matrix, strict=True):
        raw = {hit.image: hit.explanation.raw for hit in ask(store, encoder, text)}
        assert [raw[image] for image in sorted(COLOURS)] == pytest.approx(row.tolist(), abs=1e-4)


def test_an_index_without_pictures_says_how_to_make_them(store, encoder):
    build_index(store, encoder)
    assert pictured(store) == 0
    searcher = searcher_of(store, encoder)
    with pytest.raises(IndexUnusable, match="trsllava index --images"):
        searcher.search(Query("red", mode="fused"))
    with pytest.raises(IndexUnusable, match="trsllava index --images"):
        searcher.score_matrix(["red"], np.arange(3), "fused")


def test_an_eye_of_an_unknown_encoder_s_space_is_refused_before_anything_is_looked_at(
    store, encoder, eye
):
    with pytest.raises(InputError, match="no encoder is called 'stub'"):
        build_index(store, StubEncoder("other"), eye=eye)
    assert eye.looked == 0


class Shuffled(StubEncoder):
    """Puts the same texts elsewhere, so that its vectors mean nothing to the eye."""

    def encode(self, texts):
        return super().encode(texts)[:, ::-1]


def test_pictures_are_asked_in_the_space_of_their_own_encoder(store, encoder, eye, monkeypatch):
    monkeypatch.setattr(stage, "load_embedder", {"stub": encoder}.__getitem__)
    other = Shuffled("other")
    build_index(store, other, eye=eye)
    hits = ask(store, other, "red", top=10)
    assert {COLOURS[hit.image] for hit in hits} == {"red"}
    assert all(hit.explanation.similarity > 0.5 for hit in hits)
    matrix = searcher_of(store, other).score_matrix(["red"], np.arange(30), "fused")[0]
    found = {hit.image: hit.explanation.raw for hit in ask(store, other, "red")}
    assert [found[image] for image in sorted(COLOURS)] == pytest.approx(matrix.tolist(), abs=1e-4)


def test_images_whose_picture_is_not_at_hand_score_by_their_texts_and_are_said(
    tmp_path, encoder, eye, caplog
):
    store = give(tmp_path, COLOURS, line=same_line)
    lost = sorted(COLOURS)[:5]
    for image in lost[1:]:
        (tmp_path / "images" / image).unlink()
    (tmp_path / "images" / lost[0]).write_bytes(b"\x89PNG\r\n\x1a\n, cut")
    build_index(store, encoder, eye=eye)
    assert pictured(store) == 25
    assert "5 pictures could not be looked at (4 not at hand, 1 truncated)" in caplog.text
    assert f"such as {lost[0]}" in caplog.text
    assert "trsllava index --images" in caplog.text
    order = [hit.image for hit in ask(store, encoder, "red")]
    places = [order.index(image) for image in lost]
    reds = [n for n, image in enumerate(order) if COLOURS[image] == "red" and image not in lost]
    others = [n for n, image in enumerate(order) if COLOURS[image] != "red" and image not in lost]
    assert max(reds) < min(places)  # no picture is no proof
    assert max(places) < min(others)  # and no punishment


def test_without_a_single_picture_a_fused_query_ranks_as_a_hybrid_one(tmp_path, encoder, eye):
    store = give(tmp_path, COLOURS)
    shutil.rmtree(tmp_path / "images")
    build_index(store, encoder, eye=eye)
    assert pictured(store) == 0
    for text in ("red", "field caption 1 of 07.png", "one of 20.png"):
        ranked = [
            [hit.image for hit in ask(store, encoder, text, mode=m)] for m in ("fused", "hybrid")
        ]
        assert ranked[0] == ranked[1]


def test_a_query_that_the_encoder_cannot_read_is_answered_by_its_words(store, encoder, eye):
    build_index(store, encoder, eye=eye)

    class Illiterate(StubEncoder):
        def encode_queries(self, texts):
            found = super().encode_queries(texts)
            found[[text == "07" for text in texts]] = 0
            return found

    answer = searcher_of(store, Illiterate()).search(Query("07", mode="fused"))
    assert (answer.query.mode, answer.hits[0].image) == ("lexical", "07.png")
    assert any("words alone" in note for note in answer.notes)
    matrix = searcher_of(store, Illiterate()).score_matrix(["07"], np.arange(30), "fused")
    assert int(np.argmax(matrix[0])) == 7
    assert np.unique(np.delete(matrix[0], 7)).size == 1  # and pictures tell nothing of it


def test_pictures_that_were_missing_are_looked_for_again_only_when_asked(
    tmp_path, encoder, eye, caplog
):
    store = give(tmp_path, COLOURS)
    away = tmp_path / "away"
    away.mkdir()
    for image in sorted(COLOURS)[:5]:
        shutil.move(tmp_path / "images" / image, away / image)
    first = build_index(store, encoder, eye=eye)
    old = searcher_of(store, encoder)
    assert eye.looked == 25
    assert build_index(store, encoder, eye=eye) == first
    assert build_index(store, encoder, eye=eye, look_again=True) == first
    for image in sorted(COLOURS)[:5]:
        shutil.move(away / image, tmp_path / "images" / image)
    assert build_index(store, encoder, eye=eye) == first
    before = [hit.score for hit in old.search(Query("red", mode="fused", top=30)).hits]
    caplog.clear()
    second = build_index(store, encoder, eye=eye, look_again=True)
    assert (eye.looked, second.pictures.images) == (30, 30)
    assert "could not be looked at" not in caplog.text
    # Who has opened the old generation, or opens it now, reads what it was built from.
    assert [hit.score for hit in old.search(Query("red", mode="fused", top=30)).hits] == before
    for path, _ in picture_files(store.layout, first):
        assert path.exists()
    assert verify(store).damaged == ()
    prune(store)
    for path, _ in picture_files(store.layout, first):
        assert not path.exists()
    checked = verify(store)
    assert (checked.damaged, checked.notes) == ((), ())
    assert {COLOURS[hit.image] for hit in ask(store, encoder, "red", top=10)} == {"red"}


def test_only_new_pictures_are_looked_at_and_a_killed_run_goes_on(
    tmp_path, encoder, eye, monkeypatch
):
    monkeypatch.setattr("trsllava.store.segments.SEGMENT_RECORDS", 10)
    store = give(tmp_path, COLOURS)

    class Killed(BaseException):
        pass

    def die_after_one(*arguments, published=stage._publish):
        if eye.looked > 10:
            raise Killed
        return published(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stage, "_publish", die_after_one)
        with pytest.raises(Killed):
            build_index(store, encoder, eye=eye)
    assert status_of(store)["index"] is None
    eye.looked = 0
    build_index(store, encoder, eye=eye)
    assert eye.looked == 20
    give(tmp_path, {"new.png": "red"})
    eye.looked = 0
    build_index(store, encoder, eye=eye)
    assert (eye.looked, pictured(store)) == (1, 31)
    build_index(store, encoder, eye=eye, kind="ivf")
    assert eye.looked == 1
    other = ColourEye(encoder, revision="2")
    build_index(store, encoder, eye=other)
    assert other.looked == 31
    assert eye_fingerprint(other) != eye_fingerprint(eye)


def test_removal_and_compaction_keep_index_and_pictures_together(tmp_path, encoder, eye):
    store = give(tmp_path, COLOURS)
    give(tmp_path, {"new.png": "red", "00.png": "blue"}, word="forest")
    build_index(store, encoder, eye=eye)
    assert pictured(store) == 31
    assert eye.looked == 31  # not for the record that was replaced
    remove_images(store, ["03.png"])
    assert "03.png" not in {hit.image for hit in ask(store, encoder, "red")}
    compact(store)
    build_index(store, encoder, eye=eye)
    prune(store)
    assert pictured(store) == 30
    checked = verify(store)
    assert (checked.damaged, checked.notes) == ((), ())
    hits = ask(store, encoder, "red", top=9)
    assert {COLOURS.get(hit.image, "red") for hit in hits} == {"red"}
    assert "00.png" not in {hit.image for hit in hits}


def test_damaged_picture_vectors_are_found_and_made_again(store, encoder, eye):
    build_index(store, encoder, eye=eye)
    manifest = read_current(store.layout, "imported")
    ((path, _),) = picture_files(store.layout, manifest)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert any(path.name in line for line in verify(store).damaged)
    build_index(store, encoder, eye=eye)
    assert (verify(store).damaged, eye.looked) == ((), 60)
    assert path.read_bytes() == data
    path.unlink()
    with pytest.raises(StoreDamaged, match="trsllava index --images"):
        searcher_of(store, encoder)
    build_index(store, encoder, eye=eye)
    assert path.read_bytes() == data


def test_both_kinds_of_index_give_the_same_fused_hits(tmp_path, encoder, eye, monkeypatch):
    colours = {f"{n:03}.png": ("red", "green", "blue")[n % 3] for n in range(60)}
    store = give(tmp_path, colours)
    build_index(store, encoder, eye=eye)
    exact = ask(store, encoder, "red")
    assert build_index(store, encoder, eye=eye, kind="ivf").kind == "ivf"
    monkeypatch.setattr("trsllava.index.dense.EXACT_ROWS", 0)
    assert ask(store, encoder, "red") == exact


def test_captioned_pictures_and_windows_are_looked_at_where_the_intake_says(tmp_path, encoder, eye):
    rasterio = pytest.importorskip("rasterio", reason="windows need the extra geo")
    archive, root = paint_archive(tmp_path / "archive", 3), tmp_path / "store"
    scene = np.zeros((3, 64, 128), np.uint8)
    scene[0, :, :64] = scene[2, :, 64:] = 200
    profile = {"driver": "GTiff", "count": 3, "height": 64, "width": 128, "dtype": "uint8"}
    profile |= {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(archive / "scene.tif", "w", **profile) as file:
        file.write(scene)
    caption(root, archive, Colours(), reading=Reading(tile=64))
    archive.rename(tmp_path / "moved")
    caption(root, tmp_path / "moved", Colours(), reading=Reading(tile=64))
    store = open_store(root)
    build_index(store, encoder, eye=eye)
    assert (pictured(store), eye.looked) == (5, 5)
    generation = open_generation(store.layout, store.view().set)
    shown = {}
    for row, image in enumerate(generation.images):
        vector = generation.pictures.vector(row)
        names = ("red", "green", "blue")
        directions = generation.pictures.directions(encoder.encode_queries(names))
        shown[image] = names[int(np.argmax(directions @ vector))]
    assert shown == {
        "0000.png": "red",
        "0001.png": "green",
        "0002.png": "blue",
        "scene.tif#0,0,64,64": "red",
        "scene.tif#64,0,64,64": "blue",
    }


def test_the_command_looks_keeps_looking_and_says_what_it_has(tmp_path, monkeypatch, encoder, eye):
    store = give(tmp_path, COLOURS)
    for module in ("trsllava.embedding", "trsllava.embedding.pictures", "trsllava.search.archive"):
        monkeypatch.setattr(f"{module}.load_embedder", StubEncoder)
    monkeypatch.setattr(stage, "load_eye", lambda: eye)

    def run(*arguments):
        done = CliRunner().invoke(app, [*arguments, "--store", str(store.root)])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    assert "pictures" not in run("index", "--embedder", "stub")
    assert "30 pictures" in run("index", "--images")
    give(tmp_path, {"new.png": "red"})
    assert "31 pictures" in run("index")
    assert json.loads(run("status", "--json"))["index"]["picture_vectors"] == 31
    found = run("query", "red", "--mode", "fused", "--top", "1", "--explain", "--min-score", "0")
    assert re.search(r"none\) \+ \d\.\d\d picture \(cosine 1\.000\)", found)
    other = run("index", "--embedder", "other")
    assert "encoder other" in other
    assert "31 pictures" in other
    assert "picture (cosine 1.000)" in run(
        "query", "red", "--mode", "fused", "--explain", "--min-score", "0"
    )
