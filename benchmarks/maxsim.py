"""Late interaction (MaxSim) as a re-ranking of the default, on RSICD's validation split.

    python benchmarks/maxsim.py [../shared/data]

The folder holds rsicd/rsrt_val.jsonl and rsicd/dataset_rsicd_trainval.json. A text's MaxSim is the
mean over the query's word pieces of the best cosine with a word piece of the text (ColBERT), here
with the hidden states that the bundled encoder averages. It re-ranks each caption's best 60 images.
Printed: a line a weight with mR of all images, of the half that chooses and of the half that
reports (by the parity of the file name's sha256; the gallery is whole), with the difference from
weight 0 on the half that reports and its 95 % interval; then what it would cost.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from common import report
from halves import half_of
from hard_queries import searcher_of

from trsllava.embedding.bundled import _END, _START, BundledEmbedder, _batches, unit
from trsllava.evaluation.bootstrap import interval, resample, resampled_means
from trsllava.evaluation.datasets import read_dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.evaluation.result import DIRECTIONS, MEASURES
from trsllava.index.banks import bank
from trsllava.index.scoring import log_mean_exp
from trsllava.resources import find
from trsllava.search.query import Query

DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data")
if not DATA.exists():
    print(f"{DATA} is not there: nothing to measure on", file=sys.stderr)
    sys.exit(0)

CANDIDATES, TIMED = 60, 40
WEIGHTS = (0.1, 0.2, 0.3, 0.5)
WAYS = ("log-mean-exp", "maximum", "one text")  # of a record's texts; "one text": all joined


class Pieces:
    """The bundled encoder's word pieces as unit vectors, without [CLS] and [SEP]."""

    def __init__(self):
        self.encoder = BundledEmbedder(threads=1)
        model = onnx.load(find("models/minilm") / "model.onnx")
        last = next(n.input[0] for n in model.graph.node if n.output[0] == "vectors")
        kind = onnx.TensorProto.FLOAT
        model.graph.output.append(onnx.helper.make_tensor_value_info(last, kind, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def of(self, texts):
        """Return the word pieces of all texts (pieces, width) and where each text begins."""
        windows = [window for own in self.encoder._tokenise(texts) for window in own]
        assert len(windows) == len(texts), "a text is longer than the encoder's window"
        counts = np.array([len(window) for window in windows])
        starts = np.cumsum(counts) - counts
        out = np.empty((counts.sum(), self.encoder.dimension), np.float32)
        self.means = np.empty((len(texts), self.encoder.dimension), np.float32)
        for batch in _batches(counts):
            ids = np.array([[_START, *windows[n], _END] for n in batch], np.int64)
            self.means[batch], states = self.session.run(None, {"ids": ids})
            for n, state in zip(batch, states, strict=True):
                out[starts[n] : starts[n] + counts[n]] = unit(state[1:-1])
        return out, starts


def best_cosines(asked, pieces, starts):
    """Return (texts, queries' word pieces): each one's best cosine in each text."""
    return np.maximum.reduceat(pieces @ asked.T, starts, axis=0)


def maxsim(best, begins):
    """Return (texts, queries): means over the word pieces of each query."""
    return np.add.reduceat(best, begins, axis=1) / np.diff(begins, append=best.shape[1])


def joined(best, begins):
    """Return MaxSim of one image with queries in all `WAYS`, of shape (3, queries)."""
    texts, whole = maxsim(best, begins), maxsim(best.max(axis=0, keepdims=True), begins)
    return np.stack([log_mean_exp(texts, np.array([0]))[0], texts.max(axis=0), whole[0]])


def recalls(result, half):
    """Return the six recalls in percent, and mR, of the queries of some images."""
    own = {"i2t": half, "t2i": half[dataset.owner]}
    found = {
        d: [round(100 * m.expected(result.places[d])[own[d]].mean(), 2) for m in MEASURES]
        for d in DIRECTIONS
    }
    return {"mr": round(float(np.mean([*found["i2t"], *found["t2i"]])), 2), **found}


def gained(result, base, half):
    """Return the difference of two results' mR on the queries of some images, and its interval."""
    place = np.cumsum(half) - 1
    drawn, means, plain = resample(int(half.sum())), [], []
    owners = {"i2t": np.arange(len(half)), "t2i": dataset.owner}
    for d in DIRECTIONS:
        owner = owners[d]
        mine = half[owner]
        for measure in MEASURES:
            more = measure.expected(result.places[d]) - measure.expected(base.places[d])
            means.append(resampled_means(drawn, more[mine], place[owner[mine]]))
            plain.append(more[mine].mean())
    low, high = interval(np.mean(means, axis=0))
    return [round(100 * float(x), 2) for x in (np.mean(plain), low, high)]


def milliseconds(work, times):
    """Return the median milliseconds of calling something with 0, 1, 2, ..."""
    seconds = []
    for n in range(times):
        started = time.perf_counter()
        work(n)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


dataset = read_dataset("rsicd", DATA / "rsicd/dataset_rsicd_trainval.json", "val")
own = list(dict.fromkeys(dataset.captions))
place = [own.index(text) for text in dataset.captions]
ordinary = bank("query_bank.txt")
reports = np.array([half_of(image) for image in dataset.images], bool)
with searcher_of(DATA / "rsicd/rsrt_val.jsonl") as searcher:
    images = searcher.generation.images
    order = [images.index(image) for image in dataset.images]
    texts = [[t.text for t in searcher.generation.record(n).texts()] for n in range(len(images))]
    hybrid = searcher.score_matrix([*own, *ordinary], np.arange(len(images)))
    now = milliseconds(lambda n: searcher.search(Query(own[n])), TIMED)

encoder = Pieces()
stored = []
for of_image in texts:
    vectors, starts = encoder.of(of_image)
    stored.append((vectors.astype(np.float16), starts))
means = unit(encoder.means)  # of the last image: the same graph gives the encoder's own vectors
assert np.abs(means - encoder.encoder.encode(texts[-1])).max() < 1e-5

asked, begins = encoder.of([*own, *ordinary])
ends = np.append(begins[1:], len(asked))
near = np.argsort(-hybrid, axis=1, kind="stable")[:, :CANDIDATES]
inside = np.zeros(hybrid.shape, bool)
np.put_along_axis(inside, near, True, axis=1)
needed = inside.copy()
needed[len(own) :] = True
late = np.zeros((len(WAYS), *hybrid.shape), np.float32)
for column, (vectors, starts) in enumerate(stored):
    rows = np.flatnonzero(needed[:, column])
    some = np.concatenate([asked[begins[n] : ends[n]] for n in rows])
    at = np.cumsum(ends[rows] - begins[rows]) - (ends[rows] - begins[rows])
    best = best_cosines(some, vectors.astype(np.float32), starts)
    late[:, rows, column] = joined(best, at).round(5)


def reranked(way, weight):
    """Return (captions, images): each caption's candidates scored anew, the others behind."""
    # Deviation over the bank and all images; level with the hybrid score on the bank's candidates.
    banked, level = late[way, len(own) :], hybrid[len(own) :]
    scale = banked.std()
    middle = (level - banked / scale)[inside[len(own) :]].mean()
    h, of_pieces = hybrid[: len(own)], late[way, : len(own)] / scale + middle
    mine = inside[: len(own)]
    new = (1 - weight) * h + weight * of_pieces
    last = np.where(mine, new, np.inf).min(axis=1, keepdims=True)
    first = np.where(mine, -np.inf, h).max(axis=1, keepdims=True)
    matrix = np.where(mine, new, h - np.maximum(first - last, 0))
    return matrix[np.ix_(place, order)].astype(np.float32)


covered = np.ones(len(dataset.images), bool)
base = evaluate(dataset, hybrid[np.ix_(place, order)], covered, "hybrid")
for way, weight in [(0, 0.0), *((way, weight) for way in range(3) for weight in WEIGHTS)]:
    result = evaluate(dataset, reranked(way, weight), covered, WAYS[way])
    report(
        texts=WAYS[way] if weight else "-",
        weight=weight,
        all=recalls(result, covered),
        choose=recalls(result, ~reports),
        report=recalls(result, reports),
        gain_on_report_ci95=gained(result, base, reports),
    )

tokens = sum(len(vectors) for vectors, _ in stored)
report(images=len(images), word_pieces_an_image=tokens / len(images), choose=int((~reports).sum()))
width = encoder.encoder.dimension
scales = [np.abs(vectors).max(axis=1, keepdims=True).astype(np.float32) for vectors, _ in stored]
bytewise = [
    np.round(vectors / scale * 127).astype(np.int8)
    for (vectors, _), scale in zip(stored, scales, strict=True)
]


def ask(n, read):
    """Score the candidates of a query from what ``read`` gives of an image."""
    found = [read(image) for image in near[n]]
    starts, at = [], 0
    for vectors, begin in found:
        starts.append(begin + at)
        at += len(vectors)
    query = asked[begins[n] : ends[n]]
    best = best_cosines(query, np.concatenate([v for v, _ in found]), np.hstack(starts))
    scores = maxsim(best, np.array([0]))
    firsts = np.cumsum([0, *(len(s) for s in starts[:-1])])
    return log_mean_exp(scores, firsts)[:, 0]


def from_float16(image):
    return stored[image][0].astype(np.float32), stored[image][1]


def from_int8(image):
    return bytewise[image] * (scales[image] / np.float32(127)), stored[image][1]


def anew(image):
    return encoder.of(texts[image])


off = max(float(np.abs(ask(n, from_int8) - ask(n, from_float16)).max()) for n in range(TIMED))
report(
    candidates=CANDIDATES,
    bytes_an_image={
        "text vectors now, float16": round(2 * width * sum(map(len, texts)) / len(images)),
        "word pieces, float16": round(2 * width * tokens / len(images)),
        "word pieces, int8 and a float32 scale": round((width + 4) * tokens / len(images)),
    },
    int8_differs_by_at_most=f"{off:.1e}",
    milliseconds={
        "a whole search now": round(now, 1),
        "stored as float16": round(milliseconds(lambda n: ask(n, from_float16), TIMED), 1),
        "stored as int8": round(milliseconds(lambda n: ask(n, from_int8), TIMED), 1),
        "computed anew": round(milliseconds(lambda n: ask(n, anew), 5), 1),
    },
)
