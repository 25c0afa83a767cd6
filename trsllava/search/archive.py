"""One or several stores opened for searching: what `trsllava.open` returns."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from trsllava.embedding import CANARY_LIMIT, Embedder, canary_drift, fingerprint, load_embedder
from trsllava.embedding.pictures import seeing_encoder
from trsllava.errors import IndexUnusable, UsageError
from trsllava.index.generation import Generation, open_generation
from trsllava.index.scoring import Mode
from trsllava.index.selector import Selector
from trsllava.records import bounding_box, time_span
from trsllava.search.filters import Filters
from trsllava.search.query import Answer, Hit, Query, Sort
from trsllava.search.searcher import Searcher
from trsllava.search.similar import Alike, find_similar
from trsllava.store.pictures import Pictures
from trsllava.store.store import Store, open_store
from trsllava.store.view import View


@dataclass(frozen=True, slots=True)
class Archive:
    """Stores that are searched as one; scores mean the same in all of them."""

    stores: tuple[Store, ...]
    searchers: tuple[Searcher, ...]

    def search(
        self,
        text: str,
        *,
        without: str | Sequence[str] = (),
        top: int = 10,
        mode: Mode = "hybrid",
        where: dict[str, str] | None = None,
        bbox: Sequence[float] | None = None,
        since: str | None = None,
        until: str | None = None,
        min_score: float | None = None,
        sort: Sort = "score",
    ) -> tuple[Hit, ...]:
        """Return the images that answer a query best, with their evidence.

        Parameters
        ----------
        text
            What the image should show.
        without
            What it must not show, one thing or several.
        top
            How many hits.
        mode
            ``hybrid``, ``dense``, ``lexical``, or ``fused`` where the index has picture vectors.
        where
            Property values that must be as given.
        bbox
            West, south, east, north in degrees (EPSG:4326).
        since
            A date or an RFC 3339 time; earlier images are no hits.
        until
            A date or an RFC 3339 time; later images are no hits.
        min_score
            The least score of a hit, 0 to 1.
        sort
            ``score``, or ``date`` for the newest of those that answer.

        Returns
        -------
        tuple[Hit, ...]
            Best first; below `Hit.weak` nothing answers the query.
        """
        query = Query(
            text=text,
            without=(without,) if isinstance(without, str) else tuple(without),
            top=top,
            mode=mode,
            where=tuple((where or {}).items()),
            bbox=None if bbox is None else bounding_box(list(bbox)),
            since=None if since is None else time_span(since)[0],
            until=None if until is None else time_span(until)[1],
            min_score=min_score,
            sort=sort,
        )
        return self.answer(query).hits

    def answer(self, query: Query) -> Answer:
        """Return the hits of a query with notes and time."""
        started = time.perf_counter()
        answers = [searcher.search(query) for searcher in self.searchers]
        hits = [
            self._located(hit, store, searcher)
            for store, searcher, answer in zip(self.stores, self.searchers, answers, strict=True)
            for hit in answer.hits
        ]
        if len(answers) > 1:
            hits.sort(key=lambda hit: _merge_key(hit, query.sort))
        ranked = tuple(
            replace(hit, rank=rank) for rank, hit in enumerate(hits[: query.top], start=1)
        )
        notes = tuple(dict.fromkeys(note for answer in answers for note in answer.notes))
        return Answer(query, ranked, 1000 * (time.perf_counter() - started), notes)

    def similar(self, image: str, *, top: int = 10, filters: Filters | None = None) -> Alike:
        """Return the images most like one, which is not among them.

        Parameters
        ----------
        image
            An id of the store, or any image file.
        top
            How many hits.
        filters
            What a hit must be.

        Returns
        -------
        Alike
            Best first; below 0.5 no more alike than chance makes them.

        Raises
        ------
        UsageError
            If several stores are open: an id may mean another image in each.
        """
        if len(self.searchers) != 1:
            raise UsageError("similar images are looked for in one store; open one")
        (store,), (searcher,) = self.stores, self.searchers
        alike = find_similar(searcher, image, top, filters)
        hits = tuple(self._located(hit, store, searcher) for hit in alike.hits)
        return replace(alike, hits=hits)

    def _located(self, hit: Hit, store: Store, searcher: Searcher) -> Hit:
        source = searcher.pictures.source(hit.image) if searcher.pictures else None
        several = len(self.stores) > 1
        return replace(
            hit,
            path=None if source is None else source.path,
            source=source,
            store=str(store.root) if several else None,
        )


def _merge_key(hit: Hit, sort: Sort) -> tuple[Any, ...]:
    """Return what hits of several stores are sorted by, as one store sorts its own."""
    if sort == "score":
        return -hit.score, hit.image, hit.store
    end = time_span(hit.datetime)[1] if hit.datetime else datetime.min.replace(tzinfo=UTC)
    return hit.weak, -end.timestamp(), -hit.score, hit.image, hit.store


def open_archive(
    *roots: str | Path, records: str | None = None, embedder: str | None = None
) -> Archive:
    """Open stores for searching.

    Parameters
    ----------
    *roots
        The stores' directories.
    records
        The record set, where a store holds several.
    embedder
        The encoder for the queries, if it must be another name for the index's own.

    Returns
    -------
    Archive
        Ready to search.

    Raises
    ------
    StoreError
        If a store or its index is missing or damaged, or its index belongs to another encoder
        (an `IndexUnusable`).
    """
    distinct = {Path(root).resolve(): root for root in reversed(roots)}
    stores = tuple(open_store(root) for root in reversed(distinct.values()))
    encoders: dict[str, Embedder] = {}
    searchers = []
    for store in stores:
        view = store.view(records)
        if view.records == 0:
            raise IndexUnusable(
                f"no records yet in {store.root}; make some with: trsllava caption PATH, or give "
                "it some with: trsllava import FILE"
            )
        generation = open_generation(store.layout, view.set)
        name = embedder or str(generation.manifest.embedder["name"])
        if name not in encoders:
            encoders[name] = load_embedder(name)
        searchers.append(open_searcher(view, generation, encoders[name]))
    return Archive(stores, tuple(searchers))


def open_searcher(view: View, generation: Generation, embedder: Embedder) -> Searcher:
    """Join an index with its encoder and with what has changed since it was built.

    Raises `IndexUnusable` if the index belongs to another encoder, or to records no longer
    known.
    """
    manifest, root = generation.manifest, view.layout.root
    if fingerprint(embedder) != manifest.fingerprint:
        raise IndexUnusable(
            f"the index of {root} was built with encoder {manifest.embedder.get('name')} "
            f"({manifest.fingerprint}), not {embedder.identity().get('name')} "
            f"({fingerprint(embedder)}); build it anew with: trsllava index --embedder NAME"
        )
    gone = view.gone_since(manifest.commit, manifest.head)
    if gone is None:
        raise IndexUnusable(
            f"the index of {root} belongs to records that its log no longer knows; "
            f"run: trsllava index --store {root}"
        )
    notes = []
    live = Selector.everything(manifest.images)
    if gone:
        live = Selector(np.array([image not in gone for image in generation.images], dtype=bool))
    behind = []
    if missing := view.records - len(live):
        behind.append(f"{missing} records are not indexed yet")
    if dead := manifest.images - len(live):
        behind.append(f"{dead} indexed records are gone or replaced")
    if behind:
        notes.append(f"{' and '.join(behind)}; run: trsllava index --store {root}")
    drift = canary_drift(embedder, manifest.canary)
    if drift < CANARY_LIMIT:
        notes.append(
            f"this processor computes other vectors than the one that built the index of {root} "
            f"(cosine {drift:.4f} of a fixed text); ranks may differ, run: trsllava index"
        )
    facts = manifest.pictures
    seer = embedder if facts is None else seeing_encoder(facts.eye, embedder)
    return Searcher(generation, embedder, seer, live, Pictures(view), tuple(notes))
