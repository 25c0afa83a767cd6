"""The words that the writer knows, and how they make a text."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

END, FIRST = 0, 1  # the end of a text; the first of the words
_WORD = re.compile(r"[a-z]+|[0-9]+|[.,;:()'-]")
_LEFT = frozenset(".,;:)")  # what stands close to the word before it
_TIGHT = frozenset("-'")  # ... to those on both sides


def split_words(text: str) -> list[str]:
    """Split a text in lower-case words and marks; other characters are lost."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def join_words(words: Iterable[str]) -> str:
    """Write words and marks as a text: a capital after a full stop, no space before a comma."""
    text = ""
    for word in words:
        close = word in _LEFT or word in _TIGHT or text.endswith(("(", *_TIGHT))
        begins = not text or text.endswith((".", ":"))
        text += ("" if close or not text else " ") + (word.capitalize() if begins else word)
    return text


class Vocabulary:
    """Words by number; number 0 is the end of a text.

    Parameters
    ----------
    words
        The words in the order of their numbers, from `FIRST`.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = ("", *words)
        self._numbers = {word: number for number, word in enumerate(self.words) if word}

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read a file that holds a word a line."""
        return cls(path.read_text(encoding="utf-8").split())

    def __len__(self) -> int:
        """Return how many numbers there are, the end included."""
        return len(self.words)

    def numbers(self, text: str) -> list[int] | None:
        """Return a text as numbers, or None if a word of it is not known."""
        found = [self._numbers.get(word) for word in split_words(text)]
        return None if None in found else [number for number in found if number is not None]

    def text(self, numbers: Iterable[int]) -> str:
        """Return numbers as a text."""
        return join_words(self.words[number] for number in numbers)
