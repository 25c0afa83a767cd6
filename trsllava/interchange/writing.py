"""Exports: one file a format, streamed, published whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

from trsllava.errors import UsageError
from trsllava.records import Record

FORMATS = ("rsrt", "captions", "csv", "parquet", "geojson")


def write(path: Path, records: Iterable[Record], format: str | None = None) -> int:
    """Write records to a file."""
    raise UsageError("not yet")
