"""Building a generation: embed what is new, index everything, publish it in one rename.

Picture vectors are made where an eye is given, and named by the generation like those of texts.
"""

import json
import logging
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trsllava.embedding import CANARY, Embedder, fingerprint
from trsllava.embedding.pictures import PictureEmbedder, seeing_encoder
from trsllava.embedding.vectors import SegmentVectors, embed_segment, read_vectors
from trsllava.errors import IndexUnusable, StoreDamaged
from trsllava.index.attributes import Attributes
from trsllava.index.banks import measure
from trsllava.index.dense import FLAT_TEXTS, IvfIndex
from trsllava.index.generation import ROW, SEGMENT, TEXTS, load_generation, open_vectors
from trsllava.index.manifest import Kind, Manifest, make_current, read_current
from trsllava.index.pictures import open_pictures
from trsllava.index.scoring import Scale
from trsllava.index.seen import Seen, look_at_all, same_pictures
from trsllava.index.words import Words
from trsllava.records import Metadata
from trsllava.store.files import lock, publish, seal, sha256_of, sweep, sync_folder
from trsllava.store.layout import Layout
from trsllava.store.store import Store
from trsllava.store.view import Place, View

log = logging.getLogger(__name__)


def build_index(
    store: Store,
    embedder: Embedder,
    kind: Kind | None = None,
    records: str | None = None,
    eye: PictureEmbedder | None = None,
    *,
    look_again: bool = False,
) -> Manifest:
    """Bring the index up to date with the records.

    Parameters
    ----------
    store
        The store; its newest state is indexed.
    embedder
        What turns texts into vectors.
    kind
        ``flat`` (exact) or ``ivf`` (quantised); chosen by the number of texts unless given.
    records
        The record set; the current one unless given.
    eye
        What turns pictures into vectors; without it the index has none of them.
    look_again
        Whether pictures that have no vector yet are looked for again.

    Returns
    -------
    Manifest
        Of the generation that answers now.

    Raises
    ------
    IndexUnusable
        If the store has no records yet.
    InputError
        If the encoder in whose space the eye's vectors lie is not known.
    """
    layout = store.layout
    seer = embedder if eye is None else seeing_encoder(eye.identity(), embedder)
    with lock(layout.index / "lock", "trsllava index", wait=600.0):
        view = store.view(records)
        if view.records == 0:
            raise IndexUnusable(
                f"no records yet in {store.root}; make some with: trsllava caption PATH, or give "
                "it some with: trsllava import FILE"
            )
        sweep(layout.vectors)
        seen = None if eye is None else look_at_all(view, eye, again=look_again)
        current = _current(layout, view.set)
        if (
            current
            and (current.head, current.fingerprint) == (view.head, fingerprint(embedder))
            and current.segments == view.segments
            and (kind in (None, current.kind))
            and same_pictures(current, seen)
            and _is_whole(layout, current)
        ):
            return current
        for leftover in layout.index.glob(".building-*"):
            shutil.rmtree(leftover)
        vectors = [embed_segment(layout, ref, embedder) for ref in view.segments]
        folder = layout.index / f".building-{os.getpid()}"
        manifest = _build(view, vectors, embedder, seer, kind, folder, seen)
        final = layout.index / manifest.name
        folder.rename(final)
        sync_folder(layout.index)
        make_current(layout, final, view.set)
        return manifest


def _current(layout: Layout, records: str) -> Manifest | None:
    """Return the manifest of the generation that answers, or None if it cannot be told."""
    try:
        return read_current(layout, records)
    except StoreDamaged as error:
        log.warning("building anew: %s", error)
        return None


def _is_whole(layout: Layout, manifest: Manifest) -> bool:
    """Whether a generation's files, and the vectors' manifests, are as they were built."""
    folder = layout.index / manifest.name
    try:
        load_generation(layout, folder)
        refs = manifest.segments
        vectors = tuple(read_vectors(layout, ref, manifest.fingerprint).sha256 for ref in refs)
        changed = [n for n, digest in manifest.files.items() if sha256_of(folder / n) != digest]
    except (StoreDamaged, OSError) as error:
        log.warning("building anew: %s", error)
        return False
    if changed or vectors != manifest.vectors:
        log.warning("building anew: %s is not as it was built", folder / "".join(changed[:1]))
        return False
    return True


def _build(
    view: View,
    vectors: list[SegmentVectors],
    embedder: Embedder,
    seer: Embedder,
    kind: Kind | None,
    folder: Path,
    seen: Seen | None,
) -> Manifest:
    """Write every file of a generation into ``folder`` and return its manifest."""
    folder.mkdir(parents=True)
    found = view.places()
    places = _places(view, vectors, found)
    texts = int(places[:, TEXTS].sum())
    metadata: list[Metadata] = []
    words = Words.build(_documents(view, found, metadata))
    words.save(folder / "words")
    Attributes.of(metadata).save(folder)
    (folder / "ids.json").write_text(json.dumps([p.image for p in found]), encoding="utf-8")
    np.save(folder / "places.npy", places, allow_pickle=False)
    draft = Manifest(
        name=_next_name(view.layout.index),
        records=view.set,
        kind="flat",
        commit=view.number,
        head=view.head,
        embedder=dict(embedder.identity()),
        fingerprint=fingerprint(embedder),
        dimension=embedder.dimension,
        images=len(found),
        texts=texts,
        thin=view.thin,
        too_long=dict(sum((Counter(v.too_long) for v in vectors), Counter())),
        segments=view.segments,
        vectors=tuple(v.sha256 for v in vectors),
        scale={},
        canary=tuple(float(x) for x in embedder.encode_queries([CANARY])[0]),
        files={},
    )
    opened = open_vectors(view.layout, draft, places)
    kind = kind or ("ivf" if texts > FLAT_TEXTS else "flat")
    if kind == "ivf":
        index = IvfIndex.build(opened, len(found), texts, embedder.dimension)
        if index is None:
            log.warning("%d texts are too few for an ivf index: every query is exact", texts)
            kind = "flat"
        else:
            index.save(folder / "ivf.faiss")
    pictures = None
    if seen is not None:
        where = places[:, SEGMENT], places[:, ROW]
        facts = seen.facts(*where)
        draft = replace(draft, pictures=facts)
        pictures = open_pictures(view.layout, facts, view.segments, *where)
    scale = measure(embedder, len(found), opened, words, pictures, seer)
    return _seal_folder(folder, draft, kind, scale)


def _places(view: View, vectors: list[SegmentVectors], found: list[Place]) -> NDArray[np.int64]:
    """Return where everything of each image stands, as `generation` describes it."""
    firsts = [np.concatenate(([0], np.cumsum(v.counts))) for v in vectors]
    places = np.empty((len(found), 6), dtype=np.int64)
    starts = [np.array(view.sidecar(n).starts) for n in range(len(view.segments))]
    for number, place in enumerate(found):
        first, start = firsts[place.segment], starts[place.segment]
        places[number] = (
            place.segment,
            place.row,
            first[place.row],
            vectors[place.segment].counts[place.row],
            start[place.row],
            start[place.row + 1],
        )
    return places


def _documents(view: View, places: list[Place], metadata: list[Metadata]) -> Iterator[str]:
    """Yield all texts of each image, and collect the metadata on the way."""
    for place in places:
        record = view.record(place)
        metadata.append(record.metadata)
        yield "\n".join(text.text for text in record.texts())


def _next_name(index: Path) -> str:
    taken = [int(p.name) for p in index.glob("[0-9]*") if re.fullmatch(r"\d+", p.name)]
    return f"{max(taken, default=0) + 1:06d}"


def _seal_folder(folder: Path, draft: Manifest, kind: Kind, scale: Scale) -> Manifest:
    """Make every file durable, then write the manifest that names them."""
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        files[path.relative_to(folder).as_posix()] = sha256_of(path)
    sync_folder(folder / "words")
    body = {**draft.to_json(), "kind": kind, "scale": scale.to_json(), "files": files}
    manifest = Manifest.from_json(body)
    publish(folder / "manifest.json", seal(manifest.to_json()))
    return manifest
