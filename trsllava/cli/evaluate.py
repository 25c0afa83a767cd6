"""The evaluate command."""

import time
from pathlib import Path
from typing import Annotated

import typer

from trsllava.cli.options import DEFAULT_STORE, JsonOption, ModeOption, RecordsOption, StoreOption
from trsllava.cli.show import as_json, data, note
from trsllava.errors import UsageError


def evaluate(
    reports: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR...", help="With --compare: the reports, the baseline first."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="rsicd, rsitmd, ucm, sydney, nwpu, or own."),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The dataset's annotation file.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    split: Annotated[
        str | None, typer.Option(metavar="S", help="The split; test unless given.")
    ] = None,
    mode: ModeOption = "hybrid",
    qrels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judgements to use instead of the annotations'."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a page, the figures, TREC and BEIR files there."),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Compare reports written earlier; measure nothing."),
    ] = False,
    records: RecordsOption = None,
    json: JsonOption = False,
) -> None:
    """Measure retrieval on an annotated dataset: recall at 1, 5, 10 both ways, and mR."""
    if compare:
        if dataset or annotations or split or qrels:
            raise UsageError(
                "--compare reads finished reports; --dataset, --annotations, --split and --qrels "
                "belong to the evaluations that wrote them"
            )
        _compare(reports or [], report, json)
        return
    if reports:
        raise UsageError(f"{reports[0]} is given without --compare")
    if dataset is None or annotations is None:
        raise UsageError("what to measure on is missing: --dataset NAME and --annotations FILE")
    _measure(dataset, annotations, store, split, mode, qrels, report, records, json)


def _compare(folders: list[Path], report: Path | None, json: bool) -> None:
    from trsllava.evaluation.changes import changes
    from trsllava.evaluation.comparison import check_alike, compare
    from trsllava.evaluation.comparison_page import comparison_json, write_comparison
    from trsllava.evaluation.comparison_table import comparison_table
    from trsllava.evaluation.runs import read_run

    if len(folders) < 2:
        raise UsageError("--compare needs the folders of at least two reports, the baseline first")
    runs = [read_run(folder) for folder in folders]
    check_alike(runs)
    found = [(compare(runs[0], run), changes(runs[0], run)) for run in runs[1:]]
    if report is not None:
        note(f"comparison written to {write_comparison(report, runs, found)}")
    if json:
        as_json(comparison_json(runs, found))
    else:
        for line in comparison_table(runs, found).split("\n"):
            data(line)


def _measure(
    dataset: str,
    annotations: Path,
    store: Path,
    split: str | None,
    mode: str,
    qrels: Path | None,
    report: Path | None,
    records: str | None,
    json: bool,
) -> None:
    from trsllava.evaluation.archive import score_archive
    from trsllava.evaluation.asking import asking_once
    from trsllava.evaluation.datasets import read_dataset
    from trsllava.evaluation.evaluate import evaluate as measure
    from trsllava.evaluation.judgements import from_qrels
    from trsllava.evaluation.paper_scoring import (
        METHOD,
        ONE_TEXT,
        one_description,
        paper_scores,
        variants_joined,
    )
    from trsllava.evaluation.report import write_report
    from trsllava.evaluation.table import text_table
    from trsllava.index.scoring import MODES, Added
    from trsllava.interchange.trec import read_qrels
    from trsllava.search.archive import open_archive
    from trsllava.search.pictures import thumbnail

    if mode not in MODES:
        raise UsageError(f"unknown mode {mode!r}; choose one of {', '.join(MODES)}")
    known = read_dataset(dataset, annotations, split)
    judged = from_qrels(known, read_qrels(qrels)) if qrels is not None else None
    searcher = asking_once(open_archive(store, records=records).searchers[0])
    started = time.perf_counter()
    scored = score_archive(searcher, known, mode)
    seconds = time.perf_counter() - started
    encoder = searcher.generation.manifest.embedder["name"]
    rows = [
        measure(
            known,
            paper_scores(known.captions, scored.records, searcher.embedder, texts_of),
            scored.has_record,
            f"{method}, {encoder}",
            judged=judged,
        )
        for method, texts_of in ((METHOD, variants_joined), (ONE_TEXT, one_description))
    ]
    result = measure(
        known,
        scored.scores,
        scored.has_record,
        f"trsllava {mode}, {encoder}",
        judged=judged,
        notes=(*scored.notes, *searcher.notes),
        rows=rows,
    )
    if json:
        as_json(result.to_json())
    else:
        for line in text_table(result).split("\n"):
            data(line)
    if report is not None:

        def picture(image: str) -> str | None:
            source = searcher.pictures.source(image) if searcher.pictures else None
            return None if source is None else thumbnail(source)[0]

        def why(caption: str, column: int) -> Added:
            return searcher.added(caption, int(scored.rows[column]), mode)

        page = write_report(
            report,
            known,
            scored.scores,
            result,
            scored.records,
            thumbnail=picture,
            why=why,
            seconds=seconds,
        )
        note(f"report written to {page}")
