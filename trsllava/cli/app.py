"""The application: its commands and what they share."""

from typing import Annotated

import typer

import trsllava
from trsllava.cli import (
    audit,
    caption,
    compare,
    demo,
    evaluate,
    prompts,
    query,
    records,
    similar,
    upkeep,
)

app = typer.Typer(
    help="Find overhead images by saying what is in them.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trsllava {trsllava.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Hold the options of `trsllava` itself."""


for command in (
    demo.demo,
    caption.caption,
    records.import_,
    upkeep.index,
    query.query,
    similar.similar,
    evaluate.evaluate,
    records.export,
    records.remove,
    prompts.prompts,
    audit.audit,
    upkeep.status,
    upkeep.verify,
    upkeep.compact,
    upkeep.prune,
):
    app.command(command.__name__.rstrip("_"))(command)

app.add_typer(compare.app, name="compare")
