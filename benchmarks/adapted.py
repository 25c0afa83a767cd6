"""What adapting the text encoder costs elsewhere, against the encoder as it was.

    python benchmarks/adapted.py [../shared/data]

The folder holds captions_only/ (UCM-Captions, Sydney-Captions), of which neither encoder saw a
caption, and rsitmd/. No records by a captioner are needed: each caption in turn is the query, and
the image's other captions are its record (the hold-out proxy). A caption's near copies by other
people flatter it, so the harder form drops those whose cosine to the query is above 0.8 (measured
with the unadapted encoder for both). Text to image, in percent; no benchmark result.
"""

import sys
from pathlib import Path

import numpy as np
from common import report

from trsllava.embedding import load_embedder
from trsllava.evaluation.datasets import read_dataset
from trsllava.index.scoring import log_mean_exp

DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data")
SETS = (
    ("ucm", "captions_only/dataset_ucm_modified.json", "test"),
    ("ucm", "captions_only/dataset_ucm_modified.json", "train"),
    ("sydney", "captions_only/dataset_sydney_modified.json", "train"),
    ("rsitmd", "rsitmd/dataset_RSITMD.json", "test"),
)
if not DATA.exists():
    print(f"{DATA} is not there: nothing to measure on", file=sys.stderr)
    sys.exit(0)


def held_out(vectors, yardstick, owner, limit):
    """Return R@1 and the mean of R@1, 5 and 10 of captions against the others, sorted by image.

    Ties count half above. A caption of which nothing is left is no query.
    """
    starts = np.searchsorted(owner, np.arange(owner[-1] + 1))
    hits = []
    for first in range(0, len(vectors), 256):
        rows = np.arange(first, min(first + 256, len(vectors)))
        cosines = vectors[rows] @ vectors.T
        near = (yardstick[rows] @ yardstick.T) > limit
        images = log_mean_exp(np.ascontiguousarray(cosines.T), starts).T
        for n, row in enumerate(rows):
            mine = np.flatnonzero(owner == owner[row])
            left = mine[(mine != row) & ~near[n, mine]]
            if not len(left):
                continue
            own = log_mean_exp(cosines[n, left][:, None], np.zeros(1, np.int64))[0, 0]
            others = np.delete(images[n], owner[row])
            rank = 1 + (others > own).sum() + (others == own).sum() / 2
            hits.append([rank <= k for k in (1, 5, 10)])
    found = 100 * np.mean(hits, axis=0)
    return {"queries": len(hits), "r1": float(found[0]), "mean": float(found.mean())}


plain, adapted = load_embedder("minilm"), load_embedder("adapted")
for name, file, split in SETS:
    dataset = read_dataset(name, DATA / file, split)
    captions = list(dataset.captions)
    yardstick = plain.encode(captions)
    for encoder, vectors in (("minilm", yardstick), ("adapted", adapted.encode(captions))):
        for form, limit in (("plain", 2.0), ("harder", 0.8)):
            figures = held_out(vectors, yardstick, np.asarray(dataset.owner), limit)
            report(dataset=name, split=split, form=form, encoder=encoder, **figures)
