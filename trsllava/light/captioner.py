"""The captioner that ships: many drafts, of which those are kept that fit the picture best."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava import resources
from trsllava.captioning.captioner import Captioned, Failed, Outcome, Prepared
from trsllava.captioning.prompts import Prompt, load_prompt
from trsllava.captioning.quality import loop, objection
from trsllava.captioning.replies import Reading
from trsllava.embedding.bundled import BundledEmbedder, unit, usable_cores
from trsllava.embedding.shipped import intact
from trsllava.light.eye import FOLDER, Eye
from trsllava.light.grammar import Grammar
from trsllava.light.learnt import Learnt
from trsllava.light.unplaced import unplaced
from trsllava.light.writer import SLOTS, Draft, Writer
from trsllava.records import FIELDS, Variant

DRAFTS = 3  # for each text
MORE_DRAFTS = 12  # where none of these says more than what was learnt by heart
_CALM, _FREE = 0.7, 1.0  # the temperatures that the first and the further ones are written at
_CHOICE = 3  # the version of how drafts are cleaned and chosen
_ALIKE = 0.6  # the share of words from which on two texts say the same
_REPETITION = 0.3  # what a text loses by saying what one before it said
# ... and by repeating what was learnt from: the least that keeps such short sentences below a
# tenth (docs/builtin.md); a longer text that was learnt is never said.
_BY_HEART, _NEVER = 0.13, 9.0
_SURENESS = 0.05  # what a nat a word counts beside the cosine with the picture
_LETTERS = re.compile(r"[a-z]+")


class BuiltinCaptioner:
    """A small model trained on RSICD and painted scenes: offline, without torch, on any processor.

    Far below a large VLM. Pictures are looked at one by one on a core each, so a record depends
    on its picture alone.

    Parameters
    ----------
    concurrency
        Pictures at a time; by default as many as cores that this process may use.
    """

    def __init__(self, *, concurrency: int | None = None) -> None:
        self._threads = concurrency or usable_cores()
        self._eye = Eye(threads=1)
        self._writer = Writer()

    def identity(self) -> Mapping[str, Any]:
        """Return the model, its revision and how it chooses."""
        return {
            "captioner": "builtin",
            "model": self._eye.identity()["name"],
            "revision": self._writer.revision,
            "drafts": [DRAFTS, MORE_DRAFTS],
            "choice": _CHOICE,
        }

    def caption(self, images: Iterable[Prepared]) -> Iterator[Outcome]:
        """Look at pictures, a core each; outcomes come in the order of the pictures."""
        waiting = iter(images)
        with ThreadPoolExecutor(self._threads) as pool:
            begun: list[Future[Outcome]] = []
            try:
                while True:
                    for prepared in islice(waiting, 2 * self._threads - len(begun)):
                        begun.append(pool.submit(self._look, prepared))
                    if not begun:
                        return
                    yield begun.pop(0).result()
            finally:
                for future in begun:
                    future.cancel()

    def _look(self, prepared: Prepared) -> Outcome:
        sight = self._eye.see([prepared.pixels])
        texts = self._texts(sight.memory[0], sight.vectors[0])
        if len(texts) < SLOTS:
            return Failed(prepared.image, "incomplete", "the builtin captioner found no words")
        variants = tuple(Variant(*texts[n : n + len(FIELDS)]) for n in range(0, SLOTS, len(FIELDS)))
        wrong = objection(Reading(variants), self._prompt, "", self._prompt.language)
        if wrong is not None:
            return Failed(prepared.image, wrong.reason, wrong.detail, raw="\n".join(texts))
        return Captioned(prepared.image, variants)

    def _texts(self, memory: NDArray[np.float32], picture: NDArray[np.float32]) -> list[str]:
        """Write and choose; a slot that has nothing new to say is given more drafts, then all."""
        drafts = self._drafts(memory, [DRAFTS] * SLOTS, _CALM)
        new = {draft.slot for draft in drafts if not self._learnt.has(draft.text)}
        if len(new) < SLOTS:
            counts = [0 if slot in new else MORE_DRAFTS for slot in range(SLOTS)]
            drafts += self._drafts(memory, counts, _FREE)
        chosen = self._choose(drafts, picture)
        if len(chosen) < SLOTS:
            drafts += self._drafts(memory, [MORE_DRAFTS] * SLOTS, _FREE)
            chosen = self._choose(drafts, picture)
        return chosen

    def _drafts(
        self, memory: NDArray[np.float32], counts: Sequence[int], temperature: float
    ) -> list[Draft]:
        return sound(self._writer.drafts(memory, counts, temperature), self._grammar)

    def _choose(self, drafts: Sequence[Draft], picture: NDArray[np.float32]) -> list[str]:
        if not drafts:
            return []
        vectors = self._encoder.encode([draft.text for draft in drafts])
        agreement = np.asarray(unit(vectors - self._eye.text_mean) @ picture)
        return choose(drafts, agreement, [self._learnt.has(draft.text) for draft in drafts])

    @cached_property
    def _prompt(self) -> Prompt:
        return load_prompt("rsrt")

    @cached_property
    def _learnt(self) -> Learnt:
        return Learnt.load(intact(resources.find(FOLDER), "learnt.bin"))

    @cached_property
    def _grammar(self) -> Grammar:
        return Grammar(self._writer.vocabulary.words)

    @cached_property
    def _encoder(self) -> BundledEmbedder:
        return BundledEmbedder(threads=1)


def sound(drafts: Sequence[Draft], grammar: Grammar) -> list[Draft]:
    """Return drafts without counts and places; those of which nothing sound is left are dropped."""
    found = []
    for draft in drafts:
        text = unplaced(draft.text, FIELDS[draft.slot % len(FIELDS)])
        if text is not None and loop(text) is None and not grammar.has_slip(text):
            found.append(draft._replace(text=text))
    return found


def choose(
    drafts: Sequence[Draft], agreement: NDArray[np.float32], by_heart: Sequence[bool]
) -> list[str]:
    """Choose a text for every slot.

    Parameters
    ----------
    drafts
        Several for each slot.
    agreement
        Of each draft with the picture, (drafts,).
    by_heart
        Whether each draft (nearly) repeats a text that was learnt from.

    Returns
    -------
    list[str]
        One text a slot, in their order: the draft that agrees best and is likely, and neither
        says again what a text before it said nor what was learnt by heart; shorter where a field
        has too few drafts.
    """
    chosen: list[str] = []
    said: list[frozenset[str]] = []
    for slot in range(SLOTS):
        best: tuple[float, str, frozenset[str]] | None = None
        for n in _unused(drafts, slot, chosen):
            words = frozenset(_LETTERS.findall(drafts[n].text.lower()))
            again = any(len(words & w) >= _ALIKE * len(words | w) for w in said)
            value = float(agreement[n]) + _SURENESS * drafts[n].sureness
            value -= _REPETITION * again
            if by_heart[n]:
                value -= _BY_HEART if slot % len(FIELDS) == 0 else _NEVER
            if best is None or value > best[0]:
                best = (value, drafts[n].text, words)
        if best is not None:
            chosen.append(best[1])
            said.append(best[2])
    return chosen


def _unused(drafts: Sequence[Draft], slot: int, chosen: Sequence[str]) -> list[int]:
    """Return which drafts a slot may take: its own, else what other variants have left."""
    free = [n for n, draft in enumerate(drafts) if draft.text not in chosen]
    own = [n for n in free if drafts[n].slot == slot]
    return own or [n for n in free if (drafts[n].slot - slot) % len(FIELDS) == 0]
