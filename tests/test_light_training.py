"""The training of the light models, from painted scenes to ONNX, on a small budget."""

import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra train")
onnxruntime = pytest.importorskip("onnxruntime")

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "pipelines"))

import train_captioner  # noqa: E402
from captioner_training import teaching  # noqa: E402
from captioner_training.backbone import SIDE, Backbone  # noqa: E402
from captioner_training.corpus import read_corpus  # noqa: E402
from captioner_training.export import EyeModule, StepModule  # noqa: E402
from captioner_training.head import Head, targets  # noqa: E402
from captioner_training.pictures import look, read_pictures  # noqa: E402

from trsllava import resources  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of the ONNX exporter

CONFIG = {
    "pictures": {"painted": 22},
    "corpus": {"least": 1},
    "head": {"hidden": 32, "epochs": 3, "batch": 16},
    "writer": {"width": 32, "heads": 2, "layers": 1, "epochs": 3, "pictures": 8, "rate": 0.01},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A dataset in RSICD's form, of painted scenes."""
    folder = tmp_path_factory.mktemp("data")
    painter = resources.load_script("datasets/sample_archive.py")
    records = painter.paint_archive(folder / "images", seed=3, count=32)
    images = []
    for number, record in enumerate(records):
        split = "val" if number % 4 == 3 else "train"
        sentences = [{"raw": v.one_sentence} for v in record.variants]
        images.append({"filename": record.image, "split": split, "sentences": sentences})
    (folder / "dataset_rsicd_trainval.json").write_text(json.dumps({"images": images}))
    for split in ("train", "val"):
        lines = [
            json.dumps(record.to_json())
            for record, image in zip(records, images, strict=True)
            if image["split"] == split and record.image != images[0]["filename"]
        ]
        (folder / f"rsrt_{split}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    out = tmp_path_factory.mktemp("out") / "light"
    return train_captioner.train(data, work, out, CONFIG), work, out


def parts(data, work):
    """The trained torch modules, as the checkpoints hold them."""
    pictures = read_pictures(data, work, CONFIG["pictures"]["painted"], None)
    seen = look(pictures, data, work)
    head = Head(CONFIG["head"]["hidden"])
    head.load_state_dict(torch.load(work / "head.pt", weights_only=True))
    corpus = read_corpus(pictures, 1)
    writer = teaching.new_writer(corpus, seen, teaching.WriterConfig(**CONFIG["writer"]))
    writer.load_state_dict(torch.load(work / "writer.pt", weights_only=True)["writer"])
    return head.eval(), writer.eval(), corpus


def test_the_loss_falls(trained):
    curve, _, _ = trained
    assert [row["epoch"] for row in curve] == [1, 2, 3]
    assert curve[-1]["train"] < 0.9 * curve[0]["train"]
    assert curve[-1]["val"] < curve[0]["val"]


def test_the_exported_eye_sees_what_the_torch_model_sees(data, trained):
    _, work, out = trained
    head, writer, _ = parts(data, work)
    pixels = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    with torch.no_grad():
        wanted = EyeModule(Backbone(), head, writer)(torch.from_numpy(pixels))
    session = onnxruntime.InferenceSession(str(out / "eye.onnx"))
    found = session.run(["vectors", "memory"], {"pixels": pixels})
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == tuple(theirs.shape)
        # Weights are kept in half precision.
        assert np.abs(ours - theirs.numpy()).max() < 0.02 * np.abs(theirs.numpy()).max()


def test_the_exported_writer_says_what_the_torch_model_says(data, trained):
    _, work, out = trained
    _, writer, corpus = parts(data, work)
    session = onnxruntime.InferenceSession(str(out / "writer.onnx"))
    layer = writer.layers[0].own
    depth, part = 2 * len(writer.layers), layer.out.in_features // layer.heads
    rng = np.random.default_rng(2)
    memory = rng.normal(size=(depth, layer.heads, 28, part)).astype(np.float32)
    words = len(corpus.vocabulary)
    said = np.array([[words + 3, 5, 9, 2], [words + 7, 1, 1, 8]])
    own = np.zeros((depth, 2, layer.heads, 0, part), np.float32)
    for step in range(said.shape[1]):
        inputs = {"word": said[:, step], "own": own, "memory": memory}
        with torch.no_grad():
            wanted, grown = StepModule(writer)(*(torch.from_numpy(v) for v in inputs.values()))
        scores, own = session.run(["scores", "grown"], inputs)
        assert scores.shape == (2, words)
        np.testing.assert_allclose(scores, wanted.numpy(), atol=0.03)
        np.testing.assert_allclose(own, grown.numpy(), atol=0.03)


def test_a_step_of_writing_is_what_training_computes(data, trained):
    _, work, _ = trained
    _, writer, corpus = parts(data, work)
    words = len(corpus.vocabulary)
    memory = torch.randn(1, 28, CONFIG["writer"]["width"])
    said = torch.tensor([[words + 3, 5, 9, 2], [words + 7, 1, 1, 8]])
    with torch.no_grad():
        whole = writer.scores(writer(memory, said)).log_softmax(-1)
        pairs = [layer.seen.project(memory) for layer in writer.layers]
        seen = torch.stack([part[0] for pair in pairs for part in pair])
        own = torch.zeros(len(seen), 2, *seen.shape[1:2], 0, seen.shape[-1])
        for step in range(said.shape[1]):
            scores, own = StepModule(writer)(said[:, step], own, seen)
            torch.testing.assert_close(scores, whole[:, step], atol=1e-4, rtol=1e-4)


def test_a_run_that_was_cut_off_goes_on_and_ends_alike(data, trained, tmp_path):
    _, work, _ = trained
    calls = []
    real = teaching._batches

    def cut_off(corpus, config, epoch):
        calls.append(epoch)
        if epoch == 2 and calls.count(2) == 1:
            raise KeyboardInterrupt
        return real(corpus, config, epoch)

    teaching._batches = cut_off
    try:
        with pytest.raises(KeyboardInterrupt):
            train_captioner.train(data, tmp_path / "work", tmp_path / "out", CONFIG)
    finally:
        teaching._batches = real
    train_captioner.train(data, tmp_path / "work", tmp_path / "out", CONFIG)
    folders = (tmp_path / "work", work)
    ours, theirs = (torch.load(f / "writer.pt", weights_only=True) for f in folders)
    for name, value in theirs["writer"].items():
        torch.testing.assert_close(ours["writer"][name], value, msg=name)


def test_the_shipped_config_is_complete():
    config = tomllib.loads((REPOSITORY / "pipelines/train_captioner.toml").read_text())
    teaching.WriterConfig(**config["writer"])
    train_captioner.HeadConfig(**config["head"])
    assert config["pictures"]["painted"] > 0
    assert config["corpus"]["least"] > 1


def test_targets_are_of_the_pictures_they_are_asked_for(data, trained):
    _, work, _ = trained
    pictures = read_pictures(data, work, CONFIG["pictures"]["painted"], None)
    goal = targets(pictures, work)
    assert len(goal.captions) == len(goal.records) == len(pictures.names) == len(goal.middle)
    with pytest.raises(SystemExit, match="other texts"):
        targets(read_pictures(data, work, 21, None), work)
