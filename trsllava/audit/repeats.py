"""Texts that are equal, or nearly so, found without comparing each with each.

Nearly equal is a Jaccard index of the words, counted as often as they come, of at least 0.9:
of two texts with s words together at most s / 19 may differ. The words of a text are dealt to
seven parts by a digest of each, and the texts sorted by the digests of two parts, then of two
more, in 21 orders for the choices of the first two. Texts that differ in up to four words (two
exchanged) agree in three parts at least, and so come to stand side by side in some of the orders;
of those that differ in more (they have 48 words and more) most do. Neighbours are then compared
word by word.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from trsllava.audit.words import Texts, mixed

_PER_DIFFERENCE = 19  # a Jaccard index of 0.9: (s - d) / (s + d)
_PARTS = 7
_PAIRS_AT_ONCE = 1 << 14
_BASE = np.uint64(0xD6E8FEB86659FD93)  # odd
_HALF, _QUARTER = np.uint64(32), np.uint64(16)

_Indices = NDArray[np.int64]


def group_texts(texts: Texts) -> _Indices:
    """Return a label for each text: the same for texts that are equal or nearly so."""
    keys, parts = _digests(texts)
    _, first, distinct = np.unique(keys, return_index=True, return_inverse=True)
    return _nearly_equal(texts, first, parts[:, first])[distinct.reshape(-1)]


def _digests(texts: Texts) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """Return a digest of each text as it stands, and one of each part whatever its order."""
    lengths = texts.lengths
    powers = np.full(lengths.max(initial=1), _BASE)
    powers[0] = 1
    powers = np.multiply.accumulate(powers)
    keys = np.zeros(len(lengths), np.uint64)
    parts = np.zeros((_PARTS, len(lengths)), np.uint32)
    for span in texts.spans():
        bits = texts.bits(span)
        starts = texts.start[span] - texts.start[span.start]
        place = np.arange(len(bits)) - np.repeat(starts, lengths[span])
        keys[span] = np.add.reduceat(bits * powers[place], starts)
        dealt = bits % np.uint64(_PARTS)
        for part in range(_PARTS):
            alone = np.where(dealt == np.uint64(part), bits, np.uint64(0))
            parts[part, span] = np.add.reduceat(alone, starts) >> _HALF
    return keys ^ mixed(lengths), parts


def _nearly_equal(texts: Texts, at: _Indices, parts: NDArray[np.uint32]) -> _Indices:
    """Return labels of different texts, whose indices are ``at``."""
    labels = np.arange(len(at))
    lengths = texts.lengths[at]
    long = np.flatnonzero(2 * lengths + 1 >= _PER_DIFFERENCE)
    for first, second in combinations(range(_PARTS), 2):
        both = mixed(parts[first, long] * _BASE + parts[second, long]) >> _HALF
        rest = [part % _PARTS for part in range(second + 1, second + _PARTS)]
        third, fourth = [parts[part, long] >> _QUARTER for part in rest if part != first][:2]
        order = np.argsort(both << _HALF | third.astype(np.uint64) << _QUARTER | fourth)
        both, ordered = both[order], long[order]
        for gap in (1, 2):
            left, right = ordered[:-gap], ordered[gap:]
            most = (lengths[left] + lengths[right]) // _PER_DIFFERENCE
            near = both[:-gap] == both[gap:]
            near &= labels[left] != labels[right]
            near &= (parts[:, left] != parts[:, right]).sum(axis=0) <= most
            left, right, most = left[near], right[near], most[near]
            close = _differences(texts, at[left], at[right]) <= most
            _unite(labels, left[close], right[close])
    return labels


def _differences(texts: Texts, left: _Indices, right: _Indices) -> _Indices:
    """Return how many words two texts do not share, for each pair."""
    found = np.zeros(len(left), np.int64)
    for begin in range(0, len(left), _PAIRS_AT_ONCE):
        chunk = slice(begin, begin + _PAIRS_AT_ONCE)
        pairs = np.arange(len(left[chunk])).astype(np.uint64) << _HALF
        sides = [_with_words(texts, side[chunk], pairs) for side in (left, right)]
        words = np.concatenate(sides)
        sign = np.repeat([1, -1], [len(side) for side in sides])
        order = np.argsort(words)
        words, sign = words[order], sign[order]
        new = np.flatnonzero(np.diff(words, prepend=words[0] + np.uint64(1)))
        more = abs(np.add.reduceat(sign, new))
        pair = (words[new] >> _HALF).astype(np.int64)
        found[chunk] = np.bincount(pair, more, len(pairs)).astype(np.int64)
    return found


def _with_words(texts: Texts, at: _Indices, marks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the words of some texts, each with its text's mark."""
    lengths = texts.lengths[at]
    ends = np.cumsum(lengths)
    places = np.arange(ends[-1]) + np.repeat(texts.start[at] - (ends - lengths), lengths)
    words: NDArray[np.uint64] = texts.words[places].astype(np.uint64)
    return words | np.repeat(marks, lengths)


def _unite(labels: _Indices, left: _Indices, right: _Indices) -> None:
    """Give each pair one label, the lower of the two, and all that had the other."""
    while True:
        ours, theirs = labels[left], labels[right]
        apart = ours != theirs
        if not apart.any():
            return
        low, high = np.minimum(ours, theirs)[apart], np.maximum(ours, theirs)[apart]
        np.minimum.at(labels, high, low)
        while (labels != labels[labels]).any():
            labels[:] = labels[labels]
