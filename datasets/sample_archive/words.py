"""From facts to the fifteen texts of a record."""

import re
import tomllib
from functools import cache
from pathlib import Path

import numpy as np

from trsllava.records import Variant

from .facts import Facts, counted, in_words

_FILES = ("words_built.toml", "words_land.toml")
_IF = re.compile(r"<(\w+)\?([^:>]*):([^>]*)>")
_CHOICE = re.compile(r"\[([^\]]*)\]")


@cache
def _sentences() -> dict[str, list[list[str]]]:
    """Return the sentences of every story: five lists of three texts each."""
    stories: dict[str, list[list[str]]] = {}
    for name in _FILES:
        path = Path(__file__).with_name(name)
        parsed = tomllib.loads(path.read_text(encoding="utf-8"))
        stories.update({story: table["texts"] for story, table in parsed.items()})
    return stories


def describe(facts: Facts, rng: np.random.Generator) -> tuple[Variant, ...]:
    """Return the five variants for a scene; the random numbers choose among synonyms."""
    names = _names(facts)
    return tuple(
        Variant(*(_text(template, facts, names, rng) for template in texts))
        for texts in _sentences()[facts.story]
    )


def _names(facts: Facts) -> dict[str, str]:
    """Return what each name in braces stands for."""
    names = {**facts.places, **facts.colours, **facts.phrases}
    for thing, number in facts.counts.items():
        names[thing] = counted(thing, number)
        names[f"n_{thing}"] = in_words(number)
    return names


def _text(
    template: str, facts: Facts, names: dict[str, str], rng: np.random.Generator
) -> str:
    """Return one finished text, each of its sentences beginning with a capital."""

    def decide(match: re.Match[str]) -> str:
        return match[2] if facts.counts[match[1]] else match[3]

    def choose(match: re.Match[str]) -> str:
        options = match[1].split("|")
        return options[int(rng.integers(len(options)))]

    chosen = _CHOICE.sub(choose, _IF.sub(decide, template))
    filled = " ".join(chosen.format_map(names).split())
    sentences = re.split(r"(?<=\. )", filled)
    return "".join(sentence[:1].upper() + sentence[1:] for sentence in sentences)
