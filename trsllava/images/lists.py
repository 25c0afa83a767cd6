"""List files: one path a line, relative to the folder of the list.

Blank lines and lines that begin with ``#`` are passed over (``./#1.png`` names such a file). The
id of an image is its line as written.
"""

import os
from collections.abc import Iterator
from dataclasses import replace

from trsllava.errors import InputError
from trsllava.images import formats
from trsllava.images.folders import file_found, link_refused
from trsllava.images.names import id_of, refused
from trsllava.images.source import Found, Reading, Skipped, Unfit
from trsllava.untrusted import printable

_LINE_LIMIT = 1 << 16
_BOM = "\ufeff"


def listed(path: str, reading: Reading) -> Iterator[Found]:
    """Yield what the lines of a list name.

    A line that names no file, or one outside the list's folder, is an unfit image.

    Parameters
    ----------
    path
        Absolute path of the list.
    reading
        How rasters are read.

    Yields
    ------
    Found
        What each line gives, in order.

    Raises
    ------
    InputError
        If it cannot be read as a list of paths.
    """
    folder = os.path.dirname(path)
    top = os.path.realpath(folder)
    for number, line in _lines(path):
        place = f"{printable(path)}, line {number}"
        try:
            id_of(line)
        except InputError as error:
            yield Unfit(refused(line), "bad_name", f"{place}: {error}")
            continue
        file = os.path.join(folder, line)
        if reason := link_refused(file, top):
            if reason == "link to a folder":
                yield Unfit(id_of(line), "not_an_image", f"{place}: a folder; give it as a PATH")
            else:
                yield Skipped(reason)
        elif formats.suffix(line) == formats.TAR:
            yield Unfit(id_of(line), "not_an_image", f"{place}: a tar; give it as a PATH")
        else:
            for found in file_found(file, line, reading):
                if isinstance(found, Unfit):
                    yield replace(found, detail=f"{place}: {found.detail}")
                else:
                    yield found


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that says something."""
    try:
        with open(path, "rb") as file:
            number = 0
            while raw := file.readline(_LINE_LIMIT):
                number += 1
                if len(raw) == _LINE_LIMIT or b"\0" in raw:
                    raise InputError(
                        f"{printable(path)}, line {number}: no list of paths (UTF-8, one a line)"
                    )
                line = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
                line = line.removeprefix(_BOM) if number == 1 else line
                if line.strip() and not line.startswith("#"):
                    yield number, line
    except OSError as error:
        raise InputError(f"{printable(path)} cannot be read: {error.strerror}") from error


__all__ = ["listed"]
