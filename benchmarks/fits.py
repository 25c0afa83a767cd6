"""Whether `audit --images` finds records of other pictures, on RSICD's validation split.

    python benchmarks/fits.py [../shared/data] [records | captions] [swapped | variants]

The folder holds rsicd/rsrt_val.jsonl (records of a VLM), rsicd/dataset_rsicd_trainval.json
(five human captions an image) and rsicd/images. The records of one image in ten are swapped
among each other, or only the last variants of these records are.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import report
from numpy.typing import NDArray

from trsllava.audit.agreement import OTHERS, agreements
from trsllava.audit.gists import Seeing, Vectors
from trsllava.audit.suspicions import LEAST, audit, joined
from trsllava.embedding import fingerprint, load_embedder
from trsllava.embedding.pictures import load_eye
from trsllava.store.importing import import_files
from trsllava.store.pictures import Pictures
from trsllava.store.store import create_store

SHARE = 0.1
DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data")
CAPTIONS = "captions" in sys.argv
VARIANTS = "variants" in sys.argv
if not DATA.exists():
    print(f"{DATA} is not there: nothing to measure on", file=sys.stderr)
    sys.exit(0)


def area(wrong: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve; ties count half."""
    swapped, sound = scores[wrong][:, None], scores[~wrong]
    return float((swapped > sound).mean() + (swapped == sound).mean() / 2)


def precision(wrong: NDArray[np.bool_], scores: NDArray[np.float64], share: float) -> float:
    """Return how many of the worst share of all records are wrong ones."""
    worst = np.argsort(-scores, kind="stable")[: round(share * len(scores))]
    return float(wrong[worst].mean())


if CAPTIONS:
    body = json.loads((DATA / "rsicd/dataset_rsicd_trainval.json").read_text(encoding="utf-8"))
    texts = {
        image["filename"]: [{"caption": sentence["raw"]} for sentence in image["sentences"]]
        for image in body["images"]
        if image["split"] == "val"
    }
else:
    lines = [json.loads(line) for line in (DATA / "rsicd/rsrt_val.jsonl").open(encoding="utf-8")]
    texts = {line["image"]: line["variants"] for line in lines}
draw = random.Random(1)
swapped = draw.sample(sorted(texts), round(SHARE * len(texts)))
given = dict(texts)
for image, other in zip(swapped, swapped[1:] + swapped[:1], strict=True):
    given[image] = [*texts[image][:-1], texts[other][-1]] if VARIANTS else texts[other]
with tempfile.TemporaryDirectory() as name:
    file = Path(name) / "records.jsonl"
    file.write_text(
        "\n".join(json.dumps({"image": image, "variants": own}) for image, own in given.items())
    )
    store = create_store(Path(name) / "store")
    import_files(store, [file])
    encoder, eye = load_embedder(), load_eye()
    pictures = Pictures(store.view(), (DATA / "rsicd/images",))
    vectors = Vectors(
        store.view(), fingerprint(encoder), encoder, eye.text_mean, Seeing(eye, pictures)
    )
    told = {agreement.image: agreement for agreement in agreements(vectors)}
    words = {suspicion.image: suspicion.parts for suspicion in audit(store.view())}

wrong = np.array([image in set(swapped) for image in given])
parts = {
    "picture": [told[image].picture for image in given],
    "neighbours": [told[image].neighbours for image in given],
    "picture_and_neighbours": [told[image].parts["picture"] for image in given],
    "variants": [told[image].parts["variants"] for image in given],
    "agreement": [joined(image, told[image].parts, ()).score for image in given],
    "words": [joined(image, words.get(image, {}), ()).score for image in given],
    "without_variants": [
        joined(i, {**words.get(i, {}), "picture": told[i].parts["picture"]}, ()).score
        for i in given
    ],
    "score": [
        joined(image, {**words.get(image, {}), **told[image].parts}, ()).score for image in given
    ],
}
ranked = {key: np.array(scores, np.float64) for key, scores in parts.items()}
# Of many pictures people rightly say the same: their words tell nothing (docs/audit.md).
score = ranked["agreement" if CAPTIONS else "score"]
report(
    records=len(given),
    wrong=len(swapped),
    others=OTHERS,
    area_under_curve={key: round(area(wrong, scores), 4) for key, scores in ranked.items()},
    precision_in_worst_5_percent=precision(wrong, score, 0.05),
    precision_in_worst_10_percent=precision(wrong, score, 0.10),
    score_of_the_sound=np.percentile(score[~wrong], (50, 90, 99)).round(3).tolist(),
    score_of_the_wrong=np.percentile(score[wrong], (10, 50, 90)).round(3).tolist(),
    shown_of_the_sound=float((score[~wrong] >= LEAST).mean()),
    shown_of_the_wrong=float((score[wrong] >= LEAST).mean()),
)
