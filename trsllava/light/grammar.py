"""Small slips of the writer: put right where nothing that is said changes, else told.

There is no tagger here. What the writer writes is of its own few words, so a plural is a word that
stands in its vocabulary with and without its ending.
"""

import re
from collections.abc import Iterable

_ARTICLE = re.compile(r"\b([Aa])n?(?= ([a-z]))")
_LIKE_A_CONSONANT = re.compile(r"an? (?:u-|uni|us|one\b|euro)", re.IGNORECASE)
_SPACED_MARK = re.compile(r"^[ ,;]+|[ ,;]+(?=\.)")

_SLIPS = re.compile(
    r"\b(?!(?:again|lots|more|on|round|rows) and\b)([a-z]+) (?:(?:and|or) )?\1\b"
    # What stood between these two was taken out of the texts that the writer learnt from.
    r"|\b(?:an?|the) (?:an?|and|another|are|by|in|is|of|on|or|the|to|with)\b"
    r"|\b(?:is|are) (?:up(?=[,.;]|$)|of (?:its|the(?! same\b))\b)"
    r"|\b(?:lies?|runs?|sits?) (?:are|is)\b"
    r"|\b(?:all|its|of|the|their|these|those|this) several(?=[,.;]|$)"
    r"|\b(?:an?|and|as|at|from|into|its|of|or|than|the|their|with)(?=[,.;]|$)"
    r"|\bthere is (?:a few|lots|many|several)\b"
    r"|\bthere are an?(?! few\b| great many\b|(?: [a-z]+){1,2} of\b) "
)
_WORDS_THAT_JOIN = (
    "a about above across along among an and another are around as at before behind below beside "
    "between beyond but by dozen few for from has have in inside into is it its just like many "
    "more most near no not of off on only onto or out outside over so than that the their then "
    "there these they this those through to towards under where which while whose with without"
)
# Words in "s" that are no plurals, or are oftener what one thing does.
_WORDS_OF_ONE = (
    "athletics bends borders carries connects consists covers crosses crossroads curves cuts "
    "divides faces fills follows forms goes goods holds joins leads leans lies looks makes meets "
    "occupies passes points reaches rises runs seems shows sits spans splits sports spreads "
    "stands stretches surrounds sweeps takes throws touches turns widens winds works"
)
_LOOKS = frozenset(("brown", "flat", "green", "narrow", "shallow"))  # "greens" are seldom meant
_JOINING, _OF_ONE = frozenset(_WORDS_THAT_JOIN.split()), frozenset(_WORDS_OF_ONE.split())


def tidied(text: str, field: str) -> str:
    """Return a text with its articles put right and, in a list, no item twice."""
    if field == "feature":
        items = text.rstrip(".").split(", ")
        seen = {item.lower(): item for item in reversed(items)}
        kept = [item for item in items if seen.pop(item.lower(), None) is not None]
        text = ", ".join(kept) + "."
    return _ARTICLE.sub(_article, _SPACED_MARK.sub("", text))


def _article(found: re.Match[str]) -> str:
    """Return the article that fits the sound of the next word."""
    here = found.string[found.start() : found.start() + 12]
    vowel = found[2] in "aeiou" and not _LIKE_A_CONSONANT.match(here)
    return found[1] + ("n" if vowel else "")


class Grammar:
    """Tells texts with a slip that only another text mends.

    Parameters
    ----------
    words
        All that the writer knows.
    """

    def __init__(self, words: Iterable[str]) -> None:
        known = frozenset(words)
        plurals = {word: _singulars(word) & known for word in known}
        self._plurals = frozenset(w for w, ones in plurals.items() if ones) - _OF_ONE
        self._things = frozenset[str]().union(*plurals.values()) - _LOOKS

    def has_slip(self, text: str) -> bool:
        """Whether a text repeats a word, breaks off, or has one of many things."""
        lower = text.lower()
        return _SLIPS.search(lower) is not None or any(
            self._is_many(found[1]) for found in re.finditer(r"\ban? ([a-z ]+)", lower)
        )

    def _is_many(self, words: str) -> bool:
        """Whether words that follow "a" name many things, as far as words alone can tell."""
        for word in words.split():
            if word in self._plurals:
                return True
            if word in self._things or word in _JOINING:
                return False  # one thing; a word with "s" after it may be what it does
        return False


def _singulars(word: str) -> set[str]:
    """Return what a word may be the plural of, itself not among them."""
    if not word.endswith("s") or word.endswith("ss"):
        return set()
    found = {word[:-1]}
    if word.endswith("ies"):
        found.add(word[:-3] + "y")
    if word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        found.add(word[:-2])
    return found - {""}
