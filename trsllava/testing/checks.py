"""Whether a captioner keeps the protocol that the job relies on."""

import json
from collections.abc import Iterator
from typing import Any

from trsllava.captioning.captioner import Captioned, Captioner, Failed, Outcome, Prepared, Usage
from trsllava.errors import TrsllavaError
from trsllava.records import VARIANTS, Variant, canonical_json
from trsllava.testing.captioners import COLOURS

AHEAD = 1024


class BrokenCaptioner(TrsllavaError):
    """A captioner breaks the protocol; the message says how."""


def check_captioner(captioner: Captioner, *, different: bool = True) -> None:
    """Try a captioner on a few plain pictures.

    Every picture gets exactly one outcome under its own id, a record has five full variants,
    no picture and an endless supply of pictures are both coped with (at most ``AHEAD`` of them
    are pulled before the first outcome), the generator can be closed, and the identity is JSON
    that stays the same.

    Parameters
    ----------
    captioner
        The one to try; it is asked for some ten records.
    different
        Whether pictures of different colours must get different records and the same picture
        under two names equal ones; False for a model that is random or cannot tell.

    Raises
    ------
    BrokenCaptioner
        If it breaks the protocol; `CaptionerUnavailable` comes through.
    """
    identity = _identity(captioner)
    _require(not list(captioner.caption(iter(()))), "it yields outcomes for no pictures at all")
    pictures = [_picture(f"{name}.png", name) for name in ("red", "green", "blue", "white")]
    pictures.append(_picture("again/red.png", "red"))
    outcomes = _outcomes(captioner, pictures)
    if different:
        _own_pixels(outcomes)
    _laziness(captioner)
    _require(_identity(captioner) == identity, "its identity has changed while it worked")


def _identity(captioner: Captioner) -> bytes:
    """Return the identity in its one spelling."""
    identity = captioner.identity()
    try:
        spelled = canonical_json(dict(identity))
    except (TypeError, ValueError) as error:
        raise BrokenCaptioner(f"its identity is no JSON object: {error}") from error
    _require(bool(identity), "its identity is empty")
    _require(
        json.loads(spelled) == identity,
        "its identity does not survive JSON: use only strings, numbers, lists and string keys",
    )
    _require(
        canonical_json(dict(captioner.identity())) == spelled,
        "its identity is another one each time it is asked",
    )
    return spelled


def _outcomes(captioner: Captioner, pictures: list[Prepared]) -> dict[str, Outcome]:
    """Return the outcomes by image, each looked at."""
    found: dict[str, Outcome] = {}
    ids = {picture.image for picture in pictures}
    for outcome in captioner.caption(iter(pictures)):
        _check(outcome)
        _require(outcome.image in ids, f"an outcome for {outcome.image!r}, which was not given")
        _require(outcome.image not in found, f"two outcomes for {outcome.image!r}")
        found[outcome.image] = outcome
    missing = sorted(ids.difference(found))
    _require(not missing, f"no outcome for {', '.join(missing)}")
    return found


def _check(outcome: Any) -> None:
    """Check the form of one outcome."""
    _require(
        isinstance(outcome, Captioned | Failed),
        f"an outcome must be Captioned or Failed, not {type(outcome).__name__}",
    )
    where = repr(outcome.image)
    _require(isinstance(outcome.usage, Usage), f"the usage of {where} is no Usage")
    if isinstance(outcome, Failed):
        word = outcome.reason.replace("_", "")
        _require(word.isalpha(), f"the reason {outcome.reason!r} of {where} is not one word")
        _require(bool(outcome.detail), f"the failure of {where} has no detail")
        return
    _require(
        isinstance(outcome.variants, tuple) and len(outcome.variants) == VARIANTS,
        f"the record of {where} must be a tuple of {VARIANTS} variants",
    )
    for number, variant in enumerate(outcome.variants, start=1):
        _require(
            isinstance(variant, Variant)
            and all(isinstance(text, str) and text.strip() for text in variant.texts()),
            f"variant {number} of {where} has not three texts",
        )
    flags = outcome.flags
    _require(
        isinstance(flags, tuple) and list(flags) == sorted(set(flags)),
        f"the flags of {where} must be a sorted tuple without repeats",
    )


def _own_pixels(outcomes: dict[str, Outcome]) -> None:
    """Check that each record is of its own picture."""
    variants = {
        image: outcome.variants
        for image, outcome in outcomes.items()
        if isinstance(outcome, Captioned)
    }
    one, again = variants.pop("red.png", None), variants.pop("again/red.png", None)
    _require(one == again, "the same picture under two names gets different records")
    if one is not None:
        variants["red.png"] = one
    _require(
        len(set(variants.values())) == len(variants),
        "pictures of different colours get the same record: does it look at them?",
    )


def _laziness(captioner: Captioner) -> None:
    """Give pictures without end, take the first outcome, and close."""
    pulled = 0

    def endless() -> Iterator[Prepared]:
        nonlocal pulled
        names = list(COLOURS)
        while pulled <= AHEAD:  # an end, lest a captioner that is not lazy hangs the test
            pulled += 1
            yield _picture(f"endless/{pulled}.png", names[pulled % len(names)])

    outcomes = captioner.caption(endless())
    first = next(outcomes, None)
    _require(first is not None, "it yields no outcome for an endless supply of pictures")
    _check(first)
    _require(
        pulled <= AHEAD,
        f"it pulls more than {AHEAD} pictures before it yields an outcome: an archive would fill "
        "the memory",
    )
    close = getattr(outcomes, "close", None)
    _require(close is not None, "caption must be a generator, so that it can be closed")
    assert close is not None
    try:
        close()
    except RuntimeError as error:
        raise BrokenCaptioner(f"its generator cannot be closed: {error}") from error
    _require(next(outcomes, None) is None, "it yields outcomes after it was closed")


def _picture(image: str, colour: str) -> Prepared:
    from PIL import Image

    return Prepared(image, Image.new("RGB", (64, 48), COLOURS[colour]))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise BrokenCaptioner(message)
