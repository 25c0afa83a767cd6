"""From facts to the fifteen texts of a record."""

import re
import tomllib
from collections.abc import Sequence, Set
from functools import cache
from pathlib import Path

import numpy as np

from trsllava.records import Variant

from .facts import Facts, counted, in_words

_FILES = ("words_built.toml", "words_land.toml")
_LIGHT = (
    ", lit from the {sun}",
    ", shadows falling {shadow}",
    ", about {extent} across",
    ", with the sun in the {sun}",
)
_VIEW = (
    ", seen from straight above",
    ", in a view from above",
    ", pictured from the air",
    ", as an aircraft sees it",
    ", in an overhead picture",
)
_SETTING = (
    "Shadows fall toward the {shadow}.",
    "The light comes from the {sun}.",
    "The picture is about {extent} wide.",
    "From edge to edge it measures some {extent}.",
    "The sun stands in the {sun}.",
    "North is up, and the scene is about {extent} across.",
)
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


def describe(
    facts: Facts, rng: np.random.Generator, taken: Set[str] = frozenset()
) -> tuple[Variant, ...]:
    """Return the five variants for a scene, none of their texts among those `taken`.

    Should the synonyms run out, a text is repeated all the same.
    """
    names = _names(facts)
    used = set(taken)
    variants = []
    for templates in _sentences()[facts.story]:
        texts = []
        for finish, template in zip((_sentence, _features, _caption), templates, strict=True):
            for _ in range(40):
                text = finish(_filled(template, facts, names, rng), names, rng)
                if text not in used:
                    break
            used.add(text)
            texts.append(text)
        variants.append(Variant(*texts))
    return tuple(variants)


def _names(facts: Facts) -> dict[str, str]:
    """Return what each name in braces stands for."""
    names = {**facts.places, **facts.colours, **facts.phrases}
    for thing, number in facts.counts.items():
        names[thing] = counted(thing, number)
        names[f"n_{thing}"] = in_words(number)
    return names


def _filled(template: str, facts: Facts, names: dict[str, str], rng: np.random.Generator) -> str:
    """Return a template with its conditions decided, synonyms chosen and names filled in."""

    def decide(match: re.Match[str]) -> str:
        return match[2] if facts.counts[match[1]] else match[3]

    def choose(match: re.Match[str]) -> str:
        return _one_of(rng, match[1].split("|"))

    chosen = _CHOICE.sub(choose, _IF.sub(decide, template))
    return " ".join(chosen.format_map(names).split())


def _one_of(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _sentence(text: str, names: dict[str, str], rng: np.random.Generator) -> str:
    """Return a short sentence, sometimes with how it was seen."""
    endings = _LIGHT if "above" in text else _LIGHT + _VIEW
    ending = _one_of(rng, endings) if rng.random() < 0.4 else ""
    return _capital(text.removesuffix(".") + ending.format_map(names) + ".")


def _features(text: str, names: dict[str, str], rng: np.random.Generator) -> str:
    """Return a list of features in some order, sometimes with the shadows."""
    mark = "; " if ";" in text else ", "
    features = text.split(mark)
    if rng.random() < 0.25:
        features.append("shadows toward the {shadow}".format_map(names))
    first = [] if rng.random() < 0.3 else [features.pop(0)]
    order = rng.permutation(len(features))
    return _capital(mark.join(first + [features[int(i)] for i in order]))


def _caption(text: str, names: dict[str, str], rng: np.random.Generator) -> str:
    """Return a paragraph, sometimes with a sentence about light or size."""
    more = f" {_one_of(rng, _SETTING)}" if rng.random() < 0.4 else ""
    return _capital(text + more.format_map(names))


def _capital(text: str) -> str:
    """Return the text with a capital at the start of each sentence."""
    sentences = re.split(r"(?<=\. )", text)
    return "".join(sentence[:1].upper() + sentence[1:] for sentence in sentences)
