"""Opening rasters: the file itself and nothing beside it, under it or far away.

Only GeoTIFF and JPEG 2000 are opened, told by their first bytes, never a format that names
other files (VRT) or addresses. Files beside the raster (``.aux.xml``, ``.ovr``, ``.msk``, world
files) are not looked at: pictures must not change with what lies around them.
"""

import errno
import os
import stat
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from trsllava.errors import MissingExtra
from trsllava.images.source import Unreadable
from trsllava.untrusted import printable

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_DRIVERS = (
    (b"II*\0", "GTiff"),
    (b"MM\0*", "GTiff"),
    (b"II+\0", "GTiff"),
    (b"MM\0+", "GTiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
)
_OF_THE_FILE = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO)
_SETTINGS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
_CACHE = 256 << 20  # bytes of decoded blocks that GDAL keeps, unless the user says otherwise
_BLOCK_LIMIT = 1 << 30  # bytes of one block, which can only be decoded whole
_KEPT_OPEN = 4  # rasters a thread
_OPENING = threading.Lock()


def _rasterio() -> Any:
    """Return rasterio."""
    try:
        import rasterio
    except ImportError as error:
        raise MissingExtra("a raster with --tile, --bands or 16 bits", "geo") from error
    return rasterio


def gdal_errors() -> tuple[type[Exception], ...]:
    """Return what is raised where GDAL fails: rasterio's own errors, and those it lets through."""
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    return RasterioError, CPLE_BaseError


@contextmanager
def gdal() -> Iterator[Any]:
    """Give rasterio, with GDAL's manners set, its memory bounded, its errors off the terminal."""
    rasterio = _rasterio()
    cache = {} if "GDAL_CACHEMAX" in os.environ else {"GDAL_CACHEMAX": _CACHE}
    with rasterio.Env(**_SETTINGS, **cache):
        yield rasterio


def open_raster(path: str) -> Any:
    """Open a raster for reading; the caller closes it.

    Parameters
    ----------
    path
        An absolute path of this machine.

    Returns
    -------
    rasterio.DatasetReader
        To be used by one thread at a time.

    Raises
    ------
    Unreadable
        If it is missing, not a raster that can be read, or only readable with unbounded memory.
    OSError
        If the disk is in trouble.
    MissingExtra
        If rasterio is not installed.
    """
    driver = driver_of(path)
    if driver is None:
        raise Unreadable("unreadable", f"{printable(path)} is neither a GeoTIFF nor JPEG 2000")
    with gdal() as rasterio:
        errors: tuple[type[Exception], ...] = (*gdal_errors(), ValueError)
        try:
            # Filters of warnings belong to the process: one thread at a time changes them.
            with _OPENING, warnings.catch_warnings():
                warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
                dataset = rasterio.open(path, driver=driver, sharing=False)
        except errors as error:
            raise Unreadable("unreadable", f"{printable(path)}: {one_line(error)}") from error
    try:
        _check(path, dataset)
    except Unreadable:
        dataset.close()
        raise
    return dataset


def driver_of(path: str) -> str | None:
    """Return the driver that the first bytes of a file ask for, None if it is no raster.

    Raises `Unreadable` if it cannot be opened, `OSError` if the disk is in trouble.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable("unreadable", f"{printable(path)} is not a file")
            head = file.read(12)
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error
    return next((driver for magic, driver in _DRIVERS if head.startswith(magic)), None)


def _without_waiting(path: str, flags: int) -> int:
    """Open without waiting for a writer, should it be a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _check(path: str, dataset: Any) -> None:
    """Refuse what no picture can be made of."""
    import numpy as np

    if not dataset.count:
        raise Unreadable("unreadable", f"{printable(path)} has no bands")
    kinds = {name for name in dataset.dtypes if name.startswith("complex")}
    if kinds:
        raise Unreadable(
            "complex", f"{printable(path)} holds complex numbers; take their amplitude"
        )
    rows, columns = dataset.block_shapes[0]
    size = rows * columns * np.dtype(dataset.dtypes[0]).itemsize
    if dataset.interleaving.value.lower() == "pixel":
        size *= dataset.count
    if size > _BLOCK_LIMIT:
        raise Unreadable(
            "bomb",
            f"{printable(path)} can only be decoded {size >> 20} MiB at a time; "
            "write it again in tiles (gdal_translate -of COG)",
        )


class _Opened(threading.local):
    """The rasters that this thread has open with what was found out of each, last used last."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.rasters: OrderedDict[tuple[Any, ...], tuple[Any, Any]] = OrderedDict()


_opened = _Opened()
_inherited: list[Any] = []


def kept_open(path: str, look: Callable[[Any, K], T], about: K) -> tuple[Any, T]:
    """Open a raster once a thread, inside `gdal`; it is closed when others have been used since.

    Parameters
    ----------
    path
        An absolute path of this machine.
    look
        What to find out once about the open raster, given it and ``about``.
    about
        What else that depends on, hashable.

    Returns
    -------
    tuple
        The open raster, and what ``look`` returned.

    Raises
    ------
    Unreadable
        As `open_raster` does, and `OSError` too.
    """
    if _opened.process != os.getpid():
        # A fork shares its parent's file positions: such files are neither read nor closed.
        _inherited.append(_opened.rasters)
        _opened.rasters = OrderedDict()
        _opened.process = os.getpid()
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error
    key = path, status.st_ino, status.st_size, status.st_mtime_ns, look, about
    if key not in _opened.rasters:
        dataset = open_raster(path)
        _opened.rasters[key] = dataset, look(dataset, about)
        while len(_opened.rasters) > _KEPT_OPEN:
            _opened.rasters.popitem(last=False)[1][0].close()
    _opened.rasters.move_to_end(key)
    return _opened.rasters[key]


def _refused(path: str, error: OSError | ValueError) -> Unreadable:
    """Return why a file cannot be opened, or raise the error if it is not the file's own."""
    told = f"{printable(path)}: {one_line(error)}"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        # Without its folder the whole disk may be away, and every picture would be called gone.
        if os.path.isdir(os.path.dirname(path)):
            return Unreadable("gone", told)
    elif isinstance(error, ValueError) or error.errno in _OF_THE_FILE:
        return Unreadable("unreadable", told)
    raise error


def one_line(error: BaseException) -> str:
    """Return what an error tells in one line that a terminal can show."""
    told = str(error.__cause__ or error) or type(error).__name__
    return printable(told.splitlines()[0][:300])


__all__ = ["driver_of", "gdal", "gdal_errors", "kept_open", "one_line", "open_raster"]
