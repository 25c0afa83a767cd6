"""Which texts stand in a training text word for word, or nearly so.

Nearly is a Jaccard index of the sets of words above `NEAR`. Two such sets of n and m words share
more than `NEAR` of the larger, so they share one of the few rarest words of each (prefix
filtering); only texts that do are compared.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from math import ceil

NEAR = 0.8
_NO_WORD = re.compile(r"[^a-z0-9]+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@cache
def normalised(text: str) -> str:
    """Return a text in lower case, with one space for what is neither letter nor digit."""
    return _NO_WORD.sub(" ", text.lower()).strip()


def sentences(text: str) -> list[str]:
    """Return the sentences of a text."""
    return [sentence for sentence in _SENTENCE.split(text) if normalised(sentence)]


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    """Return the size of what two sets share by the size of both together."""
    return len(left & right) / max(1, len(left | right))


class Known:
    """Training texts, and the question whether a text is one of them or nearly so."""

    def __init__(self, texts: Iterable[str]) -> None:
        distinct = {normalised(text) for text in texts} - {""}
        self._sentences = {normalised(part) for text in texts for part in sentences(text)}
        self._texts = distinct
        self._sets = sorted({frozenset(text.split()) for text in distinct}, key=sorted)
        self._counts = Counter(word for words in self._sets for word in words)
        self._holding: dict[str, list[int]] = defaultdict(list)
        for number, words in enumerate(self._sets):
            for word in self._rarest(words):
                self._holding[word].append(number)
        self._near: dict[str, bool] = {}

    def __len__(self) -> int:
        """Return the number of distinct texts."""
        return len(self._texts)

    def verbatim(self, text: str) -> bool:
        """Say whether a text is one of the texts."""
        return normalised(text) in self._texts

    def sentence(self, text: str) -> bool:
        """Say whether a sentence is a sentence of the texts."""
        return normalised(text) in self._sentences

    def near(self, text: str) -> bool:
        """Say whether a text is one of the texts or has nearly the words of one."""
        key = normalised(text)
        if key not in self._near:
            self._near[key] = key in self._texts or self._has_near(frozenset(key.split()))
        return self._near[key]

    def _has_near(self, words: frozenset[str]) -> bool:
        seen: set[int] = set()
        for word in self._rarest(words):
            for number in self._holding.get(word, ()):
                other = self._sets[number]
                if number in seen or min(len(other), len(words)) <= NEAR * max(
                    len(other), len(words)
                ):
                    continue
                seen.add(number)
                if jaccard(words, other) > NEAR:
                    return True
        return False

    def _rarest(self, words: frozenset[str]) -> list[str]:
        """Return so many of the rarest words that a near set must have one of them too."""
        ordered = sorted(words, key=lambda word: (self._counts[word], word))
        # The 1e-9 keeps 0.8 * 5 = 4.000000000000001 from costing a word.
        return ordered[: len(words) - ceil(NEAR * len(words) - 1e-9) + 1]
