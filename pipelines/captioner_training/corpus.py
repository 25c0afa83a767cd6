"""What the writer learns to write, picture by picture, as numbers."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from captioner_training.pictures import Pictures
from captioner_training.writer import LONGEST
from trsllava.light.unplaced import unplaced
from trsllava.light.vocabulary import FIRST, Vocabulary, join_words, split_words
from trsllava.records import FIELDS, VARIANTS

Texts = dict[int, list[list[int]]]  # by slot: variant times 3 plus field
# What people write about a picture is what they would search with: the sentence of variant 5.
_PEOPLES = (VARIANTS - 1) * len(FIELDS)
# Variant 3 is about layout. Without places little of it is left; what borders on what remains.
_LAYOUT, _LAYOUT_CAPTION = 2 * len(FIELDS), 2 * len(FIELDS) + 2
_RELATION = re.compile(
    r"\b(?:around|beside|between|along|near|next to|surround\w*|enclosed?|border\w*|lined?|flank\w*"
    r"|among|amid|behind|across|over|through|against|connect\w*|separat\w*|frame[sd]?|edge[sd]?)\b"
)
_WIDTH = re.compile(r"\bmetres\b|\bmeters\b|\bkilomet")


@dataclass(frozen=True, slots=True)
class Corpus:
    """The vocabulary and the texts of every picture, by slot; the lists are learnt from.

    ``recorded`` are photographs with a record, ``painted`` the painted scenes, ``captioned`` the
    photographs with people's captions alone.
    """

    vocabulary: Vocabulary
    texts: list[Texts]
    recorded: list[int]
    painted: list[int]
    captioned: list[int]


def read_corpus(pictures: Pictures, least: int) -> Corpus:
    """Prepare the texts of all pictures.

    Parameters
    ----------
    pictures
        Those of the splits ``train`` and ``painted`` are learnt from, the others only measured.
    least
        How often a word must stand in what is learnt from to be in the vocabulary; texts with
        a rarer one are left out.

    Returns
    -------
    Corpus
        Of all pictures, in their order.
    """
    prepared = [_prepare(pictures, n) for n in range(len(pictures.names))]
    learnt = set(pictures.rows("train", "painted").tolist())
    counts = Counter(
        word
        for n in learnt
        for texts in prepared[n].values()
        for text in texts
        for word in split_words(text)
    )
    vocabulary = Vocabulary(sorted(word for word, count in counts.items() if count >= least))
    numbered = [
        {slot: found for slot, texts in own.items() if (found := _numbers(vocabulary, texts))}
        for own in prepared
    ]
    painted = pictures.rows("painted").tolist()
    photographs = [n for n in pictures.rows("train").tolist() if numbered[n]]
    recorded = [n for n in photographs if pictures.records[n]]
    captioned = [n for n in photographs if not pictures.records[n]]
    return Corpus(vocabulary, numbered, recorded, painted, captioned)


def _numbers(vocabulary: Vocabulary, texts: list[str]) -> list[list[int]]:
    found = (vocabulary.numbers(text) for text in texts)
    return [numbers for numbers in found if numbers and len(numbers) < LONGEST]


def _prepare(pictures: Pictures, row: int) -> dict[int, list[str]]:
    """Return the texts of one picture by slot: photographs' without counts and places."""
    painted = pictures.splits[row].startswith("painted")
    found: dict[int, list[str]] = {}
    for slot, text in enumerate(pictures.records[row] or []):
        field = FIELDS[slot % len(FIELDS)]
        kept = _exact(text) if painted else unplaced(text, field)
        if kept:
            found.setdefault(slot, []).append(kept)
    people = {kept for text in pictures.captions[row] if (kept := unplaced(text, "one_sentence"))}
    if people:
        found.setdefault(_PEOPLES, []).extend(sorted(people))
    if not painted:
        _add_layout(found)
    return found


def _add_layout(found: dict[int, list[str]]) -> None:
    """Let what the other variants say of how things lie to each other be variant 3's too."""
    sentences = [t for s in (0, 3, 9, 12) for t in found.get(s, []) if _RELATION.search(t)]
    if sentences:
        found.setdefault(_LAYOUT, []).extend(sentences)
    paragraphs = [t for s in (2, 5, 11, 14) for t in found.get(s, [])]
    parts = [p for t in paragraphs for p in t.split(". ") if _RELATION.search(p)]
    if len(parts) > 1:
        pairs = [f"{a.rstrip('.')}. {b.rstrip('.')}." for a, b in pairwise(parts)]
        found.setdefault(_LAYOUT_CAPTION, []).extend(pairs)


def _exact(text: str) -> str | None:
    """Leave a painted scene's text as it is, but for sizes in metres, which no picture shows."""
    clauses = [c for c in re.split(r"(?<=[.]) |(?<=[,;]) ", text) if not _WIDTH.search(c)]
    joined = " ".join(clauses).rstrip(" ,;.") + "."
    return join_words(split_words(joined)) if len(joined) > FIRST else None
