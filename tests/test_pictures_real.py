"""What the light head that ships makes of the sample archive: painted scenes, known exactly."""

import shutil

import pytest
from PIL import Image

from trsllava import resources
from trsllava.audit.agreement import agreements
from trsllava.audit.gists import Seeing, Vectors
from trsllava.embedding import fingerprint, load_embedder
from trsllava.embedding.pictures import load_eye
from trsllava.index.build import build_index
from trsllava.interchange import write
from trsllava.search.archive import open_archive
from trsllava.search.query import Query
from trsllava.store.importing import import_files
from trsllava.store.pictures import Pictures
from trsllava.store.store import create_store

SWAPPED = {
    "desert_02.jpg": "harbour_01.jpg",
    "mountain_01.jpg": "interchange_02.jpg",
    "parking_02.jpg": "forest_01.jpg",
    "centre_pivot_01.jpg": "railway_02.jpg",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the sample archive, indexed with its pictures."""
    home = tmp_path_factory.mktemp("sample")
    records = resources.load_script("datasets/sample_archive.py").paint_archive(home / "images")
    write(home / "r.jsonl", records, "rsrt")
    store = create_store(home / "store")
    import_files(store, [home / "r.jsonl"], images=home / "images")
    build_index(store, load_embedder(), eye=load_eye())
    return home


def kind(image):
    return image.rpartition("_")[0]


def test_a_fused_query_is_answered_and_one_that_nothing_answers_is_not(home):
    archive = open_archive(home / "store")
    for text, expected in (
        ("two ships at a pier", "harbour"),
        ("a green forest", "forest"),
        ("many parked cars", "parking"),
    ):
        hits = archive.answer(Query(text, mode="fused", top=2)).hits
        assert {kind(hit.image) for hit in hits} == {expected}
        assert not hits[0].weak
        assert hits[0].explanation.similarity > 0
    for text in ("tax invoice from the dentist", "a chess game between friends"):
        assert not archive.answer(Query(text, mode="fused")).answered


@pytest.mark.parametrize("image", ["harbour_02.jpg", "forest_01.jpg", "railway_02.jpg"])
def test_images_like_one_are_of_its_kind(home, tmp_path, image):
    archive = open_archive(home / "store")
    Image.open(home / "images" / image).crop((4, 4, 250, 250)).save(tmp_path / "another.png")
    for asked, mode in (
        (image, "fused"),
        (str(home / "images" / image), "fused"),
        (str(tmp_path / "another.png"), "pictures"),
    ):
        alike = archive.similar(asked, top=2)
        assert alike.mode == mode
        assert {kind(hit.image) for hit in alike.hits} == {kind(image)}
        assert (image in {hit.image for hit in alike.hits}) == (mode == "pictures")


def test_records_that_changed_places_stand_on_top_of_the_audit(home, tmp_path):
    folder = shutil.copytree(home / "images", tmp_path / "images")
    for one, other in SWAPPED.items():
        shutil.copy(home / "images" / one, folder / other)
        shutil.copy(home / "images" / other, folder / one)
    store = create_store(tmp_path / "store")
    import_files(store, [home / "r.jsonl"])
    view, encoder, eye = store.view(), load_embedder(), load_eye()
    seeing = Seeing(eye, Pictures(view, (folder,)))
    vectors = Vectors(view, fingerprint(encoder), encoder, eye.text_mean, seeing)
    doubts = {one.image: one.parts["picture"] for one in agreements(vectors)}
    worst = sorted(doubts, key=lambda image: doubts[image], reverse=True)
    assert set(worst[:8]) == {*SWAPPED, *SWAPPED.values()}
    assert doubts[worst[7]] > 0.3 > 0.05 > doubts[worst[8]]
