"""Parquet, through pyarrow (extra ``parquet``), in batches.

Read: a column that names the image, and either ``variants`` (a list of
structs: one row is a whole record) or text columns (one row is one variant).
A null is a text that was not given. Written: `write_parquet` shows the schema;
properties are a JSON string.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from trsllava.errors import InputError, MissingExtra, UsageError
from trsllava.interchange.bodies import FIELD_KEYS, ID_KEYS, named_image, piece_of
from trsllava.interchange.lines import parse_json
from trsllava.interchange.metadata import METADATA_KEYS
from trsllava.interchange.pieces import RAW_KEPT, BadLine, Line
from trsllava.records import FIELDS, Record, canonical_json

_BATCH = 1024  # rows held at a time, read or written
_BUFFER = 1 << 20  # bytes of a column read at a time, whatever the size of its row group
_TEXTS = {"variants", "text", *FIELD_KEYS}
_USED = {*ID_KEYS, *_TEXTS, "model", "metadata", *METADATA_KEYS}


def _pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its parquet module."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("parquet", "parquet") from error
    return pyarrow, pyarrow.parquet


def read_rows(
    path: Path, file: BinaryIO, start: tuple[int, int], images: Path | None
) -> Iterator[Line]:
    """Yield what each row says; a row's number is also its position.

    Raises `InputError` if the file is damaged, or (a `UsageError`) lacks the columns of a
    record.
    """
    pyarrow, parquet = _pyarrow()
    try:
        table = parquet.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER)
        columns = _columns(path, table.schema_arrow, pyarrow)
        first, groups = _groups(table, start[1])
        number = first
        for batch in table.iter_batches(
            _BATCH, row_groups=groups, columns=columns, use_threads=False
        ):
            if number + batch.num_rows <= start[1]:
                number += batch.num_rows
                continue
            for row in _rows(batch):
                number += 1
                if number > start[1]:
                    yield _line(number, row, images)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        told = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a sound parquet file: {told}") from error


def _columns(path: Path, schema: Any, pyarrow: Any) -> list[str]:
    """Return the columns to read; pictures, for one, stay on disk."""
    names = [name for name in schema.names if name in _USED]
    ids = [name for name in ID_KEYS if name in names]
    if not ids or not _TEXTS & set(names):
        raise UsageError(
            f"{path} has the columns {', '.join(schema.names)[:200]}; expected: image, and "
            f"variants or {', '.join(FIELDS)}"
        )
    if len(set(names)) < len(names):
        raise UsageError(f"{path} has two columns of one name")
    types = pyarrow.types
    for name in ids:
        column = schema.field(name).type
        if types.is_dictionary(column):
            column = column.value_type
        if not (types.is_string(column) or types.is_large_string(column)):
            raise UsageError(f"{path}: the column {name} must hold image ids, not {column}")
    return names


def _groups(table: Any, skipped: int) -> tuple[int, list[int]]:
    """Return the row groups that hold rows after the first ``skipped``, and the rows before."""
    before = 0
    for group in range(table.num_row_groups):
        rows = table.metadata.row_group(group).num_rows
        if before + rows > skipped:
            return before, list(range(group, table.num_row_groups))
        before += rows
    return before, []


def _rows(batch: Any) -> Iterator[dict[str, Any] | Exception]:
    """Yield the rows of a batch; one that Python cannot hold as its error."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):
        for at in range(batch.num_rows):
            try:
                yield batch.slice(at, 1).to_pylist()[0]
            except (ValueError, OverflowError) as error:  # not UTF-8, a year beyond 9999, ...
                yield error


def _line(number: int, row: dict[str, Any] | Exception, images: Path | None) -> Line:
    if isinstance(row, Exception):
        return Line(number, number, BadLine(f"a value cannot be read: {row}", None, b""))
    body = _without_nulls(row)
    try:
        if isinstance(body.get("properties"), str):
            body["properties"] = parse_json(body["properties"])
        piece, note = piece_of(body, images)
    except InputError as error:
        try:
            image = named_image(body, images)
        except InputError:
            image = None
        raw = json.dumps(body, default=str).encode()[:RAW_KEPT]
        return Line(number, number, BadLine(str(error), image, raw))
    return Line(number, number, piece, note)


def _without_nulls(value: Any) -> Any:
    """Drop the nulls that stand for what is absent; give times their JSON form."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def write_parquet(file: BinaryIO, records: Iterable[Record]) -> int:
    """Write one row per image in row groups; return the number of records."""
    pyarrow, parquet = _pyarrow()
    schema = pyarrow.schema(
        {
            "image": pyarrow.string(),
            "variants": pyarrow.list_(pyarrow.struct(dict.fromkeys(FIELDS, pyarrow.string()))),
            "model": pyarrow.string(),
            "bbox": pyarrow.list_(pyarrow.float64()),
            "datetime": pyarrow.string(),
            "properties": pyarrow.string(),
        }
    )
    count = 0
    rest = iter(records)
    with parquet.ParquetWriter(file, schema) as writer:
        while rows := [_row(record) for record in islice(rest, _BATCH)]:
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))
            count += len(rows)
    return count


def _row(record: Record) -> dict[str, Any]:
    row = record.to_json()
    if "properties" in row:
        row["properties"] = canonical_json(row["properties"]).decode()
    return row
