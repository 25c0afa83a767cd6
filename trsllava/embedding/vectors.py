"""The vectors stage: every text of a segment as a vector, once for each embedder.

Published segment by segment, so a killed run goes on where it stopped, and
nothing is computed again when 1 % is added or another kind of index is built.
"""

import io
import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trsllava.embedding import Embedder, fingerprint
from trsllava.errors import StoreDamaged
from trsllava.store.files import publish, seal, sha256_of, unseal
from trsllava.store.layout import VERSION, Layout, SegmentRef
from trsllava.store.segments import parse_line, read_line, read_offsets

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SegmentVectors:
    """The published vectors of one segment: float16 (sum of ``counts``, dimension)."""

    path: Path
    sha256: str
    dimension: int
    counts: tuple[int, ...]
    too_long: Mapping[str, int]


def embed_segment(layout: Layout, ref: SegmentRef, embedder: Embedder) -> SegmentVectors:
    """Return the vectors of a segment's texts, computing them if they are not there yet."""
    key = fingerprint(embedder)
    path = layout.segment_vectors(key, ref)
    if path.with_suffix(".json").exists() and path.exists():
        return read_vectors(layout, ref, key)
    started = time.monotonic()
    offsets = read_offsets(layout, ref)
    segment = layout.segment(ref)
    counts: list[int] = []
    fields: list[str] = []
    texts: list[str] = []
    for row in range(ref.records):
        line = read_line(segment, offsets.starts[row], offsets.starts[row + 1])
        found = list(parse_line(segment, line).texts())
        counts.append(len(found))
        fields += [text.field for text in found]
        texts += [text.text for text in found]
    vectors = embedder.encode(texts).astype(np.float16)
    too_long = Counter(fields[n] for n in embedder.too_long(texts))
    data = io.BytesIO()
    np.save(data, vectors, allow_pickle=False)
    publish(path, data.getvalue())
    body = {
        "format": "trsllava-vectors",
        "version": VERSION,
        "embedder": key,
        "segment": ref.sha256,
        "dimension": int(vectors.shape[1]),
        "counts": counts,
        "too_long": dict(too_long),
        "sha256": sha256_of(path),
    }
    publish(path.with_suffix(".json"), seal(body))
    rate = len(texts) / max(time.monotonic() - started, 1e-6)
    log.info("%d texts of %d records embedded (%.0f a second)", len(texts), ref.records, rate)
    return read_vectors(layout, ref, key)


def read_vectors(layout: Layout, ref: SegmentRef, key: str) -> SegmentVectors:
    """Return the published vectors of a segment.

    Raises `StoreDamaged` if their manifest belongs to another segment or embedder.
    """
    path = layout.segment_vectors(key, ref)
    manifest = path.with_suffix(".json")
    body = unseal(manifest, VERSION)
    if (body["segment"], body["embedder"], len(body["counts"])) != (ref.sha256, key, ref.records):
        raise StoreDamaged(
            f"{manifest} belongs to another segment or encoder; delete it and run: trsllava index"
        )
    return SegmentVectors(
        path, body["sha256"], body["dimension"], tuple(body["counts"]), body["too_long"]
    )
