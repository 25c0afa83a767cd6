"""Records that look wrong, worst first, told by the words of their texts alone.

Three things are looked for, and each gives a number from 0 to 1:

- texts that other pictures have too, equal or nearly so: the share of the record's words in them,
  each text counted by how many pictures have it (two: half, thirty: nearly whole); where they are
  fewer than eight words in all ("a green field"), which are often right for many, by the square of
  that number;
- stock phrases, which very many pictures share word for word: the share of the record's words in
  them beyond what half of the records have (a style, such as a common opening), squared, times 0.9;
- texts of the record that repeat one another: their share, squared and halved.

The score is 1 minus the product of what each leaves of 1. Pictures that are alike rightly get
like texts, which no audit of texts can tell from a model that did not look.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trsllava.audit.phrases import Stock, stock_phrases
from trsllava.audit.repeats import group_texts
from trsllava.audit.words import Texts, read_texts
from trsllava.records import Record

LEAST = 0.05  # a score below is not worth a look
WORTH_SAYING = 0.01
_PARTS = ("repeats", "stock", "own")
_LONG = 8  # words that are seldom the right ones for two pictures


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why the record of an image looks wrong, and how much (0 to 1).

    ``parts`` are what the score is made of, by name: it is 1 minus the product of what each
    leaves of 1.
    """

    image: str
    score: float
    reasons: tuple[str, ...]
    parts: Mapping[str, float] = field(default_factory=dict)


def joined(image: str, parts: Mapping[str, float], reasons: Sequence[str]) -> Suspicion:
    """Make a suspicion of its parts."""
    score = round(1 - math.prod(1 - part for part in parts.values()), 4)
    return Suspicion(image, score, tuple(reasons), dict(parts))


def audit(records: Iterable[Record], same: Mapping[str, str] | None = None) -> list[Suspicion]:
    """Look for records that look wrong.

    Memory is some 3 KB a record, and a temporary file of half the texts' size holds the words.

    Parameters
    ----------
    records
        Gone through once.
    same
        Images whose bytes equal those of an earlier one, and that one: equal texts of theirs are
        as they should be.

    Returns
    -------
    list[Suspicion]
        Those that look wrong, worst first, then by image.

    Raises
    ------
    InputError
        If there is no room for the temporary file.
    """
    texts = read_texts(records, same or {})
    if not len(texts.words):
        return []
    labels = group_texts(texts)
    repeats = _repeats(texts, labels)
    stock = stock_phrases(texts, repeats.pictures > 1)
    own = _own_repeats(texts, labels)
    parts = np.stack([repeats.score, _stock_score(stock.share, repeats.alone), own.score])
    scores = np.round(1 - np.prod(1 - parts, axis=0), 4)
    told = parts >= WORTH_SAYING
    found = []
    for at in np.flatnonzero(scores >= LEAST).tolist():
        reasons = (
            _say_repeats(texts, at, repeats),
            _say_stock(texts, at, stock),
            _say_own(texts, at, own),
        )
        said = tuple(reason for reason, tell in zip(reasons, told[:, at], strict=True) if tell)
        found.append(
            joined(texts.images[at], dict(zip(_PARTS, parts[:, at].tolist(), strict=True)), said)
        )
    return sorted(found, key=lambda suspicion: (-suspicion.score, suspicion.image))


class _Repeats(NamedTuple):
    """Who else has each text.

    For each text how many pictures have one like it and the record of another of them; for each
    record its score, and which share of its words is in texts of no other picture.
    """

    pictures: NDArray[np.int64]
    other: NDArray[np.int64]
    score: NDArray[np.float64]
    alone: NDArray[np.float64]


def _repeats(texts: Texts, labels: NDArray[np.int64]) -> _Repeats:
    """Find for each text who else has it, and score each record."""
    of = texts.picture[texts.owner]
    pairs, text = np.unique(labels * len(texts.images) + of, return_index=True)
    pictures = np.bincount(pairs // len(texts.images), minlength=labels.max() + 1)[labels]
    first = np.searchsorted(pairs, labels * len(texts.images))
    first += (of[text[first]] == of) & (pictures > 1)
    size = _distinct_words(texts, labels, pictures > 1)
    score = _share(texts, texts.lengths * (1 - 1 / pictures)) * np.minimum(1, size / _LONG) ** 2
    alone = _share(texts, texts.lengths * (pictures == 1))
    return _Repeats(pictures, texts.owner[text[first]], score, alone)


def _distinct_words(
    texts: Texts, labels: NDArray[np.int64], which: NDArray[np.bool_]
) -> NDArray[Any]:
    """Return how many words each record has in some texts, of its like texts in one."""
    kinds = int(labels.max()) + 1
    text = np.unique(texts.owner * kinds + labels, return_index=True)[1]
    return np.bincount(texts.owner[text], (texts.lengths * which)[text], len(texts.images))


def _share(texts: Texts, counted: NDArray[Any]) -> NDArray[np.float64]:
    """Return which share of each record's words is counted, given the number in each text."""
    records = len(texts.images)
    words = np.bincount(texts.owner, texts.lengths, records)
    return np.bincount(texts.owner, counted, records) / np.maximum(words, 1)


def _stock_score(share: NDArray[np.float64], alone: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score shares beyond the style of the archive, which cannot be more than half."""
    telling = alone > 0.5
    style = min(0.5, float(np.median(share[telling] / alone[telling]))) if telling.any() else 0.0
    return 0.9 * (np.maximum(share - style * alone, 0) / (1 - style)) ** 2


class _Own(NamedTuple):
    """How many texts of each record repeat another one of it."""

    repeated: NDArray[np.int64]
    score: NDArray[np.float64]


def _own_repeats(texts: Texts, labels: NDArray[np.int64]) -> _Own:
    """Count what is different in each record."""
    records, kinds = len(texts.images), int(labels.max()) + 1
    different = np.bincount(np.unique(texts.owner * kinds + labels) // kinds, minlength=records)
    count = np.bincount(texts.owner, minlength=records)
    repeated = count - different
    return _Own(repeated, (repeated / np.maximum(count - 1, 1)) ** 2 / 2)


def _texts_of(texts: Texts, record: int) -> slice:
    begin, end = np.searchsorted(texts.owner, (record, record + 1))
    return slice(int(begin), int(end))


def _say_repeats(texts: Texts, record: int, repeats: _Repeats) -> str:
    mine = _texts_of(texts, record)
    pictures = repeats.pictures[mine]
    worst = int(np.argmax(pictures))
    others = int(pictures[worst]) - 1
    return (
        f"{(pictures > 1).sum()} of {len(pictures)} texts are (nearly) those of {others} other "
        f"picture{'s'[: others > 1]}, such as {texts.images[repeats.other[mine][worst]]}"
    )


def _say_stock(texts: Texts, record: int, stock: Stock) -> str:
    phrase = texts.spelled(texts.words[stock.begin[record] : stock.end[record]])
    return (
        f"{stock.share[record]:.0%} of the words are stock phrases; {stock.pictures[record]} "
        f'pictures share "{phrase}"'
    )


def _say_own(texts: Texts, record: int, own: _Own) -> str:
    mine = _texts_of(texts, record)
    return (
        f"{own.repeated[record]} of its own {mine.stop - mine.start} texts (nearly) repeat another"
    )
