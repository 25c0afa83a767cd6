"""What the tests of the captioning job share: small archives, a captioner that names colours."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from trsllava.captioning.captioner import Captioned, CaptionerUnavailable, Failed, Usage
from trsllava.images.source import Reading
from trsllava.jobs.intake import Wish, take_in
from trsllava.jobs.job import Job, fingerprint_of, identity_of
from trsllava.jobs.run import run_job
from trsllava.records import Variant
from trsllava.store.store import create_store

COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 160, 30),
    "blue": (30, 30, 200),
    "yellow": (210, 210, 30),
    "white": (250, 250, 250),
}


def paint(path, colour="red", size=(64, 64)):
    """Save a picture of one colour; a corner drawn from the path keeps bytes of two apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size, COLOURS[colour])
    picture.putpixel((0, 0), tuple(hashlib.sha256(str(path).encode()).digest()[:3]))
    picture.save(path)
    return path


def paint_archive(folder, count):
    names = list(COLOURS)
    for number in range(count):
        paint(folder / f"{number:04d}.png", names[number % len(names)])
    return folder


def colour_of(pixels):
    mean = np.asarray(pixels.convert("RGB"), float).reshape(-1, 3).mean(0)
    return min(COLOURS, key=lambda name: float(((mean - COLOURS[name]) ** 2).sum()))


def variants(colour):
    return tuple(
        Variant(f"A {colour} {what}.", f"one {colour} {what}", f"The {what} is {colour}.")
        for what in ("field", "surface", "ground", "plain", "place")
    )


class Colours:
    """Names the colour of each picture; can refuse, be away, or die at given images."""

    def __init__(self, version=1, *, refuse=(), away_after=None, dies_at=None):
        self.version, self.refuse, self.away_after = version, set(refuse), away_after
        self.dies_at = dies_at
        self.asked = []

    def identity(self):
        return {"captioner": "colours", "model": "colours-1", "version": self.version}

    def caption(self, images):
        for prepared in images:
            if self.away_after is not None and len(self.asked) >= self.away_after:
                raise CaptionerUnavailable("http://127.0.0.1:1 does not answer")
            self.asked.append(prepared.image)
            if prepared.image == self.dies_at:
                raise KeyboardInterrupt
            if prepared.image in self.refuse:
                yield Failed(prepared.image, "refused", "the model refused", "I'm sorry")
            else:
                yield Captioned(
                    prepared.image, variants(colour_of(prepared.pixels)), (), Usage(300, 200, 1)
                )


def caption(root, paths, captioner, *, called="colours", reading=None, shard=(1, 1), **wishes):
    """Take in and caption, as the command does; return what was taken and what was counted."""
    limits = {key: wishes.pop(key) for key in ("limits", "strict", "workers") if key in wishes}
    reading = reading or Reading()
    store = create_store(root)
    identity = identity_of(captioner, reading)
    name = fingerprint_of(identity)
    paths = tuple(str(path) for path in ([paths] if isinstance(paths, Path) else paths))
    taken = take_in(store, name, identity, Wish(paths, reading, **wishes), follow=shard[0] > 1)
    job = Job(str(root), name, called, {}, reading, shard)
    tally, _ = run_job(job, store, captioner, **limits)
    return taken, tally


def balance(view):
    """Return images, records, quarantined, pending; the first is the sum of the others."""
    parts = (view.records, len(view.quarantined), view.pending)
    return sum(parts), *parts


def published(root):
    """Return every file that must not vary between runs, with its content."""
    varying = ("leases", "side", "journal", "lock")
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(Path(root).rglob("*"))
        if path.is_file() and path.relative_to(root).parts[0] not in varying
    }


def sentence(view, image):
    return view.record(view.find(image)).variants[0].one_sentence
