"""A tiny dataset of four-coloured pictures, and a backbone that sees the colours."""

import itertools
import json
import zlib

import numpy as np
from PIL import Image

from trsllava.compare.features import Read, Seen, Shapes, ragged

COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 200, 30),
    "blue": (30, 30, 200),
    "grey": (99, 99, 99),
}
CORNERS = ("nw", "ne", "sw", "se")
CHANCE = 9.0  # mR in percent of a random order of 60 pictures with two captions each, rounded up


def paint(folder, train=140, val=60):
    """Write pictures and annotations; return the path of the latter."""
    kinds = list(itertools.product(COLOURS, repeat=4))
    random = np.random.RandomState(3)
    random.shuffle(kinds)
    (folder / "images").mkdir(parents=True)
    images = []
    for number, kind in enumerate(kinds[: train + val]):
        pixels = np.zeros((16, 16, 3), np.uint8)
        for (row, column), name in zip(itertools.product((0, 8), (0, 8)), kind, strict=True):
            pixels[row : row + 8, column : column + 8] = COLOURS[str(name)]
        name = f"{kind[0]}_{number}.png"
        Image.fromarray(pixels).save(folder / "images" / name)
        words = [f"{corner}-{colour}" for corner, colour in zip(CORNERS, kind, strict=True)]
        texts = [" ".join(words), " ".join(["seen", *words[::-1]])]
        split = "train" if number < train else "val"
        sentences = [{"raw": text} for text in texts]
        images.append({"filename": name, "split": split, "sentences": sentences})
    path = folder / "annotations.json"
    path.write_text(json.dumps({"dataset": "four colours", "images": images}))
    return path


class TinyBackbone:
    """Colours of four by four cells; a word is a random vector of its own."""

    shapes = Shapes(image=48, depths=2, cells=16, channels=12, text=24, token=24)

    def __init__(self, revision="1"):
        self.revision = revision
        self.seen = self.read_ = 0

    def identity(self):
        return {"name": "tiny", "revision": self.revision}

    def see(self, pictures):
        self.seen += len(pictures)
        summaries, maps = [], []
        for picture in pictures:
            small = np.asarray(picture.convert("RGB").resize((4, 4)), np.float32) / 128 - 1
            summaries.append(small.ravel())
            cells = np.zeros((16, 12), np.float32)
            for cell in range(16):
                corner = 2 * (cell // 8) + (cell % 4) // 2
                cells[cell, 3 * corner : 3 * corner + 3] = small[cell // 4, cell % 4]
            maps.append(np.stack([cells, 2 * cells]))
        return Seen(np.stack(summaries), np.stack(maps).astype(np.float16))

    def read(self, texts) -> Read:
        self.read_ += len(texts)
        pieces = [np.stack([word(w) for w in text.split()]) for text in texts]
        means = np.stack([own.mean(0) for own in pieces])
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        return ragged((means / lengths).astype(np.float32), [p.astype(np.float16) for p in pieces])


def word(name):
    return np.random.RandomState(zlib.crc32(name.encode())).standard_normal(24)


def see_tiny(monkeypatch):
    """Have runs trained and measured on the tiny backbone, whatever their experiment names."""
    for module in ("train", "opened"):
        name = f"trsllava.compare.{module}.load_backbone"
        monkeypatch.setattr(name, lambda settings: TinyBackbone())
