"""Adapting the text encoder, from annotation files to weights, on a small budget."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="adapting needs torch")
transformers = pytest.importorskip("transformers", reason="adapting needs transformers")

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "pipelines"))

import adapt_encoder  # noqa: E402
from encoder_training import teaching  # noqa: E402
from encoder_training.batches import AdaptConfig, Batches  # noqa: E402
from encoder_training.teaching import contrast, image_scores  # noqa: E402
from encoder_training.texts import Scene, digest, read_scenes  # noqa: E402

from trsllava import resources  # noqa: E402
from trsllava.errors import InputError  # noqa: E402
from trsllava.index.scoring import log_mean_exp  # noqa: E402

CONFIG = AdaptConfig(
    steps=30,
    images=8,
    recorded=0.5,
    kin=2,
    texts=2,
    rate=2e-3,
    warmup=2,
    decay=0.01,
    temperature=0.05,
    longest=16,
    seed=0,
)
THINGS = ("ship", "plane", "bridge", "forest", "lake", "road", "stadium", "church", "farm", "pier")


def image(name, split, *captions):
    return {"filename": name, "split": split, "sentences": [{"raw": c} for c in captions]}


def record(name, word):
    texts = {field: f"{word} {field}" for field in ("one_sentence", "feature", "caption")}
    return json.dumps({"image": name, "variants": [texts] * 5})


@pytest.fixture
def data(tmp_path):
    """Both datasets with a leak of each kind."""
    (tmp_path / "rsicd").mkdir()
    (tmp_path / "rsitmd").mkdir()
    rsicd = [
        image("a.jpg", "train", "A ship .", "a  SHIP", "two boats", "held in val", "seen in test"),
        image("b.jpg", "train", "held in val", "a plane"),
        image("c.jpg", "train", "only one"),
        image("v.jpg", "val", "Held in val."),
    ]
    rsitmd = [
        image("x.tif", "train", "a port", "a harbour", "", "seen in TEST", "of the other test"),
        image("y.tif", "test", "of the other test"),
    ]
    (tmp_path / "rsicd/dataset_rsicd_trainval.json").write_text(json.dumps({"images": rsicd}))
    (tmp_path / "rsitmd/dataset_RSITMD.json").write_text(json.dumps({"images": rsitmd}))
    (tmp_path / "rsicd/rsrt_train.jsonl").write_text(record("b.jpg", "jet") + "\n")
    (tmp_path / "rsicd/test_caption_sha256.txt").write_text(digest("Seen, in test!") + "\n")
    return tmp_path


def test_no_caption_of_a_split_that_is_reported_on_is_learnt_from(data):
    scenes, dropped = read_scenes(data)
    assert [scene.captions for scene in scenes] == [
        ("A ship .", "two boats"),
        ("a plane",),
        ("a port", "a harbour"),
    ]
    assert scenes[1].record[2] == ("jet caption",) * 5
    rsicd, rsitmd = dropped["RSICD train"], dropped["RSITMD train"]
    assert (rsicd.captions, rsicd.kept, rsicd.empty) == (8, 5, 0)
    assert rsicd.kept_out == {"RSICD val": 2, "RSICD test": 1, "RSITMD test": 0}
    assert (rsitmd.captions, rsitmd.kept, rsitmd.empty) == (5, 2, 1)
    assert rsitmd.kept_out == {"RSICD val": 0, "RSICD test": 1, "RSITMD test": 1}


def test_images_are_scored_as_a_search_scores_them():
    rng = np.random.default_rng(0)
    cosines = rng.uniform(-1, 1, (3, 6)).astype(np.float32)
    owner = torch.tensor([0, 0, 1, 2, 2, 2])
    found = image_scores(torch.from_numpy(cosines), owner, 3).numpy()
    wanted = log_mean_exp(np.ascontiguousarray(cosines.T), np.array([0, 2, 3])).T
    assert found == pytest.approx(wanted, abs=1e-6)


def test_the_loss_is_the_cross_entropy_of_both_directions_worked_out_by_hand():
    scores = torch.tensor([[0.5, 0.4], [0.1, 0.3]])
    fits = torch.eye(2, dtype=torch.bool)
    rows = np.log1p(np.exp([-2.0, -4.0])).mean()  # differences of 0.1 and 0.2 by 0.05
    columns = np.log1p(np.exp([-8.0, 2.0])).mean()
    loss = float(contrast(scores, fits, CONFIG))
    assert loss == pytest.approx((rows + columns) / 2, rel=1e-5)


def test_an_image_with_the_same_caption_is_no_negative():
    scores = torch.tensor([[0.5, 0.9], [0.1, 0.3]])
    same = torch.tensor([[True, True], [False, True]])
    alone = np.log1p(np.exp(-4.0)) / 2  # of the second row; the first has no negative left
    columns = np.log1p(np.exp(-8.0)) / 2
    assert float(contrast(scores, same, CONFIG)) == pytest.approx((alone + columns) / 2, rel=1e-4)


def scenes():
    """Ten things, two images each, half of them with a record."""
    found = []
    for word in THINGS:
        fields = tuple(tuple(f"{word} {f} {n}" for n in range(5)) for f in ("s", "f", "c"))
        found.append(Scene((f"a {word}", f"one {word} here"), fields))
        found.append(Scene((f"the {word}", f"old {word}", f"new {word}")))
    return found


def batches(config=CONFIG):
    vectors = np.random.default_rng(1).standard_normal((20, 8)).astype(np.float32)
    return Batches(scenes(), vectors / np.linalg.norm(vectors, axis=1, keepdims=True), config)


def test_a_batch_is_the_same_wherever_a_run_was_interrupted_and_asks_no_text_of_itself():
    asked, texts, fits = batches().draw(7)
    again = batches().draw(7)
    assert (asked, texts) == again[:2]
    assert asked != batches().draw(8)[0]
    assert len(asked) == len(texts) == 8
    assert fits.diagonal().all()
    assert all(text not in own for text, own in zip(asked, texts, strict=True))
    assert all(1 <= len(own) <= 2 for own in texts)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A tiny encoder of the right form, with the tokenizer that ships."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(vocab_size=30522, intermediate_size=32, **shape)
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer = resources.find("models/minilm") / "tokenizer.json"
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    return folder


def test_a_killed_run_ends_with_the_same_weights(source, tmp_path, monkeypatch):
    facts = adapt_encoder.train(scenes(), source, tmp_path / "whole", CONFIG)
    assert facts["curve"][-1]["step"] == 20
    whole = (tmp_path / "whole/adapted/model.safetensors").read_bytes()

    real, steps = teaching._save, []

    def killed(path, model, optimiser, step, curve, config):
        real(path, model, optimiser, step, curve, config)
        steps.append(step)
        if step == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(teaching, "_EVERY", 10)
    monkeypatch.setattr(teaching, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        adapt_encoder.train(scenes(), source, tmp_path / "killed", CONFIG)
    assert steps == [10]
    adapt_encoder.train(scenes(), source, tmp_path / "killed", CONFIG)
    assert steps == [10, 20, 30]
    assert (tmp_path / "killed/adapted/model.safetensors").read_bytes() == whole
    with pytest.raises(InputError, match="other settings"):
        adapt_encoder.train(scenes(), source, tmp_path / "killed", replace(CONFIG, steps=40))


def test_training_lowers_the_loss(source, tmp_path):
    facts = adapt_encoder.train(scenes(), source, tmp_path, replace(CONFIG, steps=80))
    losses = [row["loss"] for row in facts["curve"]]
    assert len(losses) == 4
    assert losses[-1] < 0.7 * losses[0]
    assert facts["with_record"] == len(THINGS)
