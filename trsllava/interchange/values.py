"""The single values of a line from outside, each checked, each error short whatever was given."""

import os
import re
from pathlib import Path

from trsllava.errors import InputError
from trsllava.records import image_id

_ID_LENGTH = 4096  # no path of a POSIX system is longer
_UNFIT = re.compile("[\0\ud800-\udfff]")


def checked_id(name: object, images: Path | None = None) -> str:
    """Return an image id in its one spelling.

    Raises `InputError` if it could never be one.
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
        resolved = Path(os.path.realpath(path.parent), path.name)
        if images.resolve() in resolved.parents:
            return resolved.relative_to(images.resolve()).as_posix()
    raise InputError(f"the image id {name!r} is absolute and not under {images}")


def checked_model(value: object) -> str | None:
    """Check the name of the model that wrote a record; null and empty say nothing.

    Raises `InputError` if it is not a text.
    """
    return None if value is None or value == "" else fit(text_of(value, "model"), "model")


def text_of(value: object, where: str) -> str:
    """Check that a text is there."""
    if not isinstance(value, str):
        raise InputError(f"{where} must be a string, not {kind(value)}")
    if not value or value.isspace():
        raise InputError(f"{where} is {'blank' if value else 'empty'}")
    return value


def fit(text: str, where: str) -> str:
    """Refuse NUL and lone surrogates."""
    unfit = _UNFIT.search(text)
    if unfit:
        what = "a NUL character" if unfit[0] == "\0" else f"the lone surrogate {unfit[0]!a}"
        raise InputError(f"{where} holds {what}")
    return text


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
