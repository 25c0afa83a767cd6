"""What can be said of records without knowing the pictures: copied, alike, looping, long."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from trsllava.captioning.prompts import load_prompt
from trsllava.captioning.quality import loop, objection
from trsllava.captioning.replies import Reading
from trsllava.records import FIELDS, Record
from truth.verbatim import Known, jaccard, normalised, sentences

ALIKE = 0.6
ENOUGH = 8  # of the fifteen texts of a record


def by_field(records: Iterable[Record]) -> dict[str, list[str]]:
    """Return all texts of each field."""
    found: dict[str, list[str]] = {name: [] for name in FIELDS}
    for record in records:
        for text in record.texts():
            found[text.field].append(text.text)
    return found


def copied(records: Sequence[Record], known: Known) -> dict[str, dict[str, Any]]:
    """Return, by field, how many texts stand in train, nearly do, and how many sentences do.

    Sentences are those of texts with at least two, without the features, which are lists.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, texts in by_field(records).items():
        row: dict[str, Any] = {
            "texts": len(texts),
            "verbatim": _share([known.verbatim(text) for text in texts]),
            "near": _share([known.near(text) for text in texts]),
        }
        if name != "feature":
            parts = [part for text in texts if len(own := sentences(text)) > 1 for part in own]
            row["sentences"] = len(parts)
            row["sentences verbatim"] = _share([known.sentence(part) for part in parts])
        found[name] = row
    return found


def distinct_in_content(texts: Iterable[str]) -> int:
    """Count texts, each only if its words are not nearly those of one counted before."""
    kept: list[frozenset[str]] = []
    for text in texts:
        words = frozenset(normalised(text).split())
        if all(jaccard(words, other) < ALIKE for other in kept):
            kept.append(words)
    return len(kept)


def distinct(records: Sequence[Record]) -> dict[str, Any]:
    """Return how many texts of a record differ in content."""
    counts = [distinct_in_content(text.text for text in record.texts()) for record in records]
    return {
        "mean": fmean(counts),
        "least": min(counts),
        f"{ENOUGH} or more": _share([count >= ENOUGH for count in counts]),
    }


def loops(records: Sequence[Record]) -> dict[str, Any]:
    """Return how many texts loop, and how many records the project's own checks refuse."""
    prompt = load_prompt("rsrt")
    reasons: Counter[str] = Counter()
    for record in records:
        if record.is_thin:
            reasons["thin"] += 1
            continue
        found = objection(Reading(record.variants), prompt, prompt.text, prompt.language)
        if found is not None:
            reasons[found.reason] += 1
    looping = sum(loop(text.text) is not None for record in records for text in record.texts())
    return {
        "looping texts": looping,
        "records refused": reasons.total(),
        "reasons": dict(reasons.most_common()),
    }


def lengths(records: Sequence[Record], vocabulary: frozenset[str]) -> dict[str, Any]:
    """Return how long texts are, how many differ, and which words nobody else has written.

    Parameters
    ----------
    records
        What to measure.
    vocabulary
        All words of the texts of train and of the references.

    Returns
    -------
    dict[str, Any]
        ``unheard words`` are occurrences outside of the vocabulary, ``unheard`` the commonest.
    """
    fields = by_field(records)
    texts = [normalised(text) for own in fields.values() for text in own]
    words = Counter(word for text in texts for word in text.split())
    unheard = Counter({word: n for word, n in words.items() if word not in vocabulary})
    means = {
        name: fmean(len(normalised(t).split()) for t in own) for name, own in fields.items() if own
    }
    return {
        "mean words": means,
        "texts": len(texts),
        "distinct texts": len(set(texts)),
        "vocabulary": len(words),
        "unheard words": unheard.total(),
        "unheard": [word for word, _ in unheard.most_common(8)],
    }


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None
