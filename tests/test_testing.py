"""What ships for the tests of plug-ins: the stub captioner and the check of the protocol."""

import itertools
import time
from dataclasses import replace

import pytest

from trsllava.captioning import Captioned, CaptionerUnavailable, Failed, Prepared, Usage
from trsllava.records import Variant
from trsllava.testing import BrokenCaptioner, StubCaptioner, check_captioner
from trsllava.testing.captioners import COLOURS
from trsllava.testing.checks import AHEAD


def picture(image, colour):
    from PIL import Image

    return Prepared(image, Image.new("RGB", (40, 30), COLOURS[colour]))


@pytest.mark.parametrize("colour", COLOURS)
def test_the_stub_names_the_colour_it_saw_in_every_variant(colour):
    (outcome,) = StubCaptioner().caption([picture("a.png", colour)])
    assert isinstance(outcome, Captioned)
    assert len(set(outcome.variants)) == 5
    for variant in outcome.variants:
        assert all(colour in text for text in variant.texts())


def test_the_stub_is_deterministic_and_keeps_the_order():
    pictures = [picture(f"{n}.png", colour) for n, colour in enumerate(COLOURS)]
    first = list(StubCaptioner().caption(pictures))
    assert first == list(StubCaptioner().caption(pictures))
    assert [outcome.image for outcome in first] == [p.image for p in pictures]


def test_the_stub_fails_what_it_is_told_to_and_takes_its_time():
    began = time.perf_counter()
    stub = StubCaptioner(delay=0.02, failing=["b"])
    outcomes = list(stub.caption(picture(name, "red") for name in "abc"))
    assert [type(outcome) for outcome in outcomes] == [Captioned, Failed, Captioned]
    assert time.perf_counter() - began >= 0.06


class Changed:
    """The stub with one thing changed: ``change`` maps its outcomes to others."""

    def __init__(self, change=lambda outcomes: outcomes, identities=None):
        self.change = change
        self.identities = iter(identities or itertools.repeat({"name": "changed"}))

    def identity(self):
        return next(self.identities)

    def caption(self, images):
        yield from self.change(StubCaptioner().caption(images))


def swapped(outcomes):
    """Give every picture but the first the variants of the one before."""
    last = None
    for outcome in outcomes:
        yield replace(outcome, variants=(last or outcome).variants)
        last = outcome


def on_every(**changes):
    return lambda outcomes: (replace(outcome, **changes) for outcome in outcomes)


def pairs_turned(outcomes):
    held = list(itertools.islice(outcomes, 2))
    while held:
        yield from reversed(held)
        held = list(itertools.islice(outcomes, 2))


def failing(outcomes):
    return (Failed(o.image, "refused", "the model refuses") for o in outcomes)


@pytest.mark.parametrize(
    "captioner",
    [StubCaptioner(), Changed(), Changed(pairs_turned), Changed(failing)],
    ids=["stub", "same", "any order", "failing"],
)
def test_a_captioner_that_keeps_the_protocol_passes(captioner):
    check_captioner(captioner)


def test_a_captioner_that_reads_ahead_a_little_passes():
    class Ahead(Changed):
        def caption(self, images):
            images = iter(images)
            while batch := list(itertools.islice(images, 64)):
                yield from StubCaptioner().caption(batch)

    check_captioner(Ahead())


FIVE = tuple(Variant(f"a {n}", f"b {n}", f"c {n}") for n in range(5))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda o: itertools.islice(o, 3), "no outcome for again/red.png, white.png"),
        (lambda o: itertools.chain.from_iterable((x, x) for x in o), "two outcomes for 'red.png'"),
        (on_every(image="other.png"), "'other.png', which was not given"),
        (lambda o: itertools.chain(o, [Captioned("z", FIVE)]), "outcomes for no pictures"),
        (lambda o: map(str, o), "must be Captioned or Failed, not str"),
        (on_every(variants=FIVE[:4]), "must be a tuple of 5 variants"),
        (on_every(variants=list(FIVE)), "must be a tuple of 5 variants"),
        (on_every(variants=(*FIVE[:4], Variant("a", "b"))), "variant 5 of 'red.png'"),
        (on_every(variants=(*FIVE[:4], Variant("a", "b", " "))), "variant 5 of 'red.png'"),
        (on_every(variants=FIVE), "different colours get the same record"),
        (swapped, "two names gets different records"),
        (on_every(flags=("b", "a")), "sorted tuple"),
        (on_every(flags=["a"]), "sorted tuple"),
        (on_every(flags=("a", "a")), "sorted tuple"),
        (on_every(usage=(1, 2, 3)), "is no Usage"),
        (lambda o: (Failed(x.image, "two words", "x") for x in o), "is not one word"),
        (lambda o: (Failed(x.image, "cut", "") for x in o), "has no detail"),
        (lambda o: sorted(o, key=lambda x: x.image), "pulls more than"),
    ],
    ids=range(18),
)
def test_a_captioner_that_breaks_the_protocol_is_told_how(change, says):
    with pytest.raises(BrokenCaptioner, match=says):
        check_captioner(Changed(change))


@pytest.mark.parametrize(
    ("identities", "says"),
    [
        ([{}] * 9, "is empty"),
        ([{"a": object()}] * 9, "no JSON object"),
        ([{"a": float("nan")}] * 9, "no JSON object"),
        ([{"a": (1, 2)}] * 9, "does not survive JSON"),
        ([{1: 2}] * 9, "does not survive JSON"),
        (({"a": n} for n in itertools.count()), "another one each time"),
        ([{"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}], "has changed while it worked"),
    ],
)
def test_an_identity_must_be_stable_json(identities, says):
    with pytest.raises(BrokenCaptioner, match=says):
        check_captioner(Changed(identities=identities))


def test_a_model_that_is_random_may_skip_the_comparison_of_pictures():
    check_captioner(Changed(on_every(variants=FIVE)), different=False)


def test_a_captioner_that_returns_no_generator_or_cannot_be_closed_is_told_so():
    class Listed(Changed):
        def caption(self, images):
            return iter([Captioned(p.image, FIVE) for p in itertools.islice(images, 9)])

    class Stubborn(Changed):
        def caption(self, images):
            for outcome in StubCaptioner().caption(images):
                try:
                    yield outcome
                except GeneratorExit:
                    yield outcome

    with pytest.raises(BrokenCaptioner, match="must be a generator"):
        check_captioner(Listed(), different=False)
    with pytest.raises(BrokenCaptioner, match="cannot be closed"):
        check_captioner(Stubborn())


def test_an_unavailable_captioner_comes_through():
    class Down(Changed):
        def caption(self, images):
            for _ in images:
                raise CaptionerUnavailable("the server is down")
            yield from ()

    with pytest.raises(CaptionerUnavailable, match="down"):
        check_captioner(Down())


def test_an_eager_captioner_ends_and_is_found_even_if_it_asks_for_ever():
    pulled = []

    class Eager(Changed):
        def caption(self, images):
            for given in images:
                pulled.append(given.image)
            yield from (Captioned(image, FIVE, usage=Usage()) for image in pulled[-5:])
            pulled.clear()

    with pytest.raises(BrokenCaptioner):
        check_captioner(Eager(), different=False)
    assert len(pulled) <= AHEAD + 1
