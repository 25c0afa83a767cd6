"""The light models that ship: the eye, the writer, and the captioner made of them."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from trsllava import resources
from trsllava.captioning import Captioned, Prepared, load_captioner
from trsllava.embedding.bundled import BundledEmbedder, unit
from trsllava.errors import InputError, TrsllavaError, UsageError
from trsllava.light.captioner import BuiltinCaptioner, choose, sound
from trsllava.light.eye import FOLDER, Eye, fit
from trsllava.light.grammar import Grammar, tidied
from trsllava.light.learnt import Learnt
from trsllava.light.unplaced import unplaced
from trsllava.light.vocabulary import Vocabulary, join_words, split_words
from trsllava.light.writer import SLOTS, Draft, Writer
from trsllava.testing import check_captioner

PAINTER = resources.load_script("datasets/sample_archive.py")


@pytest.fixture(scope="module")
def scenes():
    """One scene of every kind, with seeds that neither training nor the sample archive uses."""
    painted = [PAINTER.scene(kind, 77_000_000 + n) for n, kind in enumerate(PAINTER.KINDS)]
    return {scene.facts.kind: Image.fromarray(scene.pixels) for scene in painted}


@pytest.fixture(scope="module")
def records(scenes):
    captioner = BuiltinCaptioner()
    prepared = [Prepared(kind, picture) for kind, picture in scenes.items()]
    return {outcome.image: outcome for outcome in captioner.caption(prepared)}


def test_words_and_texts_are_the_same_thing():
    text = "A blue-grey roof, the house's yard (small). Trees stand around it; a road: dry soil."
    assert join_words(split_words(text)) == text.replace(": dry", ": Dry")
    vocabulary = Vocabulary(["a", "tree", "."])
    assert vocabulary.numbers("A tree.") == [1, 2, 3]
    assert vocabulary.text([1, 2, 3]) == "A tree."
    assert vocabulary.numbers("A bush.") is None
    assert len(vocabulary) == 4


def test_the_eye_sees_the_same_whatever_the_batch_and_the_threads(scenes):
    pictures = list(scenes.values())[:6]
    together = Eye(threads=2).vectors(pictures)
    assert together.shape == (6, 384)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.concatenate([Eye(threads=1).vectors([picture]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_the_eye_takes_pictures_of_any_mode_and_size(mode):
    assert Eye().vectors([Image.new(mode, (37, 90)), Image.new(mode, (1, 1))]).shape == (2, 384)
    assert Eye().vectors([]).shape == (0, 384)
    assert fit(Image.new(mode, (700, 20))).shape == (260, 260, 3)


def test_an_eye_needs_a_thread():
    with pytest.raises(InputError, match="thread"):
        Eye(threads=0)


def test_the_head_finds_painted_scenes_by_what_is_said_of_them(scenes):
    said = {
        "harbour": "ships moored at piers in a harbour",
        "airport": "planes at an airport with a runway",
        "forest": "a dense green forest",
        "parking": "cars in a parking lot",
        "beach": "waves on a sandy beach",
        "tennis_courts": "tennis courts",
        "desert": "sand dunes in a desert",
        "solar_farm": "rows of solar panels",
    }
    eye = Eye()
    pictures = eye.vectors(list(scenes.values()))
    texts = unit(BundledEmbedder().encode(list(said.values())) - eye.text_mean)
    kinds = list(scenes)
    found = [kinds[n] for n in (texts @ pictures.T).argmax(axis=1)]
    assert sum(a == b for a, b in zip(found, said, strict=True)) >= 7, found


def test_drafts_are_the_same_every_time_and_of_every_slot(scenes):
    sight = Eye(threads=1).see([scenes["harbour"]])
    first, second = (Writer().drafts(sight.memory[0], [2] * SLOTS, 0.7) for _ in range(2))
    assert first == second
    assert {draft.slot for draft in first} == set(range(SLOTS))
    assert all(draft.text and draft.sureness < 0 for draft in first)
    assert len({draft.text for draft in first}) > SLOTS


def test_a_chosen_text_agrees_is_likely_and_does_not_repeat():
    drafts = [Draft(slot, f"text {slot} alone", -1.0) for slot in range(SLOTS)]
    drafts += [Draft(0, "a better text", -1.0), Draft(1, "a better text", -1.0)]
    agreement = np.full(len(drafts), 0.2, np.float32)
    agreement[-2:] = 0.4
    by_heart = [False] * len(drafts)
    chosen = choose(drafts, agreement, by_heart)
    assert chosen[0] == "a better text"
    assert chosen[1] == "text 1 alone"  # the better one is said already
    assert len(choose(drafts[1:-2], agreement[1:-2], by_heart[1:-2])) == SLOTS - 1
    by_heart[-2] = True
    assert choose(drafts, agreement, by_heart)[:2] == ["a better text", "text 1 alone"]
    agreement[-2:] = 0.3  # too little for what was learnt by heart
    assert choose(drafts, agreement, by_heart)[:2] == ["text 0 alone", "a better text"]


def test_records_pass_all_checks_and_name_what_is_painted(records):
    assert all(isinstance(record, Captioned) for record in records.values()), records
    wanted = {
        "harbour": ("ship", "pier"),
        "airport": ("plane", "runway", "aircraft"),
        "forest": ("forest", "trees"),
        "parking": ("car",),
        "beach": ("beach", "sand"),
        "storage_tanks": ("tank",),
        "railway": ("track", "rail", "train"),
        "solar_farm": ("solar", "panel"),
        "stadium": ("stadium",),
        "lake": ("lake", "water"),
    }
    missed = [
        kind
        for kind, words in wanted.items()
        if not any(word in str(records[kind].variants).lower() for word in words)
    ]
    assert len(missed) <= 1, missed


def test_a_record_depends_on_its_picture_alone(scenes, records):
    some = list(scenes)[3:6]
    alone = BuiltinCaptioner(concurrency=1)
    for kind in reversed(some):
        (outcome,) = alone.caption([Prepared("x", scenes[kind])])
        assert outcome.variants == records[kind].variants


def test_variants_differ_in_content(records):
    for record in records.values():
        kept: list[frozenset[str]] = []
        for text in (text for variant in record.variants for text in variant.texts()):
            words = frozenset(split_words(text)) - set(".,;:")
            if all(len(words & other) < 0.6 * len(words | other) for other in kept):
                kept.append(words)
        assert len(kept) >= 8, record


def test_it_keeps_the_protocol_of_captioners():
    captioner = load_captioner("builtin", concurrency=1)
    check_captioner(captioner)
    identity = captioner.identity()
    assert identity["captioner"] == "builtin"
    assert identity["model"] == "light-1"
    json.dumps(identity)
    said = "'builtin' does not take --model and --max-tokens; leave that out"
    with pytest.raises(UsageError, match=said):
        load_captioner("builtin", model="other", concurrency=1, max_tokens=9)


def test_torch_is_not_loaded():
    code = (
        "import sys; from PIL import Image\n"
        "from trsllava.captioning import load_captioner, Prepared\n"
        "captioner = load_captioner('builtin')\n"
        "print(len(list(captioner.caption([Prepared('x', Image.new('RGB', (64, 64)))]))))\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["1", "False"], done.stderr


def test_what_ships_is_what_the_manifest_says_and_small():
    folder = resources.find(FOLDER)
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert sum(path.stat().st_size for path in folder.iterdir()) < 30_000_000
    assert manifest["training"]["config"]["writer"]["epochs"] == len(manifest["training"]["curve"])


@pytest.mark.parametrize("name", ["eye.onnx", "writer.onnx", "words.txt", "learnt.bin"])
def test_a_damaged_model_file_is_named_with_the_remedy(tmp_path, monkeypatch, scenes, name):
    folder, find = resources.find(FOLDER), resources.find
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damaged = bytearray((tmp_path / name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / name).write_bytes(damaged)
    monkeypatch.setattr(resources, "find", lambda at: tmp_path if at == FOLDER else find(at))
    picture = next(iter(scenes.values()))
    with pytest.raises(TrsllavaError, match=f"{name} is missing or changed; install"):
        list(BuiltinCaptioner().caption([Prepared("x", picture)]))
    if name == "eye.onnx":
        with pytest.raises(TrsllavaError, match="install trsllava again"):
            Eye().vectors([picture])


def test_what_was_learnt_by_heart_is_known_without_the_texts(tmp_path):
    rng = np.random.default_rng(0)
    words = [f"word{n}" for n in range(300)]
    texts = [" ".join(rng.choice(words, 8, replace=False)) for _ in range(500)]
    Learnt.of(texts, also=["A long text of ours."]).save(tmp_path / "learnt.bin")
    learnt = Learnt.load(tmp_path / "learnt.bin")
    assert all(learnt.has(f"{text.upper()} .") for text in texts)
    assert learnt.has("a long text of ours")
    assert not learnt.has("a long text of")
    assert all(learnt.has(f"{text} and") for text in texts)
    assert all(learnt.has(text.partition(" ")[2]) for text in texts)
    assert all(learnt.has(f"{text.partition(' ')[2]} other") for text in texts)
    others = [" ".join(rng.choice(words, 8, replace=False)) for _ in range(2000)]
    assert sum(map(learnt.has, others)) <= 10
    assert (tmp_path / "learnt.bin").stat().st_size < 20_000


@pytest.mark.parametrize(
    ("text", "field", "tidy"),
    [
        ("A orange roof and a urban area.", "caption", "An orange roof and an urban area."),
        ("An long road to an u-shaped lake.", "caption", "A long road to a u-shaped lake."),
        ("Trees, a road, trees, small trees.", "feature", "Trees, a road, small trees."),
        ("A road, trees,.", "feature", "A road, trees."),
        ("Trees stand here, trees there.", "caption", "Trees stand here, trees there."),
    ],
)
def test_small_slips_are_put_right(text, field, tidy):
    assert tidied(text, field) == tidy


@pytest.fixture(scope="module")
def grammar():
    return Grammar(Writer().vocabulary.words)


@pytest.mark.parametrize(
    "text",
    [
        "Dunes follow an another over the sand.",
        "An of the houses has a red roof.",
        "Cars are parked a by an.",
        "The outfield is up.",
        "A green line is of the meadow.",
        "A few few trees stand here.",
        "Brown and brown land.",
        "Trees, a ring of.",
        "There is several cars.",
        "There are a baseball field.",
        "There is a large green lakes.",
        "A small white boats are parked in it.",
        "Cars stand on all several.",
    ],
)
def test_slips_that_only_another_text_mends_are_told(grammar, text):
    assert grammar.has_slip(text)


@pytest.mark.parametrize(
    "text",
    [
        "Dunes follow one another. Lots and lots of trees.",
        "A few red cars and a sports field.",
        "A long road crosses several green fields.",
        "An old stadium lies beside small houses.",
        "There are a lot of cars, there are a few trees.",
        "There is a road. The colours are of the same kind.",
        "Stands with roofs, trees between, a grass strip around.",
    ],
)
def test_sound_english_is_no_slip(grammar, text):
    assert not grammar.has_slip(text)


def test_a_draft_with_a_slip_leaves_its_slot_to_another(grammar):
    texts = ("Brown and brown bare land.", "Bare brown land with two ponds.", "Trees of.")
    kept = sound([Draft(0, text, -1.0) for text in texts], grammar)
    assert [draft.text for draft in kept] == ["Bare brown land with several ponds."]


def test_no_record_has_a_slip(grammar, records):
    texts = [t for record in records.values() for v in record.variants for t in v.texts()]
    assert [text for text in texts if grammar.has_slip(text)] == []


@pytest.mark.parametrize(
    ("text", "field", "kept"),
    [
        ("Two ships lie at a pier in the north.", "one_sentence", "Several ships lie at a pier."),
        (
            "One red court in the northwest, grey roofs, three cars.",
            "feature",
            "A red court, grey roofs, several cars.",
        ),
        ("The oval lies at the bottom.", "one_sentence", None),
        ("There are no roads, green trees all around the bare field.", "one_sentence", None),
        ("A river bends through dense forest.", "caption", None),  # too little to be a caption
        ("Dozens of cars stand on asphalt.", "one_sentence", "Several cars stand on asphalt."),
        ("About a dozen cars on asphalt here.", "one_sentence", "Several cars on asphalt here."),
        (
            "Dunes follow one another for long.",
            "one_sentence",
            "Dunes follow one another for long.",
        ),
        ("Cars are parked one by one.", "one_sentence", "Cars are parked one by one."),
        ("One of the houses has a red roof.", "one_sentence", None),
        ("Five of the 12 stands are white.", "one_sentence", "Several of the stands are white."),
        ("Trees line all four edges of it.", "one_sentence", "Trees line all edges of it."),
        ("A pond lies in the middle of the park.", "one_sentence", "A pond lies in the park."),
        ("A pond and a road in the middle of the scene.", "feature", "A pond and a road."),
        (
            "A hedge runs along the northern edge of a field.",
            "one_sentence",
            "A hedge runs along the edge of a field.",
        ),
        (
            "There are trees on both sides of the river.",
            "one_sentence",
            "There are trees beside the river.",
        ),
        ("A road with trees in several sides.", "one_sentence", "A road with trees alongside."),
    ],
)
def test_counts_and_places_are_taken_out_of_photographs_texts(text, field, kept):
    assert unplaced(text, field) == kept
