"""The halves of a validation split: one to choose on, the other to report."""

import hashlib

import numpy as np

from trsllava.evaluation.judgements import by_image, merged
from trsllava.evaluation.measures import places
from trsllava.evaluation.result import MEASURES


def half_of(image):
    """Return 0, to choose on, or 1, to report: the parity of the sha256 of an image's id."""
    return int(hashlib.sha256(image.encode()).hexdigest(), 16) % 2


def halves(dataset, scores):
    """Return mR by half, as it is and with shared captions merged.

    A query counts to the half of its own image; it is ranked among all images. Scores are
    float32 (captions, images), all of which have a record.
    """
    side = np.array([half_of(image) for image in dataset.images])
    own = {"i2t": side, "t2i": side[dataset.owner]}
    has_record = np.ones(len(dataset.images), bool)
    found = {}
    for name, judged in (("", by_image(dataset)), ("merged_", merged(dataset, has_record))):
        both = {"i2t": places(scores.T, judged.turned()), "t2i": places(scores, judged)}
        for number, half in enumerate(("choose", "report")):
            values = [
                m.expected(both[d])[own[d] == number].mean()
                for d in ("i2t", "t2i")
                for m in MEASURES
            ]
            found[f"{name}{half}"] = round(100 * float(np.mean(values)), 2)
    return found
