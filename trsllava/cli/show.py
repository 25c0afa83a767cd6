"""Printing: safe on a terminal, plain in a pipe."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from trsllava.untrusted import printable


def data(text: str) -> None:
    """Print a line of data, made safe for a terminal."""
    typer.echo(printable(text))


def note(text: str) -> None:
    """Print a line about the work to stderr."""
    typer.echo(printable(text), err=True)


def as_json(value: Any) -> None:
    """Print a value as one JSON document; on a terminal indented."""
    indent = 2 if sys.stdout.isatty() else None
    # ensure_ascii also keeps control characters and lone surrogates off the terminal.
    typer.echo(json.dumps(value, indent=indent, ensure_ascii=True))


@contextmanager
def resumable(command: str) -> Iterator[None]:
    """On Ctrl-C say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"interrupted; run the same command again to go on: {command}")
        raise
