"""The texts of records as arrays of numbers, one a word.

Of 100,000 full records some 35 million words come. They go to a temporary file, four bytes each,
which the system reads back as it is needed; what stays in memory is a few numbers a text.
"""

import re
import tempfile
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError
from trsllava.records import Record

# Scripts without spaces count by the character.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_KNOWN = 1 << 20  # words that get a number of their own; a hostile archive may hold more
_AT_ONCE = 1 << 19  # words
_PRIME = np.uint64(0x9E3779B97F4A7C15)


class Vocabulary(dict[str, int]):
    """The number of each word, given as words come."""

    def __missing__(self, word: str) -> int:
        """Number a new word; beyond the limit by a digest, which another may share."""
        if len(self) < _KNOWN:
            number = self[word] = len(self)
            return number
        return _KNOWN + zlib.crc32(word.encode("utf-8", "replace")) % (2**32 - _KNOWN)


@dataclass(frozen=True, slots=True)
class Texts:
    """All texts that hold a word, in the order of the records.

    ``owner`` is the record of each text; its words stand in ``words`` from ``start`` (one more
    than there are texts) on. ``picture`` is that of each record: images of equal bytes are one.
    ``known`` are the words that have a number, ``digests`` one of each, whatever its number.
    """

    images: list[str]
    picture: NDArray[np.int64]
    owner: NDArray[np.int64]
    start: NDArray[np.int64]
    words: NDArray[np.uint32]
    known: list[str]
    digests: NDArray[np.uint64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many words each text has."""
        return np.diff(self.start)

    def spans(self) -> Iterator[slice]:
        """Yield ranges of texts that hold whole records and some half a million words."""
        first = np.flatnonzero(np.diff(self.owner, prepend=-1))
        bounds = np.append(first, len(self.owner))
        reached = self.start[bounds]
        at = 0
        while at < len(bounds) - 1:
            last = int(np.searchsorted(reached, reached[at] + _AT_ONCE, "right")) - 1
            end = max(at + 1, last)
            yield slice(int(bounds[at]), int(bounds[end]))
            at = end

    def bits(self, texts: slice) -> NDArray[np.uint64]:
        """Return 64 bits for each word of a range of texts."""
        words = np.asarray(self.words[self.start[texts.start] : self.start[texts.stop]])
        known = words < len(self.known)
        if known.all():
            return self.digests[words]
        return np.where(known, self.digests[np.where(known, words, 0)], mixed(words))

    def spelled(self, numbers: Iterable[int]) -> str:
        """Return words by their numbers; dots stand for those without one of their own."""
        return " ".join(self.known[n] if n < len(self.known) else "..." for n in numbers)


def mixed(numbers: NDArray[Any]) -> NDArray[np.uint64]:
    """Spread numbers over 64 bits, always alike (the finaliser of splitmix64)."""
    bits = numbers.astype(np.uint64) + _PRIME
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def read_texts(records: Iterable[Record], same: Mapping[str, str]) -> Texts:
    """Take the texts of records apart, in lower case and without punctuation.

    Parameters
    ----------
    records
        Gone through once.
    same
        Images whose bytes equal those of an earlier one, and that one.

    Returns
    -------
    Texts
        Their words.

    Raises
    ------
    InputError
        If there is no room for the temporary file.
    """
    vocabulary = Vocabulary()
    number = vocabulary.__getitem__
    images: list[str] = []
    pictures: dict[str, int] = {}
    picture, owner, lengths, words = array("q"), array("q"), array("q"), array("I")
    with tempfile.TemporaryFile(prefix="trsllava-audit-") as file:
        for record in records:
            first = same.get(record.image, record.image)
            picture.append(pictures.setdefault(first, len(pictures)))
            for text in record.texts():
                found = _WORD.findall(text.text.casefold())
                if found:
                    words.extend(map(number, found))
                    owner.append(len(images))
                    lengths.append(len(found))
            images.append(record.image)
            if len(words) >= _AT_ONCE:
                _append(file, words)
        _append(file, words)
        total = sum(lengths)
        stored: NDArray[np.uint32] = (
            np.memmap(file, np.uint32, "r", shape=(total,)) if total else np.zeros(0, np.uint32)
        )
    return Texts(
        images,
        np.array(picture, np.int64),
        np.array(owner, np.int64),
        np.concatenate([[0], np.cumsum(np.array(lengths, np.int64))]).astype(np.int64),
        stored,
        list(vocabulary),
        np.fromiter(map(_digest, vocabulary), np.uint64, len(vocabulary)),
    )


def _digest(word: str) -> int:
    return int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def _append(file: BinaryIO, words: "array[int]") -> None:
    """Move words to the file."""
    try:
        words.tofile(file)
        file.flush()
    except OSError as error:
        raise InputError(
            f"an audit keeps words in {tempfile.gettempdir()}: {error.strerror or error}; set "
            "TMPDIR to a folder with more room"
        ) from error
    del words[:]
