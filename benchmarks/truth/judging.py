"""The share of what texts say that other texts of the same image, or of another, say too."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple

from trsllava.records import Record
from truth.references import Truth, others
from truth.words import Facts, facts, together

SEED = 1
DRAWS = 5
GROUPS = ("nouns", "colours", "numbers", "directions")
BINDINGS = ("coloured", "counted", "placed")
AGAINST = ("same image", "same class", "any image")


class Judged(NamedTuple):
    """How many words were judged, and how many of them the reference has."""

    words: int = 0
    supported: int = 0

    def plus(self, other: "Judged") -> "Judged":
        """Return both together."""
        return Judged(self.words + other.words, self.supported + other.supported)

    @property
    def share(self) -> float | None:
        """The share that is supported; None where nothing was judged."""
        return self.supported / self.words if self.words else None


Table = dict[str, dict[str, Judged]]


def judge(said: Facts, known: Facts) -> dict[str, Judged]:
    """Judge what a text says by what a reference says, group by group.

    What is said of a thing is judged only where the reference says the like of that thing; else
    the fault lies with the thing, which `nouns` judges.
    """
    found = {}
    for group in (f.name for f in fields(Facts)):
        asked, there = getattr(said, group), getattr(known, group)
        if group in BINDINGS:
            things = {name for name, _ in there}
            asked = {pair for pair in asked if pair[0] in things}
        found[group] = Judged(len(asked), len(asked & there))
    found["all"] = Judged(
        sum(found[group].words for group in GROUPS),
        sum(found[group].supported for group in GROUPS),
    )
    return found


def truth_table(
    said: Mapping[str, Sequence[str]], references: Mapping[str, Facts], truth: Truth
) -> Table:
    """Judge the texts of images by the references of the same image and of others.

    Parameters
    ----------
    said
        The texts of each image.
    references
        What each image of the split is judged by.
    truth
        Tells the classes, and by its records which images there are to draw.

    Returns
    -------
    Table
        By group and by what it was judged against. Words count once a text.
    """
    table: Table = {
        group: dict.fromkeys(AGAINST, Judged()) for group in (*GROUPS, "all", *BINDINGS)
    }
    drawn = {
        "same image": {image: [image] for image in said},
        "same class": others(said, truth, DRAWS, SEED, same_class=True),
        "any image": others(said, truth, DRAWS, SEED, same_class=False),
    }
    for against, chosen in drawn.items():
        for image, judges in chosen.items():
            for text in said[image]:
                for judged_by in judges:
                    for group, judged in judge(facts(text), references[judged_by]).items():
                        table[group][against] = table[group][against].plus(judged)
    return table


def full_references(truth: Truth) -> dict[str, Facts]:
    """Return what record and human captions of each image say together."""
    return {
        image: together([facts(text) for text in [*_texts(record), *truth.captions[image]]])
        for image, record in truth.records.items()
    }


def record_references(truth: Truth) -> dict[str, Facts]:
    """Return what the record alone of each image says."""
    return {
        image: together([facts(text) for text in _texts(record)])
        for image, record in truth.records.items()
    }


def caption_references(truth: Truth) -> dict[str, Facts]:
    """Return what the human captions alone of each image say."""
    return {
        image: together([facts(text) for text in truth.captions[image]]) for image in truth.records
    }


def texts_of(truth: Truth) -> dict[str, list[str]]:
    """Return the texts of each record."""
    return {image: _texts(record) for image, record in truth.records.items()}


def variants_left_out(truth: Truth) -> dict[str, Judged]:
    """Judge each variant of the frontier records by the other four and the human captions."""
    total: dict[str, Judged] = {}
    for image, record in truth.records.items():
        captions = [facts(text) for text in truth.captions[image]]
        variants = [[facts(text) for text in v.texts() if text] for v in record.variants]
        for at, variant in enumerate(variants):
            rest = [one for other in variants[:at] + variants[at + 1 :] for one in other]
            _add(total, variant, together(rest + captions))
    return total


def captions_left_out(truth: Truth) -> dict[str, Judged]:
    """Judge each distinct human caption by the others of its image and the frontier record."""
    total: dict[str, Judged] = {}
    for image, record in truth.records.items():
        own = [facts(text) for text in _texts(record)]
        distinct = list(dict.fromkeys(truth.captions[image]))
        for caption in distinct:
            rest = [facts(other) for other in distinct if other != caption]
            _add(total, [facts(caption)], together(rest + own))
    return total


def _add(total: dict[str, Judged], said: Sequence[Facts], known: Facts) -> None:
    for one in said:
        for group, judged in judge(one, known).items():
            total[group] = total.get(group, Judged()).plus(judged)


def _texts(record: Record) -> list[str]:
    return [text.text for text in record.texts()]
