"""Search in binary codes against search in float vectors: the same items, queries and thread.

    python benchmarks/hamming.py [BITS [DIMENSION]]

Random codes of 64 bits (faiss `IndexBinaryFlat`) and random unit vectors of 384 floats (faiss
`IndexFlatIP`), both by brute force, the nearest 20 of one query at a time, the two asked in turn.
Printed are medians of processor time, for on a busy machine the clock is unfair: a short search
fits between two interruptions, a long one does not.
"""

import statistics
import sys
import time

import faiss
import numpy as np
from common import report

BITS = int(sys.argv[1]) if len(sys.argv) > 1 else 64
DIMENSION = int(sys.argv[2]) if len(sys.argv) > 2 else 384
COUNTS, QUERIES, NEAREST = (100_000, 1_000_000), 40, 20


def timed(index, query):
    """Return the seconds of one search on the processor, all threads together."""
    started = time.process_time()
    index.search(query, NEAREST)
    return time.process_time() - started


faiss.omp_set_num_threads(1)
random = np.random.default_rng(1)
for count in COUNTS:
    codes = random.integers(0, 256, (count + QUERIES, BITS // 8), dtype=np.uint8)
    vectors = random.standard_normal((count + QUERIES, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    binary, floats = faiss.IndexBinaryFlat(BITS), faiss.IndexFlatIP(DIMENSION)
    binary.add(codes[:count])
    floats.add(vectors[:count])
    pairs = [
        (timed(binary, codes[n : n + 1]), timed(floats, vectors[n : n + 1]))
        for n in range(count, count + QUERIES)
    ][2:]
    ours, theirs = (1000 * statistics.median(own) for own in zip(*pairs, strict=True))
    report(
        benchmark="hamming",
        items=count,
        queries=len(pairs),
        bits=BITS,
        floats=DIMENSION,
        binary_ms=ours,
        float_ms=theirs,
        times_faster=theirs / ours,
        bytes_binary=BITS // 8,
        bytes_float=4 * DIMENSION,
    )
    del vectors, floats
