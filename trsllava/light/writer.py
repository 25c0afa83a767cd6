"""Writing texts about what the eye sees, word by word, the same ones every time."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trsllava import resources
from trsllava.embedding.shipped import intact, read_manifest, session
from trsllava.light.eye import FOLDER
from trsllava.light.grammar import tidied
from trsllava.light.vocabulary import END, Vocabulary
from trsllava.records import FIELDS, canonical_json

SLOTS = 15  # the texts of a record: variant times three plus field
TOP_P = 0.9
_SEED = 4
_SHORT = 3  # letters of the longest words that only join others, such as "and"
_SHRINK = 0.75  # ended texts are dropped from a batch when fewer than this share go on


class Draft(NamedTuple):
    """A text for a slot and its mean log probability a word."""

    slot: int
    text: str
    sureness: float


class Writer:
    """The small decoder that ships, one picture at a time on one core."""

    def __init__(self) -> None:
        self._folder = resources.find(FOLDER)
        self._manifest = read_manifest(self._folder)

    def drafts(
        self, memory: NDArray[np.float32], counts: Sequence[int], temperature: float
    ) -> list[Draft]:
        """Write drafts of every text about one picture.

        Parameters
        ----------
        memory
            What the eye keeps of the picture, one row of `Sight.memory`.
        counts
            How many for each of the `SLOTS`; equal ones are given once.
        temperature
            How freely it writes; a slot's first draft takes the likeliest word always.

        Returns
        -------
        list[Draft]
            Slot by slot.
        """
        slots = np.repeat(np.arange(SLOTS), counts)
        greedy = np.diff(slots, prepend=-1) > 0
        chance = np.random.default_rng(_SEED).random((self._longest, len(slots)))
        depth, heads, part = self._manifest["own"]
        own = np.zeros((depth, len(slots), heads, 0, part), np.float32)
        word = len(self.vocabulary) + slots
        texts: list[list[int]] = [[] for _ in slots]
        sureness = np.zeros(len(slots))
        going = np.arange(len(slots))  # the texts that the rows of the batch are
        ended = np.zeros(len(slots), bool)
        for step in range(self._longest - 1):
            scores, own = self._session.run(None, {"word": word, "own": own, "memory": memory})
            _forbid_repeats(scores, [texts[n] for n in going], self._full)
            word = np.where(
                greedy[going],
                scores.argmax(axis=1),
                _sample(scores / temperature, chance[step, going]),
            )
            for row, n in enumerate(going.tolist()):
                if ended[n]:
                    continue
                sureness[n] += scores[row, word[row]]
                if word[row] == END:
                    ended[n] = True
                else:
                    texts[n].append(int(word[row]))
            if ended.all():
                break
            on = ~ended[going]
            if on.sum() < _SHRINK * len(going):
                going, word, own = going[on], word[on], np.ascontiguousarray(own[:, on])
        lengths = np.array([len(text) + 1 for text in texts])
        found: dict[tuple[int, str], Draft] = {}
        for n, slot in enumerate(slots.tolist()):
            if ended[n] and texts[n]:
                text = tidied(self.vocabulary.text(texts[n]), FIELDS[slot % len(FIELDS)])
                draft = Draft(slot, text, float(sureness[n] / lengths[n]))
                found.setdefault((slot, text), draft)
        return list(found.values())

    @property
    def revision(self) -> str:
        """A short digest of all that was trained."""
        files = sorted(self._manifest["sha256"].items())
        return hashlib.sha256(canonical_json(dict(files))).hexdigest()[:16]

    @property
    def _longest(self) -> int:
        return int(self._manifest["longest"])

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words that it knows."""
        return Vocabulary.load(intact(self._folder, "words.txt"))

    @cached_property
    def _full(self) -> NDArray[np.bool_]:
        return np.array([len(word) > _SHORT for word in self.vocabulary.words])

    @cached_property
    def _session(self) -> Any:
        return session(self._folder, "writer.onnx")


def _sample(scores: NDArray[np.float32], chance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw a word for each row from the likeliest that together have `TOP_P`."""
    best = np.argpartition(-scores, 50, axis=1)[:, :50]
    found = np.take_along_axis(scores, best, 1)
    order = np.argsort(-found, axis=1, kind="stable")
    best, found = np.take_along_axis(best, order, 1), np.take_along_axis(found, order, 1)
    share = np.exp(found - found[:, :1])
    share /= share.sum(axis=1, keepdims=True)
    before = np.cumsum(share, axis=1) - share
    share[before >= TOP_P] = 0
    edges = np.cumsum(share, axis=1) / share.sum(axis=1, keepdims=True)
    return np.asarray(best[np.arange(len(best)), (edges < chance[:, None]).sum(axis=1)])


def _forbid_repeats(
    scores: NDArray[np.float32], texts: Sequence[list[int]], full: NDArray[np.bool_]
) -> None:
    """Forbid words that would repeat what a text has said, in place.

    Parameters
    ----------
    scores
        Of each word, (texts, words).
    texts
        What is written so far.
    full
        Which words carry meaning, (words,): two of these, and any three, may follow each other
        once in a text, and none follows itself.
    """
    for row, text in enumerate(texts):
        if not text:
            continue
        last = text[-1]
        scores[row, last] = -np.inf
        for at in range(len(text) - 1):
            if text[at] != last:
                continue
            twice = at > 0 and text[at - 1] == text[-2]
            if twice or (full[last] and full[text[at + 1]]):
                scores[row, text[at + 1]] = -np.inf
