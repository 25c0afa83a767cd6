"""What is measured on an archive with the banks of queries that ship: its hubs and its scale."""

import numpy as np
from numpy.typing import NDArray

from trsllava import resources
from trsllava.embedding import Embedder
from trsllava.index.dense import TextVectors
from trsllava.index.pictures import PictureVectors
from trsllava.index.scoring import MODES, Parts, Scale, measure_scale, usual
from trsllava.index.words import Words

_SAMPLE = 20_000  # images that the scale is measured on
_BLOCK = 20_000  # images that the hubs are measured on at a time
_ORDINARY, _OFFTOPIC = "query_bank.txt", "offtopic_bank.txt"


def measure_hubs(embedder: Embedder, images: int, vectors: TextVectors) -> NDArray[np.float32]:
    """Return what each image scores with the ordinary queries, float32 (images,)."""
    asked = embedder.encode_queries(_queries(_ORDINARY))
    hubs = np.empty(images, np.float32)
    for start in range(0, images, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, images))
        hubs[rows] = usual(vectors.scores(asked, rows), axis=0)
    return hubs


def measure(
    embedder: Embedder,
    vectors: TextVectors,
    hubs: NDArray[np.float32],
    words: Words,
    pictures: PictureVectors | None,
) -> Scale:
    """Ask an archive the ordinary queries, and those that no overhead image answers."""
    rows = np.arange(0, len(hubs), max(1, -(-len(hubs) // _SAMPLE)))

    def parts(name: str) -> Parts:
        queries = _queries(name)
        asked = embedder.encode_queries(queries)
        dense = vectors.scores(asked, rows) - hubs[rows]
        bm25, share = words.matrices(queries)[:, :, rows]
        picture = np.zeros_like(dense) if pictures is None else pictures.scores(asked, rows)
        return Parts(dense, bm25, share, picture)

    modes = [mode for mode in MODES if mode != "fused" or pictures is not None]
    return measure_scale(parts(_ORDINARY), parts(_OFFTOPIC), modes)


def _queries(name: str) -> list[str]:
    lines = resources.find(f"datasets/{name}").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
