"""Whether a text was learnt by heart, told without keeping a single text.

A Bloom filter (Bloom, 1970) of one-way digests of the sets of words of people's captions, of these
sets less one word, and of the texts of our records: no caption can be read out of it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[a-z0-9]+")
BITS = 20  # for each digest, of which `_PROBES` are set: one wrong yes in 15,000
_PROBES = 14


class Learnt:
    """Knows the texts that were learnt from, near ones too: a word more, less or other.

    Parameters
    ----------
    bits
        Of the filter, uint8 of any length.
    """

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self._bits = bits

    @classmethod
    def of(cls, texts: Iterable[str], also: Iterable[str] = ()) -> "Learnt":
        """Make the filter of some texts, and of others that are known only as they are."""
        sets = {_words(text) for text in texts}
        keys = {_key(words) for words in sets} | {key for words in sets for key in _less_one(words)}
        keys |= {_key(_words(text)) for text in also}
        bits = np.zeros(-(-len(keys) * BITS // 8), np.uint8)
        for key in keys:
            for place in _places(key, 8 * len(bits)):
                bits[place // 8] |= 1 << place % 8
        return cls(bits)

    @classmethod
    def load(cls, path: Path) -> "Learnt":
        """Read a file that `save` wrote."""
        return cls(np.frombuffer(path.read_bytes(), np.uint8))

    def save(self, path: Path) -> None:
        """Write the filter's bits."""
        path.write_bytes(self._bits.tobytes())

    def has(self, text: str) -> bool:
        """Say whether a text has the words of one that was learnt from, but for one at most."""
        words = _words(text)
        parts = [_key(words - {word}) for word in words]
        keys = [_key(words), f"-{_key(words)}", *parts, *(f"-{part}" for part in parts)]
        return any(map(self._holds, keys))

    def _holds(self, key: str) -> bool:
        return all(
            self._bits[place // 8] >> place % 8 & 1 for place in _places(key, 8 * len(self._bits))
        )


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def _key(words: frozenset[str]) -> str:
    return " ".join(sorted(words))


def _less_one(words: frozenset[str]) -> Iterator[str]:
    """Yield the keys of a set's parts that lack a word; they are told from whole sets."""
    for word in words:
        yield f"-{_key(words - {word})}"


def _places(key: str, size: int) -> Iterator[int]:
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    start, step = (int.from_bytes(part, "little") for part in (digest[:8], digest[8:]))
    return ((start + n * step) % size for n in range(_PROBES))
