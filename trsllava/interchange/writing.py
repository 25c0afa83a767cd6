"""Exports: one file a format, streamed, published whole or not at all."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from trsllava.errors import InputError, UsageError
from trsllava.interchange.geojson import write_geojson
from trsllava.interchange.parquet import write_parquet
from trsllava.interchange.rsrt import write_captions, write_rsrt
from trsllava.interchange.tables import write_csv
from trsllava.records import Record
from trsllava.store.files import publishing

_WRITERS: dict[str, Callable[[BinaryIO, Iterable[Record]], int]] = {
    "rsrt": write_rsrt,
    "captions": write_captions,
    "csv": write_csv,
    "parquet": write_parquet,
    "geojson": write_geojson,
}
_SUFFIXES = {
    ".jsonl": "rsrt",
    ".ndjson": "rsrt",
    ".csv": "csv",
    ".parquet": "parquet",
    ".geojson": "geojson",
}
FORMATS = tuple(_WRITERS)


def write(path: Path, records: Iterable[Record], format: str | None = None) -> int:
    """Write records to a file, which appears when all of them are in it.

    Parameters
    ----------
    path
        The file; one that is there already is replaced.
    records
        May be empty.
    format
        One of `FORMATS`; by default the suffix tells.

    Returns
    -------
    int
        The number of records.

    Raises
    ------
    UsageError
        If there is no such format, the suffix tells none, or ``path`` is a folder.
    InputError
        If the file cannot be written.
    MissingExtra
        If it is parquet and pyarrow is not installed.
    """
    path = Path(path)
    name = format or _SUFFIXES.get(path.suffix.lower())
    if name not in _WRITERS:
        what = f"no export format is called {format!r}" if format else f"{path} has no known suffix"
        suffixes = ", ".join(_SUFFIXES)
        raise UsageError(f"{what}; formats are {', '.join(FORMATS)}, suffixes {suffixes}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file")
    try:
        with publishing(path) as file:
            return _WRITERS[name](file, records)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
