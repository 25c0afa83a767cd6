"""TREC qrels and runs, and the layout of BEIR.

Fields of a TREC file are separated by white space, so in ids white space, control characters and
``%`` are written as in a URL (``%20``); `unescape` gives the id back.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError
from trsllava.store.files import publish, publishing

_BLOCK = 256


class Judgement(NamedTuple):
    """One line of a qrels file; ids as they stand there."""

    query: str
    item: str
    relevance: int
    where: str


def escape(identity: str) -> str:
    """Return an id as one TREC field."""
    return re.sub(r"[\s%\x00-\x1f\x7f-\x9f]", lambda char: quote(char[0], safe=""), identity)


def unescape(field: str) -> str:
    """Return the id that `escape` wrote."""
    return unquote(field, errors="strict") if "%" in field else field


def read_qrels(path: Path) -> Iterator[Judgement]:
    """Read qrels: ``query 0 item relevance``, or BEIR's three columns with their heading.

    Raises `InputError` if the file cannot be read or a line is not of that form.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not in UTF-8: {error}") from error
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or (number == 1 and fields[0] == "query-id"):
            continue
        where = f"{path}, line {number}"
        if len(fields) not in (3, 4) or not re.fullmatch(r"-?\d+", fields[-1]):
            raise InputError(f"{where}: expected 'query 0 item relevance', not {line!r:.80}")
        try:
            unescape(fields[-2])
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: {fields[-2]!r} is not a percent-encoded id") from error
        yield Judgement(fields[0], fields[-2], int(fields[-1]), where)


def write_qrels(path: Path, pairs: Iterable[tuple[str, str]]) -> None:
    """Write relevant pairs of query and item as TREC qrels."""
    lines = (f"{escape(query)} 0 {escape(item)} 1\n" for query, item in pairs)
    publish(path, "".join(lines).encode())


def write_run(
    path: Path,
    scores: NDArray[np.float32],
    queries: Sequence[str],
    items: Sequence[str],
    tag: str,
    *,
    depth: int = 100,
) -> None:
    """Write a TREC run whose scores strictly decrease, so that no tool re-sorts our ties.

    trec_eval holds scores in float32 and orders equal ones by document id. A tied item is
    therefore written with the next smaller float32, in an order drawn at random (always the same
    for the same matrix), so that neither names nor positions decide.

    Parameters
    ----------
    path
        The file.
    scores
        Of shape (queries, items); an item of score -inf is not written.
    queries
        The ids of the rows.
    items
        The ids of the columns.
    tag
        The name of the run.
    depth
        At most so many items a query.
    """
    fields = [escape(item) for item in items]
    tag = escape(tag) or "trsllava"
    with publishing(path) as file:
        for start in range(0, len(queries), _BLOCK):
            block = scores[start : start + _BLOCK]
            order, written = _strict(block, min(depth, len(items)), seed=start)
            for name, picks, values in zip(
                queries[start : start + _BLOCK], order, written, strict=True
            ):
                head = escape(name)
                lines = [
                    f"{head} Q0 {fields[item]} {rank} {value:.9g} {tag}\n"
                    for rank, (item, value) in enumerate(
                        zip(picks.tolist(), values.tolist(), strict=True), start=1
                    )
                    if value != -np.inf
                ]
                file.write("".join(lines).encode())


def _strict(
    scores: NDArray[np.float32], depth: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the best items of each query, and strictly decreasing scores in that order."""
    chance = np.random.default_rng(seed).random(scores.shape, np.float32)
    order = np.lexsort((chance, -scores), axis=1)[:, :depth].astype(np.int64)
    written = np.take_along_axis(scores, order, axis=1).astype(np.float32)
    for rank in range(1, depth):
        below = np.nextafter(written[:, rank - 1], np.float32(-np.inf))
        missing = written[:, rank] == -np.inf
        written[:, rank] = np.where(missing, -np.inf, np.minimum(written[:, rank], below))
    return order, written


def write_beir(
    folder: Path,
    corpus: Iterable[tuple[str, str]],
    queries: Iterable[tuple[str, str]],
    pairs: Iterable[tuple[str, str]],
    split: str = "test",
) -> None:
    """Write ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/SPLIT.tsv`` as BEIR expects them.

    Ids are escaped as in the TREC files, so that the tab-separated qrels stay whole.
    """
    documents = ({"_id": escape(name), "title": "", "text": text} for name, text in corpus)
    asked = ({"_id": escape(name), "text": text} for name, text in queries)
    for path, rows in ((folder / "corpus.jsonl", documents), (folder / "queries.jsonl", asked)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        publish(path, text.encode())
    lines = (f"{escape(query)}\t{escape(item)}\t1\n" for query, item in pairs)
    text = "query-id\tcorpus-id\tscore\n" + "".join(lines)
    publish(folder / "qrels" / f"{escape(split).replace('/', '%2F')}.tsv", text.encode())
