"""JSON Lines as written: the official RSRT form, and plain captions."""

import json
from collections.abc import Iterable
from typing import Any, BinaryIO

from trsllava.records import FIELDS, Record


def write_rsrt(file: BinaryIO, records: Iterable[Record]) -> int:
    """Write one line per image; a thin record as one line per variant with the texts it has.

    Nothing is lost: what `trsllava.interchange.read` and `assemble` make of the lines is the
    records again. Return the number of records.
    """
    count = 0
    for record in records:
        count += 1
        if record.is_thin:
            file.writelines(_line(body) for body in _thin(record))
        else:
            file.write(_line(record.to_json()))
    return count


def _thin(record: Record) -> Iterable[dict[str, Any]]:
    """Return a flat line for each variant; of a record of captions, these are caption lines."""
    body = record.to_json()
    variants = body.pop("variants")
    image = body.pop("image")
    return [{"image": image, **variant, **body} for variant in variants]


def write_captions(file: BinaryIO, records: Iterable[Record]) -> int:
    """Write ``{"image", "caption"}``, one line per variant.

    Its caption is taken; of a variant without one, its first text. So an image has at most
    five lines, and none is lost when they are read again. Return the number of records.
    """
    count = 0
    for record in records:
        count += 1
        for variant in record.variants:
            texts = dict(zip(FIELDS, variant.texts(), strict=True))
            caption = texts["caption"] or texts["one_sentence"] or texts["feature"]
            file.write(_line({"image": record.image, "caption": caption}))
    return count


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode() + b"\n"
