"""The forms that a file of metadata may have, each as rows of names and values.

Of GeoJSON a row is a feature's properties, with its ``bbox`` or the box around its geometry.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trsllava.errors import InputError, MissingExtra, UsageError
from trsllava.images.geometry import box_around
from trsllava.images.stac import read_stac
from trsllava.interchange.bodies import ID_KEYS
from trsllava.untrusted import printable

_PARQUET = b"PAR1"
_OURS = {"model", "variants"}  # of records that `trsllava export` wrote as GeoJSON or parquet


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return number and content of each row of a file, what is absent left out.

    Raises `InputError` if it cannot be read (a `UsageError` if it names no images), `MissingExtra`
    if it is parquet and pyarrow is not installed; some of it as the rows are asked for.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except (OSError, ValueError) as error:
        raise InputError(f"{printable(str(path))} cannot be read: {error}") from error
    if head.startswith(_PARQUET):
        return _parquet_rows(path)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return _features(path)
    return _csv_rows(path)


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a CSV file; the number is that of the line where a row ends."""
    shown = printable(str(path))
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            first = file.readline()
            counts = {delimiter: first.count(delimiter) for delimiter in ",;\t"}
            file.seek(0)
            reader = csv.reader(file, delimiter=max(counts, key=counts.__getitem__), strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_columns(shown, header)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise InputError(
                        f"{shown}, line {reader.line_num}: {len(cells)} cells under a header of "
                        f"{len(header)}"
                    )
                row = zip(header, cells, strict=True)
                yield reader.line_num, {name: cell for name, cell in row if cell.strip() and name}
        except UnicodeDecodeError as error:
            raise InputError(f"{shown} is not UTF-8: {error.reason}; save it as UTF-8") from error
        except csv.Error as error:
            raise InputError(f"{shown}, line {reader.line_num}: not CSV: {error}") from error


def _check_columns(shown: str, names: list[str]) -> None:
    """Refuse a table that names no images, or a column twice."""
    lowered = [name.lower() for name in names if name]
    if not set(ID_KEYS) & set(lowered):
        raise UsageError(
            f"{shown} has the columns {printable(', '.join(names))[:200]}; one of "
            f"{', '.join(ID_KEYS)} must name the image"
        )
    twice = [name for name in lowered if lowered.count(name) > 1]
    if twice:
        raise UsageError(f"{shown} names the column {printable(twice[0])!r} twice")


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a parquet file, columns of bytes (geometries, pictures) left out."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("parquet", "parquet") from error
    shown = printable(str(path))
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            wanted = [
                field.name
                for field in table.schema_arrow
                if field.name not in _OURS and not _is_binary(field.type, pyarrow.types)
            ]
            _check_columns(shown, wanted)
            number = 0
            for batch in table.iter_batches(1024, columns=wanted, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield number, _json(row)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{shown} is not a sound parquet file: {printable(told)}") from error


def _is_binary(column: Any, types: Any) -> bool:
    return bool(
        types.is_binary(column)
        or types.is_large_binary(column)
        or types.is_fixed_size_binary(column)
    )


def _json(value: Any) -> Any:
    """Drop the nulls that stand for what is absent; give times their JSON form."""
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _features(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the features of a GeoJSON or STAC file, counted from 1."""
    body = read_stac(str(path))
    features = [body] if body["type"] == "Feature" else body.get("features")
    if not isinstance(features, list):
        raise UsageError(f"{printable(str(path))} holds no features, but a {body['type']}")
    for number, feature in enumerate(features, start=1):
        given = feature.get("properties") if isinstance(feature, dict) else None
        row = {
            key: value
            for key, value in (given if isinstance(given, dict) else {}).items()
            if value is not None and key not in _OURS
        }
        if isinstance(feature, dict):
            if not {key.lower() for key in row} & set(ID_KEYS) and feature.get("id") is not None:
                row["image"] = str(feature["id"])
            box = feature.get("bbox") or box_around(feature.get("geometry"))
            if box is not None:
                row["bbox"] = box
        yield number, row


__all__ = ["rows_of"]
