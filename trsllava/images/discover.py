"""What an archive holds: every image of the PATHs that a job was given, under its id.

=============================  ============================================  ================
PATH                           what is taken                                 ids
=============================  ============================================  ================
folder                         pictures and rasters in it and below          relative to it
picture, raster                itself                                        its name
pattern (``*``, ``{0..9}``)    what matches, each as if it were given        relative to the
                                                                             fixed folder
list (``.txt``, ``.lst``)      the files on its lines                        as written
``.tar``                       pictures among its members                    member's name
STAC (``.json``)               assets of the items                           item and asset
=============================  ============================================  ================
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from trsllava.errors import ConflictError, UsageError
from trsllava.images import formats
from trsllava.images.folders import file_found, link_refused, walk
from trsllava.images.lists import listed
from trsllava.images.names import id_of
from trsllava.images.patterns import base_of, is_pattern, matches
from trsllava.images.source import Found, Reading, Skipped, Source, Unfit
from trsllava.images.tars import members
from trsllava.untrusted import printable


class _Place(NamedTuple):
    """One PATH: how it was given, what it holds, whether its ids are known to be distinct."""

    given: str
    find: Callable[[], Iterator[Found]]
    distinct: bool = False


def discover(paths: Sequence[str | Path], reading: Reading, prefix: str = "") -> Iterator[Found]:
    """Yield what there is at the paths, in their order.

    Parameters
    ----------
    paths
        Folders, pictures, rasters, patterns, lists, tars and STAC files.
    reading
        How rasters are read.
    prefix
        A relative path to put before every id, to tell archives apart.

    Returns
    -------
    Iterator[Found]
        Sources with distinct ids, what was skipped, and what cannot be an image though it should.
        Read as it is asked for, one folder at a time; it raises `ConflictError` if an id comes
        twice.

    Raises
    ------
    UsageError
        If a path does not exist or is nothing that images can be read from, or the reading asks
        for windows that cannot be.
    InputError
        If the prefix can be no part of an id.
    """
    from trsllava.images.scenes import check_tiles

    # Even where no scene is: such a reading would make a record set of its own.
    check_tiles(reading)
    if isinstance(paths, str | Path) or not paths:
        raise UsageError("give at least one PATH: " + formats.looked_for())
    before = id_of(prefix) + "/" if prefix else ""
    places = [_place(os.fspath(path), reading) for path in paths]
    return _found(places, before)


def _found(places: list[_Place], before: str) -> Iterator[Found]:
    """Yield what the places hold, and refuse an id that comes twice."""
    check = len(places) > 1 or not places[0].distinct
    # Sixteen bytes an image: the ids themselves could fill the memory.
    seen: dict[bytes, int] = {}
    for number, place in enumerate(places):
        for found in place.find():
            if isinstance(found, Skipped):
                yield found
                continue
            if check:
                key = blake2b(found.image.encode(), digest_size=16).digest()
                if key in seen:
                    raise _conflict(found, places[seen[key]], place)
                seen[key] = number
            yield replace(found, image=before + found.image) if before else found


def _conflict(found: Source | Unfit, first: _Place, second: _Place) -> ConflictError:
    """Say where an id comes from that came before."""
    image = printable(found.image)
    if first is second:
        return ConflictError(f"{first.given} holds the image id {image!r} twice; rename one")
    return ConflictError(
        f"the image id {image!r} comes from both {first.given} and {second.given}; take one of "
        "them in a run of its own with --prefix"
    )


def _place(given: str, reading: Reading) -> _Place:
    """Find out what one PATH is.

    Raises `UsageError` if it does not exist or is nothing that images can be read from.
    """
    shown = printable(given)
    path = os.path.abspath(given)
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{shown}: its whole path must be UTF-8; rename or mount it") from error
    try:
        mode = os.stat(given).st_mode
    except (OSError, ValueError) as error:
        if is_pattern(given):
            return _pattern(given, reading)
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{shown} cannot be read: {why}") from error
    if stat.S_ISDIR(mode):
        return _Place(shown, partial(walk, path, reading), distinct=True)
    if not stat.S_ISREG(mode):
        raise UsageError(f"{shown!r} is neither a file nor a folder")
    find = _file(path, os.path.basename(path), reading)
    if find is None:
        raise UsageError(f"{shown} is no kind of archive that is read: {formats.looked_for()}")
    return _Place(shown, find)


def _file(path: str, name: str, reading: Reading) -> Callable[[], Iterator[Found]] | None:
    """Return how a file is read, told by its suffix; None if it is of no kind that is.

    Raises `UsageError` of a compressed tar.
    """
    if path.lower().endswith(formats.COMPRESSED_TARS):
        raise UsageError(
            f"{printable(path)}: images cannot be read out of the middle of a compressed tar; "
            "uncompress it first"
        )
    ending = formats.suffix(path)
    if ending == formats.TAR:
        return partial(members, path, name)
    if ending in formats.LISTS:
        return partial(listed, path, reading)
    if ending in formats.STAC:
        return partial(_stac, path, reading)
    if ending in formats.PICTURES or ending in formats.RASTERS:
        return partial(file_found, path, name, reading)
    return None


def _stac(path: str, reading: Reading) -> Iterator[Found]:
    from trsllava.images import stac

    return stac.sources(Path(path), reading)


def _pattern(pattern: str, reading: Reading) -> _Place:
    """Return the place of all that a pattern matches.

    Raises `UsageError` if it matches nothing.
    """
    shown = printable(pattern)
    if next(matches(pattern), None) is None:
        raise UsageError(f"the pattern {shown} matches nothing")
    return _Place(shown, partial(_matched, pattern, reading))


def _matched(pattern: str, reading: Reading) -> Iterator[Found]:
    """Yield what each match gives."""
    base = os.path.abspath(base_of(pattern))
    top = os.path.realpath(base)
    for name, suffix_asked in matches(pattern):
        path = os.path.join(base, name)
        reason = link_refused(path, top)
        if reason == "link to a folder" and os.path.realpath(path) == os.path.join(top, name):
            yield from walk(base, reading, start=name)
            continue
        if reason is None and not suffix_asked and formats.suffix(name) != formats.TAR:
            # A list or a STAC file lies beside pictures as often as it is an archive.
            reason = formats.passed_over(os.path.basename(name))
        find = None if reason or not os.path.isfile(path) else _file(path, name, reading)
        if find is None:
            yield Skipped(reason or formats.passed_over(os.path.basename(name)) or "not a file")
        else:
            yield from find()


__all__ = ["discover"]
