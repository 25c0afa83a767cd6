"""Whether `audit --images` finds records of other pictures, on RSICD's validation split.

    python benchmarks/fits.py [../shared/data]

The folder holds rsicd/rsrt_val.jsonl and rsicd/images. One record in eight gets another's texts.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import report

from trsllava.audit.agreement import OTHERS, fits
from trsllava.audit.suspicions import LEAST
from trsllava.embedding import load_embedder
from trsllava.embedding.pictures import load_eye
from trsllava.store.importing import import_files
from trsllava.store.pictures import Pictures
from trsllava.store.store import create_store

DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data")
if not DATA.exists():
    print(f"{DATA} is not there: nothing to measure on", file=sys.stderr)
    sys.exit(0)

lines = [json.loads(line) for line in (DATA / "rsicd/rsrt_val.jsonl").open(encoding="utf-8")]
texts = {line["image"]: line["variants"] for line in lines}
wrong = random.Random(1).sample(sorted(texts), len(texts) // 8)
texts |= {image: texts[other] for image, other in zip(wrong, wrong[1:] + wrong[:1], strict=True)}
with tempfile.TemporaryDirectory() as name:
    file = Path(name) / "records.jsonl"
    body = (json.dumps({"image": image, "variants": own}) for image, own in texts.items())
    file.write_text("\n".join(body))
    store = create_store(Path(name) / "store")
    import_files(store, [file])
    pictures = Pictures(store.view(), (DATA / "rsicd/images",))
    found = {fit.image: fit for fit in fits(pictures, load_eye(), load_embedder())}
sound = np.array([found[image].better for image in texts if image not in wrong])
swapped = np.array([found[image].better for image in wrong])
worst = sorted(found.values(), key=lambda fit: -(fit.better or 0))[: len(wrong)]
above = (swapped[:, None] > sound).mean() + (swapped[:, None] == sound).mean() / 2
report(
    records=len(texts),
    wrong=len(wrong),
    others=OTHERS,
    area_under_curve=float(
        (swapped[:, None] > sound).mean() + (swapped[:, None] == sound).mean() / 2
    ),
    better_sound=np.percentile(sound, (50, 90, 99)).round(3).tolist(),
    better_wrong=np.percentile(swapped, (10, 50, 90)).round(3).tolist(),
    shown_of_the_sound=float(np.mean([found[i].score >= LEAST for i in texts if i not in wrong])),
    shown_of_the_wrong=float(np.mean([found[i].score >= LEAST for i in wrong])),
    wrong_among_as_many_worst=sum(fit.image in wrong for fit in worst) / len(wrong),
)
