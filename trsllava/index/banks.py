"""The scale of an archive, measured on the banks of queries that ship."""

import numpy as np

from trsllava import resources
from trsllava.embedding import Embedder
from trsllava.index.dense import TextVectors
from trsllava.index.pictures import PictureVectors
from trsllava.index.scoring import MODES, Parts, Scale, measure_scale, weights_for
from trsllava.index.words import Words

_SAMPLE = 20_000  # images that the scale is measured on
_ORDINARY, _OFFTOPIC = "query_bank.txt", "offtopic_bank.txt"


def measure(
    embedder: Embedder,
    images: int,
    vectors: TextVectors,
    words: Words,
    pictures: PictureVectors | None,
    seer: Embedder,
) -> Scale:
    """Ask an archive the ordinary queries, and those that no overhead image answers.

    ``embedder`` encodes them for the texts, ``seer`` for the pictures.
    """
    rows = np.arange(0, images, max(1, -(-images // _SAMPLE)))

    def parts(name: str) -> Parts:
        queries = bank(name)
        dense = vectors.scores(embedder.encode_queries(queries), rows)
        bm25, share = words.matrices(queries)[:, :, rows]
        picture = np.zeros_like(dense)
        if pictures is not None:
            picture = pictures.scores(seer.encode_queries(queries), rows)
        return Parts(dense, bm25, share, picture)

    modes = [mode for mode in MODES if mode != "fused" or pictures is not None]
    weights = weights_for(str(embedder.identity()["name"]))
    return measure_scale(parts(_ORDINARY), parts(_OFFTOPIC), modes, weights)


def bank(name: str) -> list[str]:
    """Return the lines of a bank that ships in ``datasets/``, without its comments."""
    lines = resources.find(f"datasets/{name}").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
