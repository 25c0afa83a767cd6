"""The compare commands: trained systems, beside which text-to-text retrieval is measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trsllava.cli.options import JsonOption
from trsllava.cli.show import as_json, data, note, resumable

if TYPE_CHECKING:
    from trsllava.compare.material import Places

app = typer.Typer(
    help="Train and measure systems to compare with: RRSITR, MSA, CHNR ... (extra: compare).",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AnnotationsOption = Annotated[
    Path, typer.Option(metavar="FILE", help="The dataset's annotation file.")
]
ImagesOption = Annotated[
    Path,
    typer.Option(metavar="DIR", exists=True, file_okay=False, help="Where its pictures are."),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The dataset, where its file does not state it (nwpu)."),
]
FeaturesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where features of pictures and texts are kept; beside the run unless given.",
    ),
]


@app.command()
def train(
    system: Annotated[
        str, typer.Argument(metavar="SYSTEM", help="dual-encoder, rrsitr, msa or chnr.")
    ],
    annotations: AnnotationsOption,
    images: ImagesOption,
    out: Annotated[Path, typer.Option(metavar="RUN", help="The folder that the run fills.")],
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The experiment file; the one that ships unless given."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The seed.")] = 0,
    noise: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A noise file: wrong captions on purpose.")
    ] = None,
    dataset: DatasetOption = None,
    features: FeaturesOption = None,
) -> None:
    """Train a system on the train split; type it again to go on after a kill."""
    _needs_torch()
    from trsllava.compare.experiment import read_experiment, shipped
    from trsllava.compare.system import SYSTEMS
    from trsllava.compare.train import train_run
    from trsllava.errors import UsageError

    if system not in SYSTEMS:
        raise UsageError(f"no system is called {system!r}; known are {', '.join(SYSTEMS)}")
    experiment = read_experiment(config or shipped(system), system)
    places = _places(annotations, images, features, out, dataset)
    with resumable(f"trsllava compare train {system} ... --out {out}"):
        done = train_run(experiment, places, out, seed, noise)
    if done is None:
        note(f"{out} is finished already; delete it to train again")
    else:
        note(f"{out}: best on the cut in epoch {done.epoch}, mR there {done.cut_mr:.2f}")
    note(f"next: trsllava compare evaluate {out} --annotations FILE --images DIR --split S")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run.")],
    annotations: AnnotationsOption,
    images: ImagesOption,
    split: Annotated[
        str | None, typer.Option(metavar="S", help="The split; test unless given.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a page, the figures, TREC and BEIR files there."),
    ] = None,
    views: Annotated[
        int,
        typer.Option(
            min=1, max=4, metavar="N", help="Average the scores of N views: mirrored, turned, both."
        ),
    ] = 1,
    dataset: DatasetOption = None,
    features: FeaturesOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a finished run, as `trsllava evaluate` measures an archive."""
    _needs_torch()
    from trsllava.compare.opened import evaluate_run
    from trsllava.compare.runs import write_evaluation
    from trsllava.evaluation.table import text_table

    places = _places(annotations, images, features, run, dataset)
    known, scores, result = evaluate_run(run, places, split, views)
    write_evaluation(run, known.split, result.to_json(), views)
    if json:
        as_json(result.to_json())
    else:
        for line in text_table(result).split("\n"):
            data(line)
    if report is not None:
        from trsllava.evaluation.report import write_report
        from trsllava.records import Record

        # A trained system goes by the picture alone: every image counts, none has a text.
        records = [Record(image, ()) for image in known.images]
        note(f"report written to {write_report(report, known, scores, result, records)}")


@app.command()
def table(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Finished and evaluated runs.")
    ],
    json: JsonOption = False,
) -> None:
    """Show evaluated runs: means and deviations over seeds, beside the papers' figures."""
    from trsllava.compare.table import table as rows_of
    from trsllava.compare.table import table_lines

    rows = rows_of(runs)
    if json:
        as_json([row.to_json() for row in rows])
        return
    for line in table_lines(rows):
        data(line)


def _needs_torch() -> None:
    from importlib.util import find_spec

    from trsllava.errors import MissingExtra

    if find_spec("torch") is None or find_spec("safetensors") is None:
        raise MissingExtra("trsllava compare", "compare")


def _places(
    annotations: Path, images: Path, features: Path | None, run: Path, dataset: str | None
) -> "Places":
    from trsllava.compare.material import Places

    kept = features or run.absolute().parent / "features"
    return Places(annotations, images, kept, dataset)
