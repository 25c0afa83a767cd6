"""WebDataset tars: where in the file the bytes of each image are; nothing is ever unpacked.

An image's id is the whole name of its member, dots and folders included: ``v1.2/a.jpg``,
``x.tile.3.png`` and ``x.tile.4.png`` are three images. Other members (``.txt``, ``.json``,
``.cls`` of the same sample) are companions. Members are told apart by name alone, never written
anywhere, and links among them not followed.
"""

import os
import tarfile
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from trsllava.errors import InputError, UsageError
from trsllava.images import formats
from trsllava.images.names import id_of, refused
from trsllava.images.source import Found, Skipped, Source, Unfit
from trsllava.untrusted import printable

_BLOCK = 512
# Names and attributes before a member; a header may claim any size for them.
_HEADER_LIMIT = 1 << 20
_TRAILER = 1 << 20  # bytes after the end mark that are looked at


def members(path: str, name: str) -> Iterator[Found]:
    """Yield the images of a tar, then what is wrong with it if anything is.

    Parameters
    ----------
    path
        Absolute path of the tar.
    name
        The relative path under which the tar itself is quarantined if it is damaged.

    Yields
    ------
    Found
        One entry a member that is not a folder.

    Raises
    ------
    UsageError
        If the file is no tar at all.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            yield from _read(file, path, name, status)
    except OSError as error:
        raise InputError(f"{printable(path)} cannot be read: {error.strerror}") from error


def _read(file: BinaryIO, path: str, name: str, status: os.stat_result) -> Iterator[Found]:
    if not status.st_size:
        yield Unfit(_id(name), "empty", f"{printable(path)} has no bytes")
        return
    try:
        tar = tarfile.TarFile(
            fileobj=cast(IO[bytes], _Bounded(file, status.st_size)),
            encoding="utf-8",
            errors="surrogateescape",
        )
    except tarfile.TarError as error:
        raise UsageError(f"{printable(path)} is not a tar: {error}") from error
    ended = 0
    while True:
        try:
            member = tar.next()
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            cut = max(ended, file.tell()) >= status.st_size
            yield _broken(path, name, "truncated" if cut else "damaged", str(error))
            return
        tar.members.clear()  # type: ignore[attr-defined]  # it keeps every header otherwise
        if member is None:
            break
        if tar.offset <= ended or member.size < 0:
            yield _broken(path, name, "damaged", "a member has a negative size")
            return
        ended = tar.offset
        yield from _found(member, path, status)
    yield from _end(file, ended, path, name, status.st_size)


def _found(member: tarfile.TarInfo, path: str, status: os.stat_result) -> Iterator[Found]:
    """Yield what one member is."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if member.isdir() or not parts:
        return
    if member.issym() or member.islnk():
        yield Skipped("link in a tar")
    elif not member.isfile():
        yield Skipped("not a file")
    elif any(map(formats.is_hidden, (part for part in parts if part != ".."))):
        yield Skipped("hidden")
    elif reason := formats.passed_over(parts[-1]):
        yield Skipped(reason)
    else:
        yield _image(member, path, status)


def _image(member: tarfile.TarInfo, path: str, status: os.stat_result) -> Found:
    try:
        image = id_of(member.name)
    except InputError as error:
        return Unfit(refused(member.name), "bad_name", f"{printable(path)}: {error}")
    if member.issparse():
        return Unfit(image, "unreadable", f"{printable(path)}: a sparse member; pack it plainly")
    if member.offset_data + member.size > status.st_size:
        return Unfit(image, "truncated", f"{printable(path)} ends inside it")
    place = (member.offset_data, member.size)
    return Source(image, path, member.size, status.st_mtime_ns, member=place)


def _end(file: BinaryIO, ended: int, path: str, name: str, size: int) -> Iterator[Found]:
    """Yield what is wrong after the last member: `tarfile` stops at anything odd in silence."""
    file.seek(ended)
    mark = file.read(_BLOCK)
    if len(mark) < _BLOCK:
        yield _broken(path, name, "truncated", "there is no end mark; was it copied whole?")
    elif mark.strip(b"\0"):
        yield _broken(path, name, "damaged", f"there is no header at byte {ended} of {size}")
    elif file.read(_TRAILER).strip(b"\0"):
        yield _broken(
            path, name, "damaged", "more follows its end mark; join tars with tar --concatenate"
        )


def _broken(path: str, name: str, reason: str, detail: str) -> Unfit:
    return Unfit(
        _id(name), reason, f"{printable(path)}: {printable(detail)}; what comes later is not read"
    )


def _id(name: str) -> str:
    try:
        return id_of(name)
    except InputError:
        return refused(name)


class _Bounded:
    """A file of which only little is read at a time, as its headers are, and nothing outside."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.tell = file.tell

    def seek(self, position: int) -> int:
        if not 0 <= position <= self._size:
            raise tarfile.ReadError("a member ends outside the file")
        return self._file.seek(position)

    def read(self, size: int) -> bytes:
        if size > _HEADER_LIMIT:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)


__all__ = ["members"]
