"""The pictures that are learnt from, and what the backbone sees in them, kept on disk.

RSICD's train and val splits, and scenes of the sample archive's painter with seeds of their own.
"""

import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image

from captioner_training.backbone import SIDE, SUMMARY, TOKEN, TOKENS, Backbone
from trsllava import resources
from trsllava.light.eye import fit
from trsllava.records import FIELDS

_BATCH = 16
_QUALITY = 90  # of the painted scenes' JPEG, as in the sample archive
# As it is, mirrored, turned, both: any side of a photograph from above is up.
VIEWS = (0, 4, 1, 5)


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is learnt from, all of one length.

    ``captions`` are people's, ``records`` fifteen texts (five variants of the three fields) where
    there is a record.
    """

    names: list[str]
    splits: list[str]
    captions: list[list[str]]
    records: list[list[str] | None]

    def rows(self, *splits: str) -> NDArray[np.int64]:
        """Return the places of the pictures of some splits."""
        return np.array([n for n, split in enumerate(self.splits) if split in splits])


def read_pictures(data: Path, work: Path, painted: int, limit: int | None) -> Pictures:
    """Read RSICD's annotations and our records, and paint scenes.

    Parameters
    ----------
    data
        The folder that holds ``images/``, ``dataset_rsicd_trainval.json``, ``rsrt_train.jsonl``
        and ``rsrt_val.jsonl``.
    work
        Painted scenes go to ``painted/`` in it.
    painted
        How many scenes; the last tenth is kept for validation (split ``painted_val``).
    limit
        So many pictures of each split at most, for a trial.

    Returns
    -------
    Pictures
        Photographs first, then painted scenes.
    """
    annotations = json.loads((data / "dataset_rsicd_trainval.json").read_text(encoding="utf-8"))
    written = {
        split: {line["image"]: _texts(line) for line in _lines(data / f"rsrt_{split}.jsonl")}
        for split in ("train", "val")
    }
    found = Pictures([], [], [], [])
    taken = {"train": 0, "val": 0}
    for image in annotations["images"]:
        split = image["split"]
        if limit is not None and taken[split] >= limit:
            continue
        taken[split] += 1
        found.names.append(image["filename"])
        found.splits.append(split)
        found.captions.append([sentence["raw"].strip() for sentence in image["sentences"]])
        found.records.append(written[split].get(image["filename"]))
    for number, (name, texts) in enumerate(_painted(work / "painted", painted)):
        found.names.append(name)
        found.splits.append("painted_val" if number >= painted - painted // 10 else "painted")
        found.captions.append([])
        found.records.append(texts)
    return found


def _lines(path: Path) -> Iterator[dict]:  # type: ignore[type-arg]
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _texts(line: dict) -> list[str]:  # type: ignore[type-arg]
    return [variant[field] for variant in line["variants"] for field in FIELDS]


def _painted(folder: Path, count: int) -> Iterator[tuple[str, list[str]]]:
    """Paint scenes whose seeds the sample archive never uses; yield their names and texts."""
    painter = resources.load_script("datasets/sample_archive.py")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        name = f"painted_{number:05d}.jpg"
        texts = folder / f"{name}.json"
        if not texts.exists():
            scene = painter.scene(painter.KINDS[number % len(painter.KINDS)], 10_000_000 + number)
            buffer = io.BytesIO()
            Image.fromarray(scene.pixels).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
            (folder / name).write_bytes(buffer.getvalue())
            texts.write_text(json.dumps([text.text for text in scene.record(name).texts()]))
        yield name, json.loads(texts.read_text())


@dataclass(frozen=True, slots=True)
class Seen:
    """What the backbone sees, for each view: tokens (n, 25, 592) float16, summary (n, 1520)."""

    tokens: list[torch.Tensor]
    summary: list[torch.Tensor]


def export_backbone(path: Path) -> None:
    """Write the backbone as ONNX, which sees twice as fast as PyTorch on a processor."""
    example = torch.zeros((2, SIDE, SIDE, 3), dtype=torch.uint8)
    torch.onnx.export(
        Backbone().eval(),
        (example,),
        str(path),
        input_names=["pixels"],
        output_names=["tokens", "summary"],
        dynamic_axes={name: {0: "n"} for name in ("pixels", "tokens", "summary")},
        opset_version=17,
        dynamo=False,
    )


def look(pictures: Pictures, data: Path, work: Path) -> Seen:
    """Return what the backbone sees in every view, computing what is not on disk yet.

    Painted scenes are only seen as they are, for their texts say where things lie.
    """
    model = work / "backbone.onnx"
    if not model.exists():
        export_backbone(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options)
    seen = Seen([], [])
    for view in VIEWS:
        tokens, summary = (work / f"{part}_{view}.npy" for part in ("tokens", "summary"))
        if not summary.exists():
            _look_at(session, pictures, data, work, view)
        seen.tokens.append(torch.from_numpy(np.load(tokens)))
        seen.summary.append(torch.from_numpy(np.load(summary)))
        if len(seen.summary[-1]) != len(pictures.names):
            raise SystemExit(f"{summary} is of other pictures; use another --work folder")
    return seen


def _look_at(
    session: onnxruntime.InferenceSession, pictures: Pictures, data: Path, work: Path, view: int
) -> None:
    """See every picture from one side, and keep it."""
    started = time.time()
    rows = range(len(pictures.names))
    if view == 0:
        tokens = np.empty((len(rows), TOKENS, TOKEN), np.float16)
        summary = np.empty((len(rows), SUMMARY), np.float32)
    else:
        tokens, summary = np.load(work / "tokens_0.npy"), np.load(work / "summary_0.npy")
        rows = range(len(pictures.rows("train", "val")))  # they come before the painted ones

    def see(first: int) -> None:
        part = rows[first : first + _BATCH]
        pixels = np.stack([_view(_pixels(pictures, n, data, work), view) for n in part])
        tokens[part.start : part.stop], summary[part.start : part.stop] = session.run(
            None, {"pixels": pixels}
        )

    with ThreadPoolExecutor() as pool:
        list(pool.map(see, range(0, len(rows), _BATCH)))
    np.save(work / f"tokens_{view}.npy", tokens)
    np.save(work / f"summary_{view}.npy", summary)
    print(f"view {view}: {len(rows) / (time.time() - started):.0f} pictures/s", flush=True)


def _pixels(pictures: Pictures, row: int, data: Path, work: Path) -> NDArray[np.uint8]:
    name = pictures.names[row]
    painted = pictures.splits[row].startswith("painted")
    with Image.open((work / "painted" if painted else data / "images") / name) as image:
        return fit(image)


def _view(pixels: NDArray[np.uint8], view: int) -> NDArray[np.uint8]:
    """Turn a picture by quarter turns; those from 4 on are mirrored too."""
    turned = np.rot90(pixels, view % 4)
    return np.ascontiguousarray(turned[:, ::-1] if view >= 4 else turned)
