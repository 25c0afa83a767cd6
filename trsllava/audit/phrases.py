"""Phrases of five and more words that very many pictures share, as "the image does not contain".

How many pictures hold each five words is counted in a table of fixed size, by digest. Two phrases
that meet in one place of it are counted as one, which adds next to nothing to the share of all
pictures that makes a phrase stock.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trsllava.audit.words import Texts, mixed

FEWEST = 5  # pictures that share a stock phrase
_SHARE = 0.02  # of all pictures, at least
_WORDS = 5
_LONGEST = 8  # words of a phrase that is shown
_LARGEST_TABLE = 24  # bits
_BASE = np.uint64(0xD6E8FEB86659FD93)  # odd


class Stock(NamedTuple):
    """What share of a record's words is stock, its commonest phrase, and how many pictures have it.

    Each is an array with one entry a record; ``begin`` and ``end`` are the phrase's words.
    """

    share: NDArray[np.float64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    pictures: NDArray[np.int64]


def stock_phrases(texts: Texts, leave_out: NDArray[np.bool_]) -> Stock:
    """Return how much of each record is made of stock phrases.

    Parameters
    ----------
    texts
        The texts of all records.
    leave_out
        The texts in which no phrase is stock; their words still are words of the record.

    Returns
    -------
    Stock
        One entry a record; of a record without stock phrases all are 0.
    """
    records = len(texts.images)
    found = Stock(np.zeros(records), *(np.zeros(records, np.int64) for _ in range(3)))
    bits = min(_LARGEST_TABLE, len(texts.words).bit_length() + 3)
    counts = _counted(texts, bits)
    enough = max(FEWEST, _SHARE * len(np.unique(texts.picture)))
    for span in texts.spans():
        lengths, owners = texts.lengths[span], texts.owner[span]
        starts, places = _phrases(texts, span, bits)
        shared = np.zeros(lengths.sum() + _LONGEST, np.int64)
        shared[starts] = counts[places]
        shared[:-_LONGEST][np.repeat(leave_out[span], lengths)] = 0
        shared[shared < enough] = 0
        covered = (shared > 0)[:-_LONGEST]
        for step in range(1, _WORDS):
            covered[step:] |= shared[: -_LONGEST - step] > 0
        of = np.repeat(owners, lengths)
        first = np.flatnonzero(np.diff(of, prepend=-1))
        ids = of[first]
        sizes = np.diff(first, append=len(of))
        found.share[ids] = np.add.reduceat(covered, first, dtype=np.int64) / sizes
        most = np.maximum.reduceat(shared[:-_LONGEST], first)
        at = np.where(shared[:-_LONGEST] == np.repeat(most, sizes), np.arange(len(of)), len(of))
        at = np.minimum.reduceat(at, first)
        length, goes_on = np.full(len(at), _WORDS), most > 0
        for step in range(1, _LONGEST - _WORDS + 1):
            goes_on &= shared[at + step] >= 0.9 * most
            length += goes_on
        found.begin[ids] = at + texts.start[span.start]
        found.end[ids] = found.begin[ids] + length
        found.pictures[ids] = most
    return found


def _counted(texts: Texts, bits: int) -> NDArray[np.uint32]:
    """Count the pictures that hold each phrase; equal bytes count once."""
    counts = np.zeros(1 << bits, np.uint32)
    new = np.zeros(len(texts.images), bool)
    new[np.unique(texts.picture, return_index=True)[1]] = True
    for span in texts.spans():
        starts, places = _phrases(texts, span, bits)
        of = np.repeat(texts.owner[span], texts.lengths[span])[starts]
        of, places = of[new[of]], places[new[of]]
        once = np.unique(of.astype(np.uint64) << np.uint64(bits) | places)
        np.add.at(counts, once & np.uint64((1 << bits) - 1), np.uint32(1))
    return counts


def _phrases(texts: Texts, span: slice, bits: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return where each phrase of a span begins, from the span's first word, and its place."""
    words = texts.bits(span)
    ends = np.repeat(texts.start[span] + texts.lengths[span], texts.lengths[span])
    left = ends - texts.start[span.start] - np.arange(len(words))  # words to the text's end
    starts = np.flatnonzero(left >= _WORDS)
    digest = np.zeros(len(starts), np.uint64)
    for step in range(_WORDS):
        digest = digest * _BASE + words[starts + step]
    return starts, mixed(digest) >> np.uint64(64 - bits)
