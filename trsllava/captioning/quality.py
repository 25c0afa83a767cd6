"""The checks that every record a model writes must pass, in one place.

Each is made to leave good records alone: what it cannot tell for sure it lets pass.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from trsllava.captioning.languages import in_other_script, other_language
from trsllava.captioning.prompts import Prompt
from trsllava.captioning.replies import Reading
from trsllava.captioning.schema import LONGEST
from trsllava.records import FIELDS, VARIANTS, Variant
from trsllava.untrusted import printable

# A server may ignore the schema's limits; beyond twice of them nothing sensible was written.
_TOO_LONG = {name: 2 * longest for name, longest in LONGEST.items()}
# Weak models repeat a list of features; this many of the five may share a text.
_SHARED = 3
_CLAUSE_WORDS = 6
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_RUN = re.compile(r"([^\s\d])\1{9}")
_PERCENT = re.compile(r"\d\s*[%\uff05\u066a]|\bper\s?cent\b|\bpercentage", re.IGNORECASE)
_REFUSAL = re.compile(
    r"\bI(?:['\u2019]m| am) (?:very |so |truly )?(?:sorry|unable|not able)\b"
    r"|\bI (?:can(?:not|['\u2019]t)|could(?: not|n['\u2019]t)|do(?: not|n['\u2019]t)) "
    r"(?:\w+ )?(?:help|assist|access|process|analy[sz]e|describe|provide|fulfil+|comply"
    r"|(?:see|view) (?:\w+ )?(?:image|picture|photo|attachment))"
    r"|\bI (?:must |have to )?apologi[sz]e\b|\bas an AI\b|\bmy apologies\b"
    r"|\bno (?:image|picture|photo)\w* (?:was|were|is|has been) "
    r"(?:provided|attached|given|shared|uploaded|included|supplied)"
    r"|\b(?:please|kindly) (?:provide|upload|share|attach|send)\b"
    r"|es tut mir leid|je suis d\u00e9sol\u00e9|lo siento|mi dispiace|desculpe|\u62b1\u6b49"
    r"|\u5bf9\u4e0d\u8d77|\u7533\u3057\u8a33|\u0438\u0437\u0432\u0438\u043d\u0438\u0442\u0435",
    re.IGNORECASE,
)
_MARK = re.compile(
    r"</?(?:think|thinking|thought|reasoning)>|\[/?THINK\]|<\|\w+\|?>|```|\"?one_sentence\"?\s*:",
    re.IGNORECASE,
)
# Alone they are what a form is filled with, not what a picture shows.
_PLACEHOLDERS = frozenset(
    {"string", "text", "none", "null", "unknown", "n/a", "todo", "one_sentence", "feature",
     "features", "caption"}
)  # fmt: skip
_CAPITALS = re.compile(r"(?<![\w.'\u2019-])[A-Z][a-z\u00df-\u00ff]{2,}(?:['\u2019-]\w+)*")
_LANGUAGES_WITH_NAMES = (None, "en", "es", "fr", "it", "pt")  # German writes every noun so
# After these a sentence begins, or words are quoted that may stand in the picture.
_BEGINS = ".!?:;\u2026-\"'(\u201c\u2018\u00ab"
# Capitalised by habit: directions, and what tells a style or a kind.
_NO_NAMES = re.compile(
    r"(?:(?:north|south|east|west)-?(?:east|west)?(?:ern)?|cent(?:re|er)|central|upper|lower|left"
    r"|right|top|bottom|middle|roman|greek|gothic|art|deco|olympic|victorian|mediterranean"
    r"|european|asian|chinese|japanese|spanish|english|american|arabic|latin|christmas)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Objection:
    """What is wrong with a record: one word, and a sentence that the model is told too."""

    reason: str
    detail: str


def is_refusal(text: str) -> bool:
    """Say whether a text refuses, apologises, or asks for the picture."""
    return _REFUSAL.search(text) is not None


def objection(
    reading: Reading, prompt: Prompt, asked: str, language: str | None
) -> Objection | None:
    """Return the first thing that is wrong with five full variants, or None.

    Parameters
    ----------
    reading
        The five, as read from a reply.
    prompt
        What it was asked; ``forbids`` says which checks apply.
    asked
        All of the words that it may have echoed.
    language
        What the texts must be in, or None.

    Returns
    -------
    Objection | None
        The reason and a sentence with the place. The reason ``places`` is a guess.
    """
    if reading.garbled:
        return Objection("garbled", "a text holds broken characters")
    variants = reading.variants
    clauses = _clauses(asked)
    places = None
    for where, name, text in _placed(variants):
        for found in (
            loop(text[: _TOO_LONG[name]]),
            _unfit(text, _TOO_LONG[name]),
            _echo(text, clauses),
            _language(text, language),
            _forbidden(text, prompt),
        ):
            if found is not None:
                return Objection(found.reason, f"{where} {found.detail}")
        if "places" in prompt.forbids and language in _LANGUAGES_WITH_NAMES and not places:
            names = place_names(text)
            if names:
                quoted = printable(", ".join(names)[:60])
                places = Objection("places", f"{where} seems to name a place or person: {quoted}")
    return _repeated(variants) or _mixed_language(variants, language) or places


def place_names(text: str) -> list[str]:
    """Return the words that look like names: capitalised, and not where a sentence begins."""
    found = []
    for match in _CAPITALS.finditer(text):
        before = text[: match.start()].rstrip()
        if before and before[-1] not in _BEGINS and not _NO_NAMES.match(match[0]):
            found.append(match[0])
    return found


def _placed(variants: tuple[Variant, ...]) -> Iterator[tuple[str, str, str]]:
    for number, variant in enumerate(variants, start=1):
        for name, text in zip(FIELDS, variant.texts(), strict=True):
            yield f"variant {number}: {name}", name, text


def _unfit(text: str, longest: int) -> Objection | None:
    if not any(map(str.isalnum, text)):
        return Objection("empty_text", "holds no words")
    if len(text) > longest:
        return Objection("long", f"has {len(text)} characters, more than {longest}")
    if mark := _MARK.search(text):
        return Objection("garbled", f"holds the mark {printable(mark[0])}")
    if is_refusal(text):
        return Objection("refused", "refuses or apologises instead of describing the image")
    return None


@lru_cache(maxsize=8)
def _clauses(asked: str) -> tuple[str, ...]:
    """Return the clauses of a prompt that nobody writes by chance."""
    flat = " ".join(asked.split()).casefold()
    parts = (part.strip() for part in re.split(r"[.:;()\"{}\[\]]", flat))
    return tuple({part for part in parts if len(_WORD.findall(part)) >= _CLAUSE_WORDS})


def _echo(text: str, clauses: tuple[str, ...]) -> Objection | None:
    folded = text.casefold()
    if folded.strip("<>[]{}\"'. ") in _PLACEHOLDERS:
        return Objection("echo", f"is a placeholder: {printable(text)}")
    if any(clause in folded for clause in clauses):
        return Objection("echo", "repeats the words of the task instead of describing the image")
    return None


def loop(text: str) -> Objection | None:
    """Find a phrase of up to twenty words that comes three times in a row."""
    if _RUN.search(text):
        return Objection("loop", "repeats one character")
    words = _WORD.findall(text.casefold())
    if max(Counter(words).values(), default=0) < 3:
        return None
    for period in range(1, min(20, len(words) // 3) + 1):
        equal = 0
        for at in range(period, len(words)):
            equal = equal + 1 if words[at] == words[at - period] else 0
            if equal >= 2 * period:
                phrase = " ".join(words[at - period + 1 : at + 1])
                return Objection("loop", f"repeats the same words: {printable(phrase[:60])}")
    return _dense(words)


def _dense(words: list[str]) -> Objection | None:
    """Find a text most of whose four-word phrases it has said before."""
    phrases = Counter(zip(words, words[1:], words[2:], words[3:], strict=False))
    if len(words) >= 24 and len(phrases) < (len(words) - 3) / 2:
        phrase = " ".join(phrases.most_common(1)[0][0])
        return Objection("loop", f"says the same again and again: {printable(phrase[:60])}")
    return None


def _language(text: str, language: str | None) -> Objection | None:
    if language is not None and in_other_script(text, language):
        return Objection("language", f"is not written in the language {language!r}")
    return None


def _mixed_language(variants: tuple[Variant, ...], language: str | None) -> Objection | None:
    if language is None:
        return None
    for number, variant in enumerate(variants, start=1):
        other = other_language(" ".join(variant.texts()), language)
        if other is not None:
            return Objection(
                "language",
                f"variant {number} is in the language {other!r}, not in {language!r}",
            )
    return None


def _forbidden(text: str, prompt: Prompt) -> Objection | None:
    if "percentages" in prompt.forbids and _PERCENT.search(text):
        return Objection("percentages", "gives a percentage, which cannot be seen")
    return None


def _repeated(variants: tuple[Variant, ...]) -> Objection | None:
    texts = [tuple(map(str.casefold, v.texts())) for v in variants]
    for (first, one), (second, other) in combinations(enumerate(texts, start=1), 2):
        if one == other:
            return Objection("repeated", f"variants {first} and {second} are the same")
    for number, (one_sentence, feature, caption) in enumerate(texts, start=1):
        if one_sentence == feature == caption:
            return Objection("repeated", f"variant {number} says one thing in all three texts")
    for name, column in zip(FIELDS, zip(*texts, strict=True), strict=True):
        count = Counter(column).most_common(1)[0][1]
        if count > _SHARED:
            return Objection(
                "repeated", f"{count} of {VARIANTS} variants have the same text {name}"
            )
    return None
