"""What goes wrong with a model on this machine: which picture pays for it, and what is said."""

import io
import json
import logging
import shutil
import subprocess
import sys
import time

import pytest
from local_kit import one_thread, pictures, short_texts, tiny_model
from PIL import Image

from trsllava.captioning import (
    Captioned,
    CaptionerUnavailable,
    Failed,
    Prepared,
    load_captioner,
)
from trsllava.errors import InputError, TrsllavaError, UsageError
from trsllava.testing import check_captioner

__all__ = ["one_thread", "short_texts", "tiny_model"]  # fixtures


@pytest.fixture
def folder(tiny_model, short_texts):
    return tiny_model("idefics3")


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def local(folder, **options):
    return load_captioner("transformers", model=str(folder), **({"checks": False} | options))


def spoil(captioner, fails):
    """Let the model raise what ``fails(questions)`` returns; return the sizes that it was asked."""
    answer, sizes = captioner._model.answer, []

    class Spoiled:
        @staticmethod
        def answer(questions):
            sizes.append(len(questions))
            if error := fails(questions):
                raise error
            return answer(questions)

    captioner._model = Spoiled
    return sizes


def reasons(outcomes):
    return {o.image: o.reason if isinstance(o, Failed) else "record" for o in outcomes}


def holds(questions, picture):
    return any(question.pixels is picture.pixels for question in questions)


def test_a_poisoned_picture_is_found_and_its_neighbours_are_captioned(folder):
    given = pictures()
    captioner = local(folder, concurrency=5)
    spoil(captioner, lambda q: ValueError("bad\nstride") if holds(q, given[2]) else None)
    outcomes = list(captioner.caption(given))
    expected = {p.image: "record" for p in given} | {given[2].image: "model_error"}
    assert reasons(outcomes) == expected
    (failed,) = (o for o in outcomes if isinstance(o, Failed))
    assert "ValueError: bad" in failed.detail
    assert "\n" not in failed.detail


def test_a_picture_that_breaks_while_it_is_processed_fails_alone(folder):
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(buffer, "PNG")
    half = Image.open(io.BytesIO(buffer.getvalue()[:2000]))
    given = [*pictures(2), Prepared("half", half)]
    outcomes = list(local(folder, concurrency=3).caption(given))
    assert reasons(outcomes) == {
        given[0].image: "record",
        given[1].image: "record",
        "half": "model_error",
    }


def test_out_of_memory_halves_the_batch_for_good_and_says_so_once(folder, caplog):
    import torch

    captioner = local(folder, concurrency=4)
    sizes = spoil(
        captioner, lambda q: torch.OutOfMemoryError("CUDA out of memory") if len(q) > 2 else None
    )
    given = pictures() + [Prepared(f"b/{p.image}", p.pixels) for p in pictures(3)]
    with caplog.at_level(logging.WARNING):
        outcomes = list(captioner.caption(given))
    assert set(reasons(outcomes).values()) == {"record"}
    assert len(outcomes) == len(given)
    assert sizes == [4, 2, 2, 2, 2]
    assert caplog.text.count("out of memory") == 1


@pytest.mark.parametrize("words", ["CUDA out of memory", "DefaultCPUAllocator"])
def test_a_picture_too_large_for_the_memory_alone_fails_with_the_reason(folder, words):
    import torch

    big = pictures()[1]
    error = (
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")
        if words == "DefaultCPUAllocator"
        else torch.OutOfMemoryError(words)
    )
    captioner = local(folder, concurrency=4)
    spoil(captioner, lambda q: error if holds(q, big) else None)
    outcomes = list(captioner.caption(pictures_with(big)))
    assert reasons(outcomes)[big.image] == "out_of_memory"
    assert sum(isinstance(o, Captioned) for o in outcomes) == len(outcomes) - 1 == 4


def pictures_with(one):
    return [one if picture.image == one.image else picture for picture in pictures()]


def test_a_model_that_answers_for_no_picture_leaves_them_pending(folder):
    captioner = local(folder, concurrency=2)
    spoil(captioner, lambda _: RuntimeError("CUDA error: device-side assert triggered"))
    with pytest.raises(CaptionerUnavailable, match="device-side assert"):
        list(captioner.caption(pictures()))


def test_it_keeps_the_protocol_of_captioners(folder):
    check_captioner(local(folder, concurrency=4))


def test_importing_it_loads_no_torch():
    code = (
        "import sys, trsllava.captioning.local\n"
        "print([m for m in ('torch', 'transformers', 'llguidance', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"concurrency": 0}, "concurrency must be positive"),
        ({"dtype": "int7"}, "dtype must be one of"),
        ({"quantization": "2bit"}, "quantization must be one of 4bit, 8bit"),
        ({"device": "toaster"}, "device 'toaster' cannot be used"),
        ({"prompt": "query"}, "asks for a query"),
        ({"max_tokens": 0}, "must be positive"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_loaded(tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        local(tmp_path, **options)


def test_a_cuda_that_is_not_there_is_said(folder):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UsageError, match="device 'cuda' cannot be used"):
        local(folder, device="cuda")


def test_quantization_without_bitsandbytes_names_it(folder, monkeypatch):
    find = "trsllava.captioning.local_loading.importlib.util.find_spec"
    monkeypatch.setattr(find, lambda name: None if name == "bitsandbytes" else object())
    with pytest.raises(TrsllavaError, match="pip install bitsandbytes"):
        local(folder, quantization="4bit")


def test_no_model_at_all_is_a_mistake_of_the_call():
    with pytest.raises(UsageError, match="--model is missing"):
        load_captioner("transformers")


@pytest.mark.parametrize("name", ["/no/such/folder", "./models/x", "a/b/c", "../no/such", "a b"])
def test_what_is_neither_a_folder_nor_an_id_is_refused(name):
    with pytest.raises(InputError, match="neither a folder nor an id"):
        local(name)


def test_a_hub_that_cannot_be_reached_is_said_in_one_line_with_the_remedy(monkeypatch, tmp_path):
    # The sockets of these tests reach this machine only, as those of a machine without network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    begun = time.monotonic()
    with pytest.raises(TrsllavaError) as caught:
        local("nobody/no-such-model-zq")
    message = str(caught.value)
    assert "nobody/no-such-model-zq" in message
    assert "hf download nobody/no-such-model-zq --local-dir" in message
    assert time.monotonic() - begun < 25
    assert "\n" not in message


def test_a_model_of_the_hub_that_was_fetched_before_is_used_without_the_hub(
    folder, monkeypatch, tmp_path
):
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--somebody--tiny"
    shutil.copytree(folder, cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    identity = local("somebody/tiny").identity()
    assert (identity["model"], identity["revision"]) == ("somebody/tiny", commit)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", None),
        ("config.json", b"{"),
        ("config.json", b'{"model_type": "bert"}'),
        ("config.json", b'{"model_type": "no-such-type"}'),
        ("model.safetensors", None),
        ("model.safetensors", b"short"),
        ("tokenizer.json", b"{}"),
    ],
)
def test_a_broken_folder_is_named_in_one_line(copy, file, change):
    if change is None:
        (copy / file).unlink()
    else:
        (copy / file).write_bytes(change)
    with pytest.raises(InputError) as caught:
        local(copy)
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_never_made_up(copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    gone = next(name for name in weights if "mlp" in name)
    del weights[gone]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="lacks 1 weights"):
        local(copy)


def test_code_of_a_models_repository_is_never_run(copy, tmp_path):
    mark = tmp_path / "ran"
    (copy / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\n")
    for file, keys in (
        ("config.json", ("AutoConfig", "AutoModelForImageTextToText")),
        ("processor_config.json", ("AutoProcessor",)),
    ):
        body = json.loads((copy / file).read_text())
        body["auto_map"] = dict.fromkeys(keys, "evil.Evil")
        body["model_type"] = "evil" if file == "config.json" else body.get("model_type")
        (copy / file).write_text(json.dumps(body))
    with pytest.raises(InputError):
        local(copy)
    assert not mark.exists()


def test_the_revision_of_a_folder_follows_weights_and_template(copy):
    from trsllava.captioning.local_loading import folder_revision

    seen = {folder_revision(copy), folder_revision(copy)}
    assert len(seen) == 1
    (copy / "chat_template.jinja").write_text("{{ messages }}")
    seen.add(folder_revision(copy))
    weights = copy / "model.safetensors"
    trained = bytearray(weights.read_bytes())
    trained[len(trained) // 2 :] = bytes(byte ^ 1 for byte in trained[len(trained) // 2 :])
    weights.write_bytes(trained)
    seen.add(folder_revision(copy))
    weights.write_bytes(trained + b"0")
    seen.add(folder_revision(copy))
    assert len(seen) == 4


def test_a_tokenizer_unknown_to_llguidance_is_said_once_and_not_constrained(
    folder, caplog, monkeypatch
):
    def refuse(*_args, **_kwargs):
        raise ValueError("Only fast tokenizers are supported\nmore")

    monkeypatch.setattr("llguidance.hf.from_tokenizer", refuse)
    with caplog.at_level(logging.WARNING):
        captioner = local(folder, max_tokens=8)
    assert captioner.identity()["constrained"] is False
    assert caplog.text.count("Only fast tokenizers") == 1
    assert all(isinstance(o, Failed) for o in captioner.caption(pictures(2)))


def test_a_torchvision_built_for_another_torch_is_said(folder, monkeypatch):
    def broken(*_args, **_source):
        cause = RuntimeError("operator torchvision::nms does not exist")
        raise ModuleNotFoundError("Could not import module 'X'") from cause

    monkeypatch.setattr("trsllava.captioning.local_loading._from_pretrained", broken)
    with pytest.raises(TrsllavaError, match="pip uninstall torchvision"):
        local(folder)
