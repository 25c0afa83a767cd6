"""Every family of vision-language models: own pixels, own id, a record or a reason."""

import json
from itertools import groupby

import pytest
from local_kit import COLOURS, FAMILIES, one_thread, pictures, short_texts, tiny_model

from trsllava.captioning import Captioned, Failed, load_captioner
from trsllava.records import VARIANTS

__all__ = ["one_thread", "short_texts", "tiny_model"]  # fixtures

# PaliGemma's own processor makes an array of a tensor in a way that NumPy has given up.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TOWERS = ("vision_tower", "vision_model", "visual")


def local(folder, **options):
    return load_captioner("transformers", model=str(folder), **({"checks": False} | options))


def watch(captioner):
    """Return lists that fill: colours at the vision tower, masks and tokens at the model."""
    network = captioner._model._model
    tower = next(getattr(network.model, name) for name in TOWERS if hasattr(network.model, name))
    colours, masks, generate = [], [], network.generate

    def look(_module, args, kwargs):
        pixels = args[0] if args else kwargs.get("pixel_values", kwargs.get("hidden_states"))
        # Qwen's patches are flat, with each colour in one block, frames and pixels inside it.
        flat = pixels.float().reshape(len(pixels), 3, -1).mean(dim=2)
        colours.extend(tuple(round(v) for v in row) for row in (flat * 127.5 + 127.5).tolist())

    def read(**inputs):
        masks.append(inputs["attention_mask"].clone())
        return generate(**inputs)

    tower.register_forward_pre_hook(look, with_kwargs=True)
    network.generate = read
    return colours, masks


@pytest.mark.parametrize("family", FAMILIES)
def test_every_picture_reaches_the_model_as_its_own_pixels_and_gets_its_own_record(
    family, tiny_model, short_texts
):
    captioner = local(tiny_model(family), concurrency=3)
    assert captioner.identity()["constrained"] is True
    colours, _ = watch(captioner)
    given = pictures()
    outcomes = list(captioner.caption(iter(given)))

    assert [colour for colour, _ in groupby(colours)] == COLOURS
    assert [outcome.image for outcome in outcomes] == [picture.image for picture in given]
    for outcome in outcomes:
        assert isinstance(outcome, Captioned)
        assert len(outcome.variants) == VARIANTS
        assert all(0 < len(text) <= 8 for variant in outcome.variants for text in variant.texts())
        assert outcome.flags == ()
        assert outcome.usage.calls == 1
        assert outcome.usage.prompt_tokens > 300  # the prompt, in small tokens
        assert 100 < outcome.usage.completion_tokens < 600
    assert len({outcome.variants for outcome in outcomes}) > 1, "the pictures make no difference"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_record_is_that_of_its_own_row(family, tiny_model, short_texts):
    captioner = local(tiny_model(family), concurrency=5)
    together = {o.image: o.variants for o in captioner.caption(pictures())}
    backwards = {o.image: o.variants for o in captioner.caption(pictures()[::-1])}
    assert together == backwards
    assert list(together) == list(backwards)[::-1]


@pytest.mark.parametrize("family", FAMILIES)
def test_without_constraint_a_random_model_ends_with_a_reason_and_never_a_record(
    family, tiny_model, monkeypatch
):
    monkeypatch.setattr("trsllava.captioning.local_model.grammar_for", lambda *_: None)
    captioner = local(tiny_model(family), concurrency=2, max_tokens=20)
    assert captioner.identity()["constrained"] is False
    colours, _ = watch(captioner)
    outcomes = list(captioner.caption(pictures(3)))

    assert sorted(o.image for o in outcomes) == sorted(p.image for p in pictures(3))
    for outcome in outcomes:
        assert isinstance(outcome, Failed)
        assert outcome.reason in {"cut", "malformed", "empty", "incomplete"}
        assert outcome.usage.calls == 2
        assert outcome.reason == "empty" or outcome.raw
    assert len(set(colours)) == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_mark_of_a_picture_in_a_prompt_asks_for_no_second_picture(
    family, tiny_model, short_texts, tmp_path
):
    prompt = tmp_path / "marks.txt"
    marks = "<image> <image_soft_token> <start_of_image> <|image_pad|> <|vision_start|> <eos>"
    prompt.write_text(f"Describe {marks} this. {marks}")
    captioner = local(tiny_model(family), prompt=str(prompt), concurrency=2)
    outcomes = list(captioner.caption(pictures(2)))
    assert [type(outcome) for outcome in outcomes] == [Captioned, Captioned]


def test_prompts_of_different_lengths_are_padded_on_the_left(tiny_model, short_texts):
    captioner = local(tiny_model("llava-next"), concurrency=2)
    _, masks = watch(captioner)
    small, large = pictures(2)
    # Another shape means another number of tokens in this family.
    small = type(small)(small.image, small.pixels.resize((56, 28)))
    outcomes = list(captioner.caption([small, large]))
    (mask,) = masks
    lengths = mask.sum(dim=1).tolist()
    assert lengths[0] != lengths[1]
    assert mask[:, -1].tolist() == [1, 1]
    assert [o.usage.prompt_tokens for o in outcomes] == lengths


def test_at_the_full_lengths_a_looping_model_still_closes_its_record(tiny_model):
    captioner = local(tiny_model("gemma3"), concurrency=2)
    outcomes = list(captioner.caption(pictures(2)))
    assert all(isinstance(o, Captioned) for o in outcomes)
    longest = max(len(text) for o in outcomes for v in o.variants for text in v.texts())
    assert 100 < longest <= 1200


def test_a_cut_reply_is_asked_for_again_in_a_following_batch(tiny_model, short_texts):
    captioner = local(tiny_model("idefics3"), concurrency=2, max_tokens=110)
    outcomes = list(captioner.caption(iter(pictures())))
    assert sorted(o.image for o in outcomes) == sorted(p.image for p in pictures())
    assert {o.usage.calls for o in outcomes} == {2}
    for outcome in outcomes:
        assert isinstance(outcome, Captioned)
        assert outcome.flags == ("asked_longer",)


def test_no_more_pictures_are_pulled_than_a_batch_holds(tiny_model, short_texts):
    captioner = local(tiny_model("idefics3"), concurrency=2)
    pulled = []
    outcomes = captioner.caption(pulled.append(p) or p for p in pictures())
    next(outcomes)
    assert len(pulled) == 2
    outcomes.close()
    assert len(pulled) == 2


def test_the_identity_names_all_that_changes_a_record(tiny_model):
    folder = tiny_model("idefics3")
    identity = dict(local(folder).identity())
    assert json.loads(json.dumps(identity)) == identity
    assert identity["captioner"] == "transformers"
    assert identity["model"] == "idefics3"
    assert (identity["dtype"], identity["quantization"]) == ("float32", None)
    assert str(folder.parent) not in json.dumps(identity)
    assert dict(local(folder, concurrency=1).identity()) == identity
    assert dict(local(folder, dtype="bfloat16").identity()) != identity
