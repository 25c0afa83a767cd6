"""The filters that commands share, as options."""

from typing import TYPE_CHECKING, Annotated

import typer

from trsllava.errors import InputError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from trsllava.records import BBox
    from trsllava.search.filters import Filters

WhereOption = Annotated[
    list[str] | None,
    typer.Option(metavar="K=V", help="A property that must be so; may be repeated."),
]
BboxOption = Annotated[
    str | None,
    typer.Option(metavar="W,S,E,N", help="Degrees that the footprint must meet."),
]
SinceOption = Annotated[
    str | None, typer.Option(metavar="D", help="Not earlier than this date or time (UTC).")
]
UntilOption = Annotated[
    str | None, typer.Option(metavar="D", help="Not later than this date or time (UTC).")
]


def read_filters(
    where: list[str] | None, bbox: str | None, since: str | None, until: str | None
) -> "Filters":
    """Return the filters that the options say; raises `UsageError` if one says nothing."""
    from trsllava.search.filters import Filters

    return Filters(
        where=tuple(_property(entry) for entry in where or ()),
        bbox=None if bbox is None else _box(bbox),
        since=None if since is None else _date("--since", since)[0],
        until=None if until is None else _date("--until", until)[1],
    )


def _property(entry: str) -> tuple[str, str]:
    key, equals, value = entry.partition("=")
    if not equals or not key:
        raise UsageError(f"--where {entry!r}: KEY=VALUE expected")
    return key, value


def _box(text: str) -> "BBox":
    from trsllava.records import bounding_box

    try:
        return bounding_box([float(part) for part in text.split(",")])
    except (ValueError, InputError) as error:
        reason = error if isinstance(error, InputError) else "W,S,E,N in degrees expected"
        raise UsageError(f"--bbox {text!r}: {reason}") from error


def _date(option: str, text: str) -> "tuple[datetime, datetime]":
    from trsllava.records import time_span

    try:
        return time_span(text)
    except InputError as error:
        raise UsageError(f"{option}: {error}") from error
