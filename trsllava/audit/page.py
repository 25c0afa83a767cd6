"""A page of the records that look wrong, to look at: it stands alone, pictures and style inside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trsllava.audit.suspicions import Suspicion
from trsllava.pages import publish_page
from trsllava.records import Record
from trsllava.search.pictures import thumbnail
from trsllava.store.pictures import Pictures

_PARTS = {
    "picture": "picture and the records around it",
    "variants": "a variant apart from the others",
    "repeats": "texts of other pictures",
    "stock": "stock phrases",
    "own": "texts that repeat one another",
}


def write_page(path: Path, found: Sequence[Suspicion], pictures: Pictures, hidden: int = 0) -> None:
    """Write records with their pictures, texts, reasons and the parts of their scores.

    Parameters
    ----------
    path
        The file.
    found
        The records to show, in their order.
    pictures
        The store's state that was audited, and where its pictures are.
    hidden
        How many more records look wrong.
    """
    entries = [_entry(suspicion, pictures) for suspicion in found]
    publish_page(
        path,
        Path(__file__).with_name("page.html"),
        entries=entries,
        records=pictures.view.records,
        wrong=len(found) + hidden,
        unseen=sum(entry["picture"] is None for entry in entries),
    )


def _entry(suspicion: Suspicion, pictures: Pictures) -> dict[str, Any]:
    place = pictures.view.find(suspicion.image)
    source = pictures.source(suspicion.image)
    picture, missing = (None, "picture not at hand") if source is None else thumbnail(source)
    return {
        "image": suspicion.image,
        "score": suspicion.score,
        "reasons": suspicion.reasons,
        "parts": [(_PARTS[key], part) for key, part in suspicion.parts.items() if part > 0],
        "variants": [] if place is None else _texts(pictures.view.record(place)),
        "picture": picture,
        "missing": missing,
    }


def _texts(record: Record) -> list[tuple[int, list[str]]]:
    """Return the texts of each variant."""
    return [
        (number, [text for text in variant.texts() if text])
        for number, variant in enumerate(record.variants, start=1)
    ]
