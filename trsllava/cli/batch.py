"""Many queries from a file."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import typer

from trsllava.cli.show import note
from trsllava.errors import InputError
from trsllava.interchange.trec import escape
from trsllava.search.archive import Archive
from trsllava.search.query import Answer, Query


def read_queries(path: Path) -> list[tuple[str, str]]:
    """Read queries as (id, text), a line each; lines without an id are numbered.

    Raises `InputError` if the file cannot be read, holds no query, or gives an id twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text: {error}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, tab, text = line.partition("\t")
        key, text = (name.strip(), text) if tab else (str(number), line)
        if key in found:
            raise InputError(f"{path}, line {number}: the query id {key!r} is given twice")
        if not text.strip():
            raise InputError(f"{path}, line {number}: the query is empty")
        found[key] = text.strip()
    if not found:
        raise InputError(f"{path} holds no queries; write one a line")
    return list(found.items())


def answer_file(archive: Archive, like: Query, path: Path, as_json_lines: bool) -> None:
    """Print the hits of each query of a file, asked like ``like``."""
    told: set[str] = set()
    for key, text in read_queries(path):
        answer = archive.answer(replace(like, text=text))
        for line in answer.notes:
            if line not in told:
                note(line)
        told.update(answer.notes)
        if as_json_lines:
            typer.echo(json.dumps({"id": key, **answer.to_json()}))
        else:
            for line in _run_lines(key, answer):
                typer.echo(line)


def _run_lines(key: str, answer: Answer) -> Iterator[str]:
    """Yield the lines of a TREC run; scores strictly decrease, so that no tool re-sorts ties."""
    last = np.float32(np.inf)
    for hit in answer.hits:
        last = min(np.float32(hit.score), np.nextafter(last, np.float32(-np.inf)))
        yield f"{escape(key)} Q0 {escape(hit.image)} {hit.rank} {last:.9g} trsllava"
