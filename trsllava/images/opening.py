"""From a source to the picture that a captioner gets."""

import errno
import hashlib
import os
import stat
from dataclasses import replace

from trsllava.images.decode import decode
from trsllava.images.prepare import prepare
from trsllava.images.source import Picture, Reading, Source, Unreadable
from trsllava.records import Metadata
from trsllava.untrusted import printable

# A file is read whole; larger pictures belong into GeoTIFFs, which are read by window.
BYTES_LIMIT = 1 << 30

# Errors that lie in the picture's file; all others are the disk's, and may be gone tomorrow.
_UNREADABLE = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO)
_GONE = (errno.ENOENT, errno.ENOTDIR)


def open_source(source: Source, reading: Reading) -> Picture:
    """Read the picture of a source, in bounded memory and whatever is in the file.

    Whether the file is still the one that was listed (size, time) is for the caller to ask.

    Parameters
    ----------
    source
        What `discover` yielded.
    reading
        The same as it was given there.

    Returns
    -------
    Picture
        Pixels brought to size by `prepare`; metadata of the source before that of the picture.

    Raises
    ------
    Unreadable
        If no picture can be made of it, with the reason.
    OSError
        If the disk is in trouble, or the folder of the picture is not there either.
    """
    if source.rendering is not None or source.window is not None:
        from trsllava.images import scenes

        return scenes.read(source, reading)
    data = _bytes_of(source)
    try:
        pixels, told = decode(data, reading.side)
        pixels = prepare(pixels, reading.side)
    except Unreadable as error:
        raise Unreadable(error.reason, f"{_place(source)}: {error}") from error
    return Picture(pixels, hashlib.sha256(data).hexdigest(), _merged(source.metadata, told))


def _bytes_of(source: Source) -> bytes:
    """Read the file, or its part that is a tar's member."""
    offset, size = source.member or (0, None)
    try:
        # A pipe that took the file's place must not be waited for.
        descriptor = os.open(source.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("not_an_image", f"{_place(source)} is not a file")
            wanted = status.st_size if size is None else size
            if wanted > BYTES_LIMIT:
                raise Unreadable(
                    "too_large",
                    f"{_place(source)} has {wanted} bytes, more than {BYTES_LIMIT >> 30} GiB; "
                    "write it as a GeoTIFF and give --tile",
                )
            file.seek(offset)
            data = file.read(wanted)
    except OSError as error:
        reason = _reason(source.path, error)
        if reason is None:
            raise
        raise Unreadable(reason, f"{_place(source)}: {error.strerror}") from error
    if size is not None and len(data) < size:
        raise Unreadable("truncated", f"{_place(source)}: the tar ends inside it")
    return data


def _reason(path: str, error: OSError) -> str | None:
    """Return the reason word of an error that lies in the picture's file alone."""
    if error.errno == errno.EISDIR:
        return "not_an_image"
    if error.errno in _UNREADABLE:
        return "unreadable"
    # Without its folder the whole disk may be away, and every picture would be called gone.
    if error.errno in _GONE and os.path.isdir(os.path.dirname(path)):
        return "gone"
    return None


def _place(source: Source) -> str:
    """Name a source for people."""
    inside = f" ({printable(source.image)})" if source.member else ""
    return f"{printable(source.path)}{inside}"


def _merged(known: Metadata, told: Metadata) -> Metadata:
    """Add what the picture tells to what was known without it."""
    return replace(
        known,
        bbox=known.bbox if known.bbox is not None else told.bbox,
        datetime=known.datetime if known.datetime is not None else told.datetime,
    )


__all__ = ["BYTES_LIMIT", "open_source"]
