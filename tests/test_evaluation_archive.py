"""From a store to figures: what the evaluator makes of an archive's own scores."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stub import write_lines

from trsllava.embedding import load_embedder
from trsllava.evaluation import archive as archive_scores
from trsllava.evaluation.archive import score_archive
from trsllava.evaluation.asking import QueriesOnce, asking_once
from trsllava.evaluation.datasets import read_dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.index.banks import bank
from trsllava.index.build import build_index
from trsllava.search.archive import open_archive
from trsllava.search.query import Query
from trsllava.store.importing import import_files
from trsllava.store.store import create_store


@pytest.fixture(scope="module")
def encoder():
    return load_embedder()


@pytest.fixture(autouse=True)
def short_bank(monkeypatch):
    """Hold captions against a part of the bank: encoding all of it takes ten seconds."""
    monkeypatch.setattr(archive_scores, "bank", lambda name: bank(name)[::20])


@pytest.fixture
def archive(tmp_path, encoder):
    """An archive of records of one text for every field and variant."""

    def archive(texts):
        lines = (
            json.dumps({"image": image, "variants": [dict.fromkeys(KEYS, text)] * 5})
            for image, text in texts.items()
        )
        store = create_store(tmp_path / "store")
        import_files(store, [write_lines(tmp_path / "r.jsonl", lines)])
        build_index(store, encoder)
        return open_archive(store.root)

    return archive


KEYS = ("one_sentence", "feature", "caption")


def annotations(path, images):
    """``images``: (file name, split, captions)."""
    body = [
        {"filename": name, "split": split, "sentences": [{"raw": c} for c in captions]}
        for name, split, captions in images
    ]
    path.write_text(json.dumps({"images": body, "dataset": "own"}))
    return path


@pytest.mark.parametrize(
    "names", [("a", "b", "c", "d"), ("d", "b", "a", "c"), ("z9", "y", "x", "0")]
)
def test_equal_records_tie_exactly_so_neither_names_nor_order_decide(tmp_path, archive, names):
    searcher = archive({f"{n}.jpg": "a wide field" for n in sorted(names)}).searchers[0]
    images = [(f"{n}.jpg", "test", [f"caption {k} of {n}" for k in range(4)]) for n in names]
    dataset = read_dataset("own", annotations(tmp_path / "an.json", images))
    for mode in ("hybrid", "dense", "lexical"):
        scored = score_archive(searcher, dataset, mode)
        result = evaluate(dataset, scored.scores, scored.has_record, mode)
        assert result.expected.t2i == (25.0, 100.0, 100.0)
        assert result.optimistic.t2i.r1 == 100.0
        assert result.pessimistic.t2i.r1 == 0.0


def test_images_that_share_captions_and_record_count_half_and_whole_when_merged(tmp_path, archive):
    texts = {"a.jpg": "two ships at sea", "b.jpg": "two ships at sea", "c.jpg": "a green forest"}
    images = [("a.jpg", "test", ["two ships"] * 5), ("b.jpg", "test", ["two ships"] * 5)]
    images += [("c.jpg", "test", ["a forest"] * 5), ("t.jpg", "train", ["a forest"])]
    dataset = read_dataset("own", annotations(tmp_path / "an.json", images))
    scored = score_archive(archive(texts).searchers[0], dataset, "hybrid")
    result = evaluate(dataset, scored.scores, scored.has_record, "hybrid")
    assert result.expected.t2i.r1 == pytest.approx(100 * (0.5 * 10 + 5) / 15)
    assert result.merged.t2i.r1 == 100.0
    assert (result.shared_strings, result.shared_captions, result.leaks) == (1, 10, 5)


def test_images_outside_the_dataset_play_no_part_and_missing_records_are_misses(tmp_path, archive):
    texts = {"a.jpg": "two ships", "b.jpg": "a forest", "extra.jpg": "two ships at a pier"}
    images = [("a.jpg", "test", ["two ships at a pier"]), ("b.jpg", "test", ["a forest"])]
    images += [("none.jpg", "test", ["a lake"])]
    dataset = read_dataset("own", annotations(tmp_path / "an.json", images))
    scored = score_archive(archive(texts).searchers[0], dataset, "hybrid")
    assert scored.scores.shape == (3, 3)
    result = evaluate(dataset, scored.scores, scored.has_record, "hybrid")
    assert result.covered == 2
    assert result.expected.t2i.r1 == pytest.approx(200 / 3)
    assert [record and record.image for record in scored.records] == ["a.jpg", "b.jpg", None]


def test_a_caption_that_fits_every_record_does_not_win_every_image(tmp_path, archive):
    """ "the image" fits the bank of records as well as these; "a bay" fits only one of them."""
    texts = {"a.jpg": "the image shows a bay", "b.jpg": "the image shows a wood"}
    images = [("a.jpg", "test", ["a bay"]), ("b.jpg", "test", ["the image shows many buildings"])]
    dataset = read_dataset("own", annotations(tmp_path / "an.json", images))
    searcher = archive(texts).searchers[0]
    scored = score_archive(searcher, dataset, "dense")
    plain = searcher.score_matrix(dataset.captions, scored.rows, "dense")
    off = plain - scored.scores
    assert off[:, 0] == pytest.approx(off[:, 1])  # no caption's own ranking of images changes
    assert off[1, 0] > off[0, 0] + 0.5  # in deviations
    assert scored.scores[:, 0].argmax() == 0


def test_an_evaluation_encodes_each_query_once_and_scores_as_before(tmp_path, archive):
    texts = {"a.jpg": "two ships", "b.jpg": "a forest"}
    images = [(name, "test", [text, "from above"]) for name, text in texts.items()]
    dataset = read_dataset("own", annotations(tmp_path / "an.json", images))
    searcher = archive(texts).searchers[0]
    inner, asked = searcher.embedder, []

    class Counting(QueriesOnce):
        def encode_queries(self, texts):
            asked.extend(texts)
            return inner.encode_queries(texts)

    plain = score_archive(searcher, dataset, "hybrid").scores
    once = asking_once(replace(searcher, embedder=Counting(inner), seer=inner))
    for _ in range(2):
        assert (score_archive(once, dataset, "hybrid").scores == plain).all()
    assert sorted(asked) == ["a forest", "from above", "two ships"]
    assert once.seer is inner
    assert asking_once(searcher).seer is not searcher.seer
    assert asking_once(searcher).embedder.encode_queries([]).shape == (0, 384)


def test_the_matrix_ranks_as_a_query_does(tmp_path, archive):
    words = ("harbour", "forest", "airport", "river", "roof", "stadium")
    opened = archive({f"{n}.jpg": f"a {word} from above" for n, word in enumerate(words)})
    images = [(f"{n}.jpg", "test", [f"the {word}"]) for n, word in enumerate(words)]
    dataset = read_dataset("own", annotations(tmp_path / "an.json", images))
    for mode in ("hybrid", "dense", "lexical"):
        scores = score_archive(opened.searchers[0], dataset, mode).scores
        for caption, row in zip(dataset.captions, scores, strict=True):
            hits = opened.answer(Query(caption, mode=mode, top=6)).hits
            raw = {hit.image: hit.explanation.raw for hit in hits}
            got = np.array([raw[image] for image in dataset.images])
            assert got - got[0] == pytest.approx(row - row[0], abs=1e-4)


def test_the_pipeline_captions_images_that_have_no_records(tmp_path):
    from trsllava.resources import find, load_script

    painter = load_script("datasets/sample_archive.py")
    records = painter.paint_archive(tmp_path / "images", seed=4, count=4)
    images = [(r.image, "val", [v.one_sentence for v in r.variants]) for r in records[:3]]
    command = [
        *(sys.executable, "pipelines/evaluation.py", "own", "--split", "val", "--mode", "fused"),
        *("--annotations", str(annotations(tmp_path / "an.json", images))),
        *("--images", str(tmp_path / "images"), "--out", str(tmp_path / "run")),
    ]
    root = find("pipelines/evaluation.py").parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "report" / "result.json").read_text())
    assert (result["images"], result["covered"]) == (3, 3)
    assert result["t2i"]["r1"] > 60


def test_the_pipeline_goes_from_records_to_a_report(tmp_path):
    from PIL import Image

    (tmp_path / "images").mkdir()
    images, lines = [], []
    for number, word in enumerate(("harbour", "forest", "airport")):
        name = f"{word}_{number}.tif"
        Image.new("RGB", (32, 32), (40 * number, 90, 60)).save(tmp_path / "images" / name)
        images.append((name, "test", [f"a {word} {k}" for k in range(5)]))
        lines.append(json.dumps({"image": name, "caption": f"an aerial photograph of a {word}"}))
    command = [
        sys.executable,
        "pipelines/evaluation.py",
        "rsitmd",
        *("--annotations", str(annotations(tmp_path / "dataset_RSITMD.json", images))),
        *("--records", str(write_lines(tmp_path / "records.jsonl", lines))),
        *("--images", str(tmp_path / "images"), "--out", str(tmp_path / "run")),
    ]
    from trsllava.resources import find

    root = find("pipelines/evaluation.py").parent.parent
    for _ in range(2):  # typed again, it does no harm
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    assert "3 images, 15 captions" in done.stdout
    result = json.loads((tmp_path / "run" / "report" / "result.json").read_text())
    assert result["covered"] == 3
    assert result["t2i"]["r1"] == 100.0
    assert [row["method"] for row in result["rows"]] == [
        "paper: joined fields, best of the variants, minilm",
        "one description: the caption of the first variant, minilm",
    ]
    assert (tmp_path / "run" / "report" / "run.txt").read_text().count("\n") == 45
    page = (tmp_path / "run" / "report" / "index.html").read_text(encoding="utf-8")
    assert "data:image/jpeg;base64," in page
    assert re.search(r"score: \d+\.\d\d meaning \+ \d+\.\d\d words", page)


def test_the_bank_of_records_is_what_its_script_makes_of_our_records(tmp_path):
    from trsllava.resources import find

    records = Path(__file__).resolve().parents[2] / "shared/data/rsicd/rsrt_train.jsonl"
    if not records.exists():
        pytest.skip(f"{records} is not there")
    script, made = find("pipelines/make_bank.py"), find("datasets/record_bank.txt")
    subprocess.run([sys.executable, script, records, "--out", tmp_path / "bank.txt"], check=True)
    assert (tmp_path / "bank.txt").read_bytes() == made.read_bytes()
    assert len(made.read_text(encoding="utf-8").splitlines()) == 1 + 816 * 5
