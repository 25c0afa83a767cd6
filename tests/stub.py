"""What the tests share: an encoder that takes no time, and records made on the spot."""

import hashlib
import json

import numpy as np

from trsllava.records import FIELDS


class StubEncoder:
    """Sums one random unit vector a word, so texts that share words are near each other."""

    dimension = 32

    def __init__(self, name="stub"):
        self.name = name
        self.encoded = []

    def identity(self):
        return {"name": self.name, "revision": "1"}

    def encode(self, texts):
        self.encoded += texts
        found = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in text.split() or [""]:
                seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
                found[row] += np.random.default_rng(seed).standard_normal(self.dimension)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def encode_queries(self, texts):
        kept, found = list(self.encoded), self.encode(list(texts))
        self.encoded = kept
        return found

    def too_long(self, texts):
        return []


def record_line(image, word="field"):
    """A full record as a line of the official form."""
    variants = [{name: f"{word} {name} {n} of {image}" for name in FIELDS} for n in range(5)]
    return json.dumps({"image": image, "variants": variants})


def write_lines(path, lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


class ColourEye:
    """Sees the colour of a picture, and puts it where its encoder puts the colour's name."""

    def __init__(self, encoder, revision="1"):
        self.encoder, self.revision = encoder, revision
        self.dimension = encoder.dimension
        self.text_mean = np.full(self.dimension, 0.02, np.float32)
        self.looked = 0

    def identity(self):
        return {
            "name": "colour",
            "revision": self.revision,
            "encoder": self.encoder.identity()["name"],
        }

    def vectors(self, pictures):
        names = []
        for picture in pictures:
            means = np.asarray(picture.convert("RGB"), np.float32).mean(axis=(0, 1))
            names.append(("red", "green", "blue")[int(means.argmax())])
        self.looked += len(names)
        moved = self.encoder.encode_queries(names) - self.text_mean
        return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def paint_colours(folder, colours):
    """Pictures of one colour each; ``colours`` maps file names to names of colours."""
    from PIL import Image

    for name, colour in colours.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), colour).save(folder / name)
