"""A parsed JSON object or table row, read as what it says about one image.

The forms are told apart by their keys, line by line:

=====================================================  ==========================================
``variants``: list                                     official form: a whole record
``custom_id`` with ``response`` or ``error``           OpenAI Batch output (`openai_batch`)
``text``: object, or text fields at top level          flat form: one variant
``caption`` (or ``text``: string) alone                caption line: one thin variant
=====================================================  ==========================================

A text whose key is absent was not given, and makes the record thin. A text
that is there but null, empty, blank or no string is an error of whoever wrote
it, and makes the line bad; so does a variant without any text. In tables,
which cannot leave a key out, an empty CSV cell and a null of parquet are
absent. Fewer than five variants make a thin record; of more than five the
first five are kept, with a note. A variant's number on flat lines is ignored:
their order counts. Keys that no form knows are ignored, except inside
``metadata``, where they are properties.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trsllava.errors import InputError
from trsllava.interchange.metadata import metadata_of
from trsllava.interchange.pieces import Piece
from trsllava.interchange.values import checked_id, checked_model, fit, kind, text_of
from trsllava.records import FIELDS, VARIANTS, Variant

ID_KEYS = ("image", "image_path", "filename", "file_name", "image_id")
FIELD_KEYS = {
    "one_sentence": "one_sentence",
    "one_sentence_caption": "one_sentence",
    "feature": "feature",
    "feature_analysis": "feature",
    "caption": "caption",
}
EXPECTED = (
    "a record has an 'image' and either 'variants', the texts 'one_sentence', 'feature', "
    "'caption', or a 'caption'"
)


def named_image(body: Mapping[str, Any], images: Path | None = None) -> str:
    """Return the id of the image that a body speaks of.

    An absolute path that lies under ``images`` is made relative to it.

    Raises `InputError` if there is no id or it could never be one.
    """
    for key in ID_KEYS:
        if key in body:
            return checked_id(body[key], images)
    raise InputError(f"no image id; {EXPECTED}")


def piece_of(
    body: Mapping[str, Any], images: Path | None = None, *, suspect: bool = True
) -> tuple[Piece, str | None]:
    """Read a body of the official, flat or caption form.

    Parameters
    ----------
    body
        The object of a line, or a row without its nulls.
    images
        The folder that absolute image paths are made relative to.
    suspect
        Whether texts may hold NUL or lone surrogates; False when the line's bytes ruled it out.

    Returns
    -------
    tuple[Piece, str | None]
        What it says, and a note of what was left out.

    Raises
    ------
    InputError
        If it is none of the forms, or a part of it is wrong.
    """
    image = named_image(body, images)
    note = None
    whole = "variants" in body
    if whole:
        variants, note = variants_of(body["variants"])
    else:
        variants = (_variant(_flat(body), ""),)
    if suspect:
        refuse_unfit(variants)
    model = checked_model(body.get("model"))
    return Piece(image, variants, whole, model, metadata_of(body)), note


def variants_of(value: object) -> tuple[tuple[Variant, ...], str | None]:
    """Read the list of variants of the official form.

    Raises `InputError` if it is no list, empty, or one of its first five is not a variant.
    """
    if not isinstance(value, list):
        raise InputError(f"'variants' must be a list, not {kind(value)}")
    if not value:
        raise InputError("'variants' is empty")
    variants = tuple(
        _variant(item, f"variant {number}: ")
        for number, item in enumerate(value[:VARIANTS], start=1)
    )
    if len(value) <= VARIANTS:
        return variants, None
    return variants, f"{len(value)} variants; the first {VARIANTS} were kept"


def _variant(body: object, where: str) -> Variant:
    """Read one variant; absent texts are empty."""
    if not isinstance(body, dict):
        raise InputError(f"{where}an object of texts expected, not {kind(body)}")
    if len(body) == 3:
        try:  # the usual case, fast
            texts = body["one_sentence"], body["feature"], body["caption"]
        except KeyError:
            pass
        else:
            for text in texts:
                if type(text) is not str or not text or text.isspace():
                    break
            else:
                return Variant(*texts)
    found: dict[str, str] = {}
    for key, name in FIELD_KEYS.items():
        if key in body:
            if name in found:
                raise InputError(f"{where}the text {name!r} is given under two names")
            found[name] = text_of(body[key], f"{where}{key}")
    if not found:
        raise InputError(f"{where}none of the texts {', '.join(FIELDS)} is there")
    return Variant(**found)


def _flat(body: Mapping[str, Any]) -> object:
    """Return the object that holds the texts of a flat line."""
    if "text" not in body:
        if not any(key in body for key in FIELD_KEYS):
            raise InputError(f"no text; {EXPECTED}")
        return body
    if any(key in body for key in FIELD_KEYS):
        raise InputError("texts stand both in 'text' and beside it")
    text = body["text"]
    return {"caption": text} if isinstance(text, str) else text


def refuse_unfit(variants: tuple[Variant, ...]) -> None:
    """Check every text for characters that UTF-8 files and C strings cannot hold.

    Raises `InputError` if one holds a NUL or a lone surrogate.
    """
    for number, variant in enumerate(variants, start=1):
        for name, text in zip(FIELDS, variant.texts(), strict=True):
            fit(text, f"variant {number}: {name}")
