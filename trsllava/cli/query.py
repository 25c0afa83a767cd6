"""The query command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trsllava.cli.filters import (
    BboxOption,
    SinceOption,
    UntilOption,
    WhereOption,
    read_filters,
)
from trsllava.cli.options import DEFAULT_STORE, JsonOption, ModeOption, RecordsOption
from trsllava.cli.show import as_json, data, note
from trsllava.errors import UsageError

if TYPE_CHECKING:
    from trsllava.search.query import Answer, Explanation


def query(
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="What the image should show.")
    ] = None,
    store: Annotated[
        list[Path] | None,
        typer.Option(
            "--store",
            envvar="TRSLLAVA_STORE",
            metavar="DIR",
            help="The store's directory; give it again to search several as one.",
        ),
    ] = None,
    not_: Annotated[
        list[str] | None,
        typer.Option("--not", metavar="TEXT", help="What it must not show (repeatable)."),
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", help="How many hits.")] = 10,
    mode: ModeOption = "hybrid",
    sort: Annotated[
        str, typer.Option(metavar="ORDER", help="score, or date: the newest that answer first.")
    ] = "score",
    where: WhereOption = None,
    bbox: BboxOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    min_score: Annotated[
        float | None, typer.Option(metavar="X", help="The least score of a hit, 0 to 1.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show each part of the score.")
    ] = False,
    paths: Annotated[
        bool, typer.Option("--paths", help="Print only the paths of the pictures.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page with the pictures.")
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Many queries, a line each (TEXT, or ID<tab>TEXT); prints a TREC run, "
            "or JSON lines with --json.",
        ),
    ] = None,
    records: RecordsOption = None,
    json: JsonOption = False,
) -> None:
    """Find images by saying what is in them."""
    from trsllava.search.archive import open_archive
    from trsllava.search.query import Query

    if (text is None) == (queries is None):
        raise UsageError("give a TEXT to look for, or a file of them with --queries")
    if queries is not None and (html or paths or explain):
        raise UsageError("--html, --paths and --explain need a TEXT, not --queries")
    if text is not None:  # in a locale without UTF-8 the text arrives as escaped bytes
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    filters = read_filters(where, bbox, since, until)
    asked = Query(
        text=text if text is not None else "?",
        without=tuple(not_ or ()),
        top=top,
        mode=mode,  # type: ignore[arg-type]  # checked by Query
        where=filters.where,
        bbox=filters.bbox,
        since=filters.since,
        until=filters.until,
        min_score=min_score,
        sort=sort,  # type: ignore[arg-type]
    )
    archive = open_archive(*(store or [DEFAULT_STORE]), records=records)
    if queries is not None:
        from trsllava.cli.batch import answer_file

        answer_file(archive, asked, queries, json)
        return
    answer = archive.answer(asked)
    if html is not None:
        from trsllava.search.page import write_page

        write_page(html, [answer])
        note(f"page written to {html}")
    if json:
        as_json(_body(answer, explain))
    elif paths:
        _print_paths(answer)
    else:
        print_hits(answer, explain)
    for line in answer.notes:
        note(line)


def _body(answer: "Answer", explain: bool) -> dict[str, object]:
    body = answer.to_json()
    if not explain:
        for hit in body["hits"]:
            hit.pop("explain", None)
    return body


def _print_paths(answer: "Answer") -> None:
    for hit in answer.hits:
        if hit.path is None:
            note(
                f"{hit.image}: its picture is not at hand; "
                "tell where: trsllava import FILE --images DIR"
            )
        elif not hit.weak or answer.query.min_score is not None:
            data(hit.path)


def print_hits(answer: "Answer", explain: bool) -> None:
    """Print what answers the query; images that do not are named only when asked for."""
    query = answer.query
    shown = [hit for hit in answer.hits if not hit.weak or query.min_score is not None]
    for hit in shown:
        place = " ".join(part for part in (hit.store, hit.image) if part)
        when = f"  {hit.datetime}" if hit.datetime else ""
        data(f"{hit.rank:3} {hit.score:5.2f}  {place}{when}{'  (weak)' if hit.weak else ''}")
        data(f'           "{hit.evidence}" ({hit.field} {hit.variant})')
        if explain and hit.explanation is not None:
            _print_explanation(hit.explanation, query.mode)
    weak = len(answer.hits) - len(shown)
    if not shown and answer.hits:
        data(f'nothing in this archive answers "{query.text}"')
        note(
            f"the nearest images are no answer (best score {answer.hits[0].score:.2f}, "
            "0.50 needed); see them with --min-score 0"
        )
    elif not answer.hits and query.min_score is not None:
        data(f'no image scores {query.min_score:g} or more for "{query.text}" within its filters')
    elif not answer.hits:
        data(f'no indexed image passes the filters of "{query.text}"')
    elif weak:
        note(f"{weak} more images are no answer (score below 0.50); see them with --min-score 0")


def _print_explanation(explanation: "Explanation", mode: str) -> None:
    e = explanation
    matched = ", ".join(e.matched) or "none"
    data(
        f"           {e.raw:.2f} = {e.meaning:.2f} meaning (cosine {e.cosine:.3f}) "
        f"+ {e.words:.2f} words (BM25 {e.bm25:.2f}: {matched})"
        + (f" + {e.picture:.2f} picture (cosine {e.similarity:.3f})" if mode == "fused" else "")
    )
    if e.unwanted is not None:
        data(f"           score lowered by {e.unwanted:.0%} for what must not be there")
