"""What the texts of an image are judged by, and which images are of one class."""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from trsllava.errors import InputError
from trsllava.interchange import read
from trsllava.interchange.pieces import Piece, assemble
from trsllava.records import Record

CLASSES = (
    "airport bareland baseballfield beach bridge center church commercial denseresidential desert"
    " farmland forest industrial meadow mediumresidential mountain park parking playground pond"
    " port railwaystation resort river school sparseresidential square stadium storagetanks viaduct"
).split()
# Numeric file names carry no class: the first of these words that a caption holds tells it. What
# names one class alone comes first, what many pictures hold comes last.
_HINTS = {
    "airport": r"airport|planes?|airplanes?|runways?|terminal",
    "viaduct": r"viaducts?|overpass\w*|flyovers?|interchange",
    "storagetanks": r"storage ?tanks?|tanks",
    "baseballfield": r"baseball ?fields?|baseball diamonds?",
    "railwaystation": r"railway ?stations?|train stations?",
    "stadium": r"stadiums?",
    "church": r"church(?:es)?",
    "bridge": r"bridges?",
    "port": r"ports?|harbou?rs?|wharf|docks?",
    "school": r"schools?|campus",
    "resort": r"resorts?",
    "denseresidential": r"dense(?:ly)? (?:\w+ )?residential",
    "mediumresidential": r"medium residential",
    "sparseresidential": r"sparse(?:ly)? (?:\w+ )?residential",
    "industrial": r"industrial|factory|factories",
    "commercial": r"commercial|business",
    "beach": r"beach(?:es)?",
    "desert": r"deserts?|dunes?",
    "mountain": r"mountains?",
    "farmland": r"farmlands?|farm",
    "meadow": r"meadows?|grasslands?",
    "forest": r"forests?|woods",
    "bareland": r"barelands?|bare land",
    "playground": r"playgrounds?|football|basketball|tennis",
    "parking": r"parking|parked",
    "park": r"park",
    "center": r"center|centre",
    "square": r"square",
    "river": r"rivers?",
    "pond": r"ponds?",
}
_NAMED = re.compile(r"([a-z]+)_\d+\.\w+")


@dataclass(frozen=True, slots=True)
class Truth:
    """The validation split: frontier records, human captions and classes, by image."""

    records: Mapping[str, Record]
    captions: Mapping[str, tuple[str, ...]]
    classes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Train:
    """The texts that a captioner may have learnt from."""

    captions: tuple[str, ...]
    records: tuple[Record, ...]

    def texts(self) -> list[str]:
        """Return the human captions and the texts of the records."""
        return [*self.captions, *(text.text for r in self.records for text in r.texts())]


def read_records(path: Path) -> list[Record]:
    """Read one record an image.

    Raises `InputError` if a line is no record; a line that tells a failure is passed over.
    """
    pieces: dict[str, list[Piece]] = defaultdict(list)
    for line in read(path):
        if isinstance(line.content, Piece):
            pieces[line.content.image].append(line.content)
        elif not line.content.failed:
            raise InputError(f"{path}:{line.number}: {line.content.reason}")
    return [assemble(of_one)[0] for of_one in pieces.values()]


def read_data(folder: Path) -> tuple[Truth, Train]:
    """Read what the folder ``rsicd`` of the real data holds of validation and train."""
    body = json.loads((folder / "dataset_rsicd_trainval.json").read_text(encoding="utf-8"))
    captions: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for image in body["images"]:
        raw = tuple(sentence["raw"] for sentence in image["sentences"])
        captions[image["split"]][image["filename"]] = raw
    classes = {
        name: found for name, raw in captions["val"].items() if (found := class_of(name, raw))
    }
    records = {record.image: record for record in read_records(folder / "rsrt_val.jsonl")}
    train = tuple(text for raw in captions["train"].values() for text in raw)
    return (
        Truth(records, captions["val"], classes),
        Train(train, tuple(read_records(folder / "rsrt_train.jsonl"))),
    )


def class_of(name: str, captions: Sequence[str]) -> str | None:
    """Return the class that a file name carries or most captions hint at; None if none does."""
    named = _NAMED.fullmatch(name)
    if named and named[1] in CLASSES:
        return named[1]
    hints = Counter(hint for caption in captions if (hint := _hint(caption.lower())))
    return hints.most_common(1)[0][0] if hints else None


def _hint(caption: str) -> str | None:
    return next((kind for kind, words in _patterns().items() if words.search(caption)), None)


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {kind: re.compile(rf"\b(?:{words})\b") for kind, words in _HINTS.items()}


def others(
    images: Iterable[str], truth: Truth, draws: int, seed: int, same_class: bool
) -> dict[str, list[str]]:
    """Draw other images for each, with replacement, of its class or of any.

    Parameters
    ----------
    images
        Those to draw for.
    truth
        Its records are drawn from.
    draws
        How many for each.
    seed
        The same draws the same.
    same_class
        Whether only of the same class; images without one then get none.

    Returns
    -------
    dict[str, list[str]]
        The images for each that has another to draw.
    """
    draw = random.Random(seed)
    pool = sorted(truth.records)
    kinds: dict[str | None, list[str]] = defaultdict(list)
    for image in pool:
        kinds[truth.classes.get(image)].append(image)
    drawn = {}
    for image in sorted(images):
        kind = truth.classes.get(image)
        if same_class and kind is None:
            continue
        choice = [other for other in (kinds[kind] if same_class else pool) if other != image]
        if choice:
            drawn[image] = draw.choices(choice, k=draws)
    return drawn
