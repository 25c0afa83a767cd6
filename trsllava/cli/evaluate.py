"""The evaluate command."""

from pathlib import Path
from typing import Annotated

import typer

from trsllava.cli.options import DEFAULT_STORE, JsonOption, ModeOption, RecordsOption, StoreOption
from trsllava.cli.show import as_json, data, note
from trsllava.errors import UsageError


def evaluate(
    dataset: Annotated[
        str,
        typer.Option(metavar="NAME", help="rsicd, rsitmd, ucm, sydney, nwpu, or own."),
    ],
    annotations: Annotated[
        Path, typer.Option(metavar="FILE", help="The dataset's annotation file.")
    ],
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
    records: RecordsOption = None,
    json: JsonOption = False,
) -> None:
    """Measure retrieval on an annotated dataset: recall at 1, 5, 10 both ways, and mR."""
    from trsllava.evaluation.archive import score_archive
    from trsllava.evaluation.datasets import read_dataset
    from trsllava.evaluation.evaluate import evaluate as measure
    from trsllava.evaluation.judgements import from_qrels
    from trsllava.evaluation.paper_scoring import METHOD, paper_scores
    from trsllava.evaluation.report import write_report
    from trsllava.evaluation.table import text_table
    from trsllava.index.scoring import MODES
    from trsllava.interchange.trec import read_qrels
    from trsllava.search.archive import open_archive
    from trsllava.search.pictures import thumbnail

    if mode not in MODES:
        raise UsageError(f"unknown mode {mode!r}; choose one of {', '.join(MODES)}")
    known = read_dataset(dataset, annotations, split)
    judged = from_qrels(known, read_qrels(qrels)) if qrels is not None else None
    searcher = open_archive(store, records=records).searchers[0]
    scored = score_archive(searcher, known, mode)
    encoder = searcher.generation.manifest.embedder["name"]
    paper = measure(
        known,
        paper_scores(known.captions, scored.records, searcher.embedder),
        scored.has_record,
        f"{METHOD}, {encoder}",
        judged=judged,
    )
    result = measure(
        known,
        scored.scores,
        scored.has_record,
        f"trsllava {mode}, {encoder}",
        judged=judged,
        notes=(*scored.notes, *searcher.notes),
        rows=[paper],
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

        page = write_report(report, known, scored.scores, result, scored.records, thumbnail=picture)
        note(f"report written to {page}")
