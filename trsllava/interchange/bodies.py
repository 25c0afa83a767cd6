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

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trsllava.errors import InputError
from trsllava.interchange.pieces import Piece
from trsllava.records import (
    FIELDS,
    VARIANTS,
    BBox,
    Metadata,
    Variant,
    bounding_box,
    image_id,
    time_span,
)

ID_KEYS = ("image", "image_path", "filename", "file_name", "image_id")
FIELD_KEYS = {
    "one_sentence": "one_sentence",
    "one_sentence_caption": "one_sentence",
    "feature": "feature",
    "feature_analysis": "feature",
    "caption": "caption",
}
METADATA_KEYS = ("bbox", "datetime", "start_datetime", "end_datetime", "properties")
EXPECTED = (
    "a record has an 'image' and either 'variants', the texts 'one_sentence', 'feature', "
    "'caption', or a 'caption'"
)

_ID_LENGTH = 4096  # no path of a POSIX system is longer
_DEPTH = 32
_UNFIT = re.compile("[\0\ud800-\udfff]")
_NO_METADATA = Metadata()


def named_image(body: Mapping[str, Any], images: Path | None = None) -> str:
    """Return the id of the image that a body speaks of.

    An absolute path that lies under ``images`` is made relative to it.

    Raises
    ------
    InputError
        If there is no id or it could never be one.
    """
    for key in ID_KEYS:
        if key in body:
            return checked_id(body[key], images)
    raise InputError(f"no image id; {EXPECTED}")


def checked_id(name: object, images: Path | None = None) -> str:
    """Return an image id in its one spelling.

    Raises
    ------
    InputError
        If it could never be one.
    """
    if not isinstance(name, str):
        raise InputError(f"an image id must be a string, not {kind(name)}")
    if len(name) > _ID_LENGTH:
        raise InputError(f"an image id of {len(name)} characters is longer than any path")
    if images is not None and name.startswith("/") and not _UNFIT.search(name):
        name = _relative(name, images)
    return image_id(name)


def _relative(name: str, images: Path) -> str:
    """Return an absolute path relative to the folder of the images."""
    path = Path(name)
    if ".." not in path.parts:
        for folder in (images.absolute(), images.resolve()):
            if folder in path.parents:
                return path.relative_to(folder).as_posix()
        resolved = path.resolve()
        if images.resolve() in resolved.parents:
            return resolved.relative_to(images.resolve()).as_posix()
    raise InputError(f"the image id {name!r} is absolute and not under {images}")


def piece_of(
    body: Mapping[str, Any], images: Path | None = None, *, suspect: bool = True
) -> tuple[Piece, str | None]:
    """Read a body of the official, flat or caption form.

    Parameters
    ----------
    body : Mapping[str, Any]
        The object of a line, or a row without its nulls.
    images : Path | None
        The folder that absolute image paths are made relative to.
    suspect : bool
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
    model = body.get("model")
    if model is not None:
        model = checked_model(model)
    return Piece(image, variants, whole, model, metadata_of(body)), note


def variants_of(value: object) -> tuple[tuple[Variant, ...], str | None]:
    """Read the list of variants of the official form.

    Raises
    ------
    InputError
        If it is no list, empty, or one of its first five is not a variant.
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
            found[name] = _text(body[key], f"{where}{key}")
    if not found:
        raise InputError(f"{where}none of the texts {', '.join(FIELDS)} is there")
    return Variant(**found)


def _text(value: object, where: str) -> str:
    """Check that a text is there."""
    if not isinstance(value, str):
        raise InputError(f"{where} must be a string, not {kind(value)}")
    if not value or value.isspace():
        raise InputError(f"{where} is {'blank' if value else 'empty'}")
    return value


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

    Raises
    ------
    InputError
        If one holds a NUL or a lone surrogate.
    """
    for number, variant in enumerate(variants, start=1):
        for name, text in zip(FIELDS, variant.texts(), strict=True):
            _fit(text, f"variant {number}: {name}")


def _fit(text: str, where: str) -> str:
    """Refuse NUL and lone surrogates."""
    unfit = _UNFIT.search(text)
    if unfit:
        what = "a NUL character" if unfit[0] == "\0" else f"the lone surrogate {unfit[0]!a}"
        raise InputError(f"{where} holds {what}")
    return text


def checked_model(value: object) -> str:
    """Check the name of the model that wrote a record.

    Raises
    ------
    InputError
        If it is not a text.
    """
    return _fit(_text(value, "model"), "model")


def metadata_of(body: Mapping[str, Any]) -> Metadata:
    """Read place, date and properties, at top level or inside ``metadata``; null is absent.

    Raises
    ------
    InputError
        If one of them is not what it should be.
    """
    inner = body.get("metadata")
    given = {key: body[key] for key in METADATA_KEYS if body.get(key) is not None}
    if inner is None and not given:
        return _NO_METADATA
    properties = _object(given.pop("properties", {}), "properties")
    if inner is not None:
        rest = dict(_object(inner, "metadata"))
        more = _object(rest.pop("properties", None) or {}, "metadata.properties")
        for key in METADATA_KEYS:
            value = rest.pop(key, None)
            if value is not None and given.setdefault(key, value) != value:
                raise InputError(f"{key} differs from metadata.{key}")
        properties = {**rest, **more, **properties}
    _check_json(properties, "properties", 0)
    return Metadata(_bbox(given.get("bbox")), _datetime(given), properties)


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} must be an object, not {kind(value)}")
    return value


def _bbox(value: object) -> BBox | None:
    if value is None:
        return None
    try:
        return bounding_box(value)
    except OverflowError as error:
        raise InputError("the bbox holds a number beyond all degrees") from error


def _datetime(given: Mapping[str, Any]) -> str | None:
    """Return ``datetime``, or the interval of ``start_datetime`` and ``end_datetime``."""
    value = given.get("datetime")
    if value is None and ("start_datetime" in given or "end_datetime" in given):
        ends = (given.get("start_datetime", ".."), given.get("end_datetime", ".."))
        for end in ends:
            if not isinstance(end, str) or "/" in end:
                raise InputError(f"{kind(end)} is not one end of an interval of time")
        value = "/".join(ends)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InputError(f"a datetime must be a string, not {kind(value)}")
    time_span(_fit(value, "datetime"))
    return value


def _check_json(value: object, where: str, depth: int) -> None:
    """Refuse properties that JSON, or a reader with a small stack, cannot take back."""
    if depth > _DEPTH:
        raise InputError(f"{where} is nested more than {_DEPTH} deep")
    if isinstance(value, str):
        _fit(value, where)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{where} holds {value}, which is not JSON")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_json(key, where, depth)
            _check_json(item, where, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_json(item, where, depth + 1)
    elif value is not None and not isinstance(value, bool | int):
        raise InputError(f"{where} holds {kind(value)}, which is not JSON")


def kind(value: object) -> str:
    """Return what a JSON value is, in words, however long it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, dict) else type(value).__name__
