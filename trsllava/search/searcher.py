"""Searching one archive: query -> candidates -> scores -> hits with evidence."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava.embedding import Embedder
from trsllava.errors import IndexUnusable
from trsllava.index.attributes import UNDATED
from trsllava.index.generation import Generation
from trsllava.index.scoring import WEAK, Added, Level, Mode, Parts
from trsllava.index.selector import Selector
from trsllava.index.words import tokenize
from trsllava.search.absence import absence
from trsllava.search.query import Answer, Explanation, Hit, Query
from trsllava.store.pictures import Pictures

_JOINED = ("hybrid", "fused")  # the modes that look at words beside meaning


@dataclass(frozen=True, slots=True)
class Searcher:
    """One generation and the encoder that it was built with.

    ``seer`` encodes texts to compare with pictures' vectors, which may lie in the space of another
    encoder; ``live`` selects the images whose record still counts; ``pictures`` finds what they
    look like; ``notes`` is what a user should know about the index, for example that newer records
    are not in it.
    """

    generation: Generation
    embedder: Embedder
    seer: Embedder
    live: Selector
    pictures: Pictures | None = None
    notes: tuple[str, ...] = ()

    def search(self, query: Query) -> Answer:
        """Return the best images for a query, the same ones in the same order every time."""
        started = time.perf_counter()
        self._check(query.mode)
        selector, notes = query.filters.select(self.generation.attributes, self.live)
        vector = self._encode([query.text], query.mode)
        if query.mode in _JOINED and not vector.any():
            query = replace(query, mode="lexical")
            notes.append("the encoder cannot read this query: it is answered by its words alone")
        elif query.mode == "dense" and not vector.any():
            notes.append("the encoder cannot read this query; ask for its words: --mode lexical")
        if not query.without and (apart := absence(query.text)) is not None:
            better = shlex.join([apart.wanted, "--not", apart.unwanted])
            notes.append(f"what must not be there is left out by --not: trsllava query {better}")
        scored = self._score(query, vector, selector)
        order = _order(query, scored, self.generation.attributes.spans)
        hits = tuple(
            self._hit(query, vector[0], scored, rank, at) for rank, at in enumerate(order, start=1)
        )
        elapsed = 1000 * (time.perf_counter() - started)
        return Answer(query, hits, elapsed, (*self.notes, *notes))

    def score_matrix(
        self, queries: Sequence[str], rows: NDArray[np.int64], mode: Mode = "hybrid"
    ) -> NDArray[np.float32]:
        """Return the scores by which images are ranked, for an evaluation.

        Parameters
        ----------
        queries
            Texts; equal ones get equal scores, and so do images with equal records.
        rows
            The images, ascending.
        mode
            Which parts count.

        Returns
        -------
        NDArray[np.float32]
            Of shape (queries, len(rows)).
        """
        self._check(mode)
        distinct = list(dict.fromkeys(queries))
        place = {text: n for n, text in enumerate(distinct)}
        first_twin = self.generation.vectors.first_twins(rows)
        pictures = self.generation.pictures
        like = first_twin if pictures is None else pictures.first_twins(rows)
        scores = np.empty((len(distinct), len(rows)), dtype=np.float32)
        for first in range(0, len(distinct), 1024):
            part = distinct[first : first + 1024]
            parts = self._parts(part, self._encode(part, mode), rows, mode)
            parts = parts._replace(dense=parts.dense[:, first_twin], picture=parts.picture[:, like])
            scores[first : first + len(part)] = self.generation.scale.raw(mode, parts)
        if np.isnan(scores).any():
            raise IndexUnusable(self._damaged())
        return scores[np.array([place[text] for text in queries], dtype=np.int64)]

    def added(self, text: str, row: int, mode: Mode = "hybrid") -> Added:
        """Return what each part adds to the score of one image, (1, 1) each."""
        self._check(mode)
        parts = self._parts([text], self._encode([text], mode), np.array([row]), mode)
        return self.generation.scale.weighted(mode, parts)

    def _check(self, mode: Mode) -> None:
        """Raise `IndexUnusable` if the index lacks what a mode looks at."""
        if mode == "fused" and self.generation.pictures is None:
            root = self.generation.layout.root
            raise IndexUnusable(
                f"the index of {root} has no picture vectors, which the mode fused needs; make "
                f"them with: trsllava index --images --store {root}"
            )

    def _encode(self, texts: Sequence[str], mode: Mode) -> NDArray[np.float32]:
        """Return the queries' vectors, or zeros where the mode needs none."""
        if mode == "lexical":
            return np.zeros((len(texts), self.embedder.dimension), dtype=np.float32)
        return np.asarray(self.embedder.encode_queries(texts))

    def _score(self, query: Query, vector: NDArray[np.float32], selector: Selector) -> "_Scored":
        """Score every image that may answer."""
        scale, level = self.generation.scale, self._level(query)
        rows = self._candidates(query, vector[0], selector)
        parts = self._parts([query.text], vector, rows, query.mode)
        raw = scale.raw(query.mode, parts)[0]
        if np.isnan(raw).any():
            raise IndexUnusable(self._damaged())
        score = level.readable(raw)
        unwanted = None
        if query.without:
            there = [self._presence(text, query.mode, rows) for text in query.without]
            unwanted = np.max(there, axis=0)
            score = score * (1 - unwanted)
        return _Scored(rows, raw, score, parts, unwanted)

    def _level(self, query: Query) -> Level:
        """Return where scores of a query mean nothing any more.

        By words alone an image that has all of them is an answer, however few they are.
        """
        scale = self.generation.scale
        level = scale.levels[query.mode]
        if query.mode != "lexical":
            return level
        everywhere = self._parts(
            [query.text], self._encode([query.text], "lexical"), self.live.rows(), "lexical"
        )
        return level.met_by(scale.raw("lexical", everywhere)[everywhere.share >= 1])

    def _damaged(self) -> str:
        root = self.generation.layout.root
        return (
            f"vectors of {root} are damaged: scores are no numbers; see which by "
            f"trsllava verify --store {root}"
        )

    def _presence(self, text: str, mode: Mode, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return how surely what ``text`` says is in each image: 0 no, 1 as in the best image.

        A text that names a thing and one that says it is missing are near each other, so only
        what comes nearer to the archive's best image than to its limit counts as there.
        """
        scale = self.generation.scale
        vector = self._encode([text], mode)
        everywhere = self._candidates(Query(text, mode=mode), vector[0], self.live)
        best = scale.raw(mode, self._parts([text], vector, everywhere, mode)).max(initial=0)
        middle = (best + scale.levels[mode].limit) / 2
        if best <= middle:
            return np.zeros(len(rows))
        raw = scale.raw(mode, self._parts([text], vector, rows, mode))[0]
        return np.asarray(np.clip((raw - middle) / (best - middle), 0, 1))

    def _candidates(
        self, query: Query, vector: NDArray[np.float32], selector: Selector
    ) -> NDArray[np.int64]:
        """Return the rows to score, ascending: those of an ivf index are told by their texts."""
        if query.mode == "lexical":
            return selector.rows()
        rows = self.generation.index.candidates(vector, query.top, selector)
        if query.mode in _JOINED and len(rows) < len(selector):
            found = np.where(selector.mask, self.generation.words.scores(query.text)[0], 0)
            best = np.argsort(-found, kind="stable")[: max(1000, 10 * query.top)]
            rows = np.union1d(rows, best[found[best] > 0])
        return rows

    def _parts(
        self,
        texts: Sequence[str],
        vectors: NDArray[np.float32],
        rows: NDArray[np.int64],
        mode: Mode,
    ) -> Parts:
        """Return the parts, each (texts, rows); zeros where the mode needs none."""
        dense = bm25 = share = picture = np.zeros((len(texts), len(rows)), dtype=np.float32)
        if mode != "lexical":
            dense = self.generation.vectors.scores(vectors, rows)
        if mode != "dense":
            bm25, share = self.generation.words.matrices(texts)[:, :, rows]
        if mode == "fused" and self.generation.pictures is not None:
            seen = vectors if self.seer is self.embedder else self.seer.encode_queries(texts)
            picture = self.generation.pictures.scores(np.asarray(seen), rows)
        return Parts(dense, bm25, share, picture)

    def _hit(
        self, query: Query, vector: NDArray[np.float32], scored: "_Scored", rank: int, at: int
    ) -> Hit:
        row = int(scored.rows[at])
        record = self.generation.record(row)
        texts = list(record.texts())
        wanted = set(tokenize(query.text))
        spoken = [wanted.intersection(tokenize(text.text)) for text in texts]
        if query.mode == "lexical":
            best = int(np.argmax([len(words) for words in spoken]))
        else:
            best = int(np.argmax(self.generation.vectors.cosines(vector, row)))
        parts = Parts(*(part[:, at] for part in scored.parts))
        added = self.generation.scale.weighted(query.mode, parts)
        return Hit(
            rank=rank,
            image=record.image,
            score=float(scored.score[at]),
            weak=bool(scored.score[at] < WEAK),
            evidence=texts[best].text,
            field=texts[best].field,
            variant=texts[best].variant,
            bbox=record.metadata.bbox,
            datetime=record.metadata.datetime,
            explanation=Explanation(
                raw=float(scored.raw[at]),
                meaning=float(added.meaning[0]),
                words=float(added.words[0]),
                picture=float(added.picture[0]),
                cosine=float(parts.dense[0]),
                bm25=float(parts.bm25[0]),
                similarity=float(parts.picture[0]),
                matched=tuple(sorted(set().union(*spoken))),
                unwanted=None if scored.unwanted is None else float(scored.unwanted[at]),
            ),
        )


@dataclass(frozen=True, slots=True)
class _Scored:
    """Scores of candidate rows, all arrays of one length; parts are (1, rows)."""

    rows: NDArray[np.int64]
    raw: NDArray[np.float64]
    score: NDArray[np.float64]
    parts: Parts
    unwanted: NDArray[np.float64] | None


def _order(query: Query, scored: _Scored, spans: NDArray[np.int64]) -> list[int]:
    """Return the places in ``scored`` of the hits, best first; ties by image id."""
    chosen = np.arange(len(scored.rows))
    if query.min_score is not None:
        chosen = np.flatnonzero(scored.score >= query.min_score)
    # Equal records must tie whatever the rounding of a matrix product.
    rank = np.round(scored.raw if scored.unwanted is None else scored.score, 5)
    keys: list[NDArray[Any]] = [scored.rows[chosen], -rank[chosen]]
    if query.sort == "date":
        ends = spans[scored.rows[chosen], 1]
        newest_first = np.where(ends == UNDATED, np.iinfo(np.int64).max, -ends)
        keys += [newest_first, scored.score[chosen] < WEAK]
    order = np.lexsort(keys)[: query.top]
    return [int(n) for n in chosen[order]]
