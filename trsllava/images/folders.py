"""Folders, walked one by one, and what a single file of an archive gives.

Links to files are followed if they stay inside; links to folders never, since what is inside is
found under its own name. So a walk ends, whatever links there are.
"""

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from importlib.util import find_spec

from trsllava.errors import ConflictError, InputError, MissingExtra, TrsllavaError
from trsllava.images import formats
from trsllava.images.names import id_of, refused
from trsllava.images.source import Found, Reading, Skipped, Source, Unfit, Unreadable
from trsllava.untrusted import printable


def walk(root: str, reading: Reading, start: str = "") -> Iterator[Found]:
    """Yield what is in a folder and below: its files in order of their names, then its folders.

    Parameters
    ----------
    root
        Absolute path of the folder that ids are relative to and that no link may leave.
    reading
        How rasters are read.
    start
        The folder to walk, relative to the root; the root itself if empty.

    Yields
    ------
    Found
        Everything but folders, one entry a thing.

    Raises
    ------
    InputError
        If the root itself cannot be listed.
    ConflictError
        If two names of one folder are equal after NFC.
    """
    top = os.path.realpath(root)
    pending = [start]
    while pending:
        folder = pending.pop()
        path = os.path.join(root, folder) if folder else root
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise InputError(f"{printable(path)} cannot be read: {error.strerror}") from error
            yield _unlisted(folder, path, error)
            continue
        folders = []
        wanted = []
        for entry in entries:
            relative = f"{folder}/{entry.name}" if folder else entry.name
            if formats.is_hidden(entry.name):
                yield Skipped("hidden")
            elif entry.is_dir(follow_symlinks=False):
                wanted.append(entry.name)
                folders.append(relative)
            elif reason := _refused(entry, top):
                yield Skipped(reason)
            else:
                wanted.append(entry.name)
                yield from file_found(entry.path, relative, reading)
        _refuse_twins(path, wanted)
        pending += reversed(folders)


def _refused(entry: os.DirEntry[str], top: str) -> str | None:
    """Return why a file of a folder is passed over; None if it is an image."""
    refused_link = link_refused(entry.path, top) if entry.is_symlink() else None
    return refused_link or formats.passed_over(entry.name)


def link_refused(path: str, top: str) -> str | None:
    """Return why what lies behind the links of a path is not read; None if it is.

    Parameters
    ----------
    path
        Absolute path of a file.
    top
        Absolute path, without links, of the folder that must not be left.

    Returns
    -------
    str or None
        The reason for which it is skipped.
    """
    real = os.path.realpath(path)
    if real != top and not real.startswith(os.path.join(top, "")):
        return "link leading out"
    if os.path.islink(real):
        return "link loop"
    return "link to a folder" if os.path.isdir(real) else None


def file_found(path: str, name: str, reading: Reading) -> Iterator[Found]:
    """Yield what one file gives: an image, the windows of a raster, or why neither.

    Parameters
    ----------
    path
        Its absolute path; a link in it is followed.
    name
        The relative path that makes its id.
    reading
        How rasters are read.

    Yields
    ------
    Found
        Sources, or why there are none.
    """
    try:
        image = id_of(name)
    except InputError as error:
        yield Unfit(refused(name), "bad_name", str(error))
        return
    try:
        status = os.stat(path)
    except OSError as error:
        reason = "gone" if error.errno in (errno.ENOENT, errno.ENOTDIR) else "unreadable"
        if reason == "unreadable" and error.errno not in (errno.EACCES, errno.EPERM, errno.ELOOP):
            raise _disk_trouble(path, error) from error
        yield Unfit(image, reason, f"{printable(path)}: {error.strerror}")
        return
    if not stat.S_ISREG(status.st_mode):
        yield Skipped("not a file")
    elif formats.suffix(name) in formats.RASTERS:
        yield from _raster_found(path, image, status, reading)
    else:
        yield Source(image, path, status.st_size, status.st_mtime_ns)


def _raster_found(
    path: str, image: str, status: os.stat_result, reading: Reading
) -> Iterator[Found]:
    """Yield a raster or its windows; without rasterio only what Pillow reads as well.

    Raises `MissingExtra` if windows or bands are asked for, which nothing else can give.
    """
    from pathlib import Path

    if find_spec("rasterio") is not None:
        from trsllava.images import scenes

        try:
            yield from scenes.sources(Path(path), image, reading)
        except Unreadable as error:
            yield Unfit(image, error.reason, str(error))
        return
    from trsllava.images.decode import is_plain

    lacking = MissingExtra(f"{printable(path)}, a raster,", "geo")
    if reading.tile or reading.bands:
        raise lacking
    if is_plain(path):
        yield Source(image, path, status.st_size, status.st_mtime_ns)
    else:  # one such file among pictures must not keep them all waiting
        yield Unfit(image, "needs_geo", f"{lacking}; then try it again with --retry-failed")


def _unlisted(folder: str, path: str, error: OSError) -> Found:
    """Return what a folder that cannot be listed is."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Skipped("gone while it was listed")
    if error.errno not in (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG):
        raise _disk_trouble(path, error) from error
    try:
        image = id_of(folder)
    except InputError:
        image = refused(folder)
    return Unfit(image, "unreadable", f"the folder {printable(path)}: {error.strerror}")


def _disk_trouble(path: str, error: OSError) -> TrsllavaError:
    return TrsllavaError(
        f"{printable(path)} cannot be read now: {error.strerror}; run it again when the disk is "
        "back"
    )


def _refuse_twins(folder: str, names: list[str]) -> None:
    """Raise `ConflictError` if two names are one after NFC."""
    if all(map(str.isascii, names)):
        return
    seen: dict[str, str] = {}
    for name in names:
        twin = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if twin != name:
            raise ConflictError(
                f"{printable(folder)}: the names {twin!a} and {name!a} are one and the "
                "same after Unicode normalisation (NFC); rename one"
            )


__all__ = ["file_found", "link_refused", "walk"]
