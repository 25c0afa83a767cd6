"""The application: its commands and what they share."""

from pathlib import Path
from typing import Annotated

import typer

import trsllava

app = typer.Typer(
    help="Find overhead images by saying what is in them.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StoreOption = Annotated[
    Path,
    typer.Option("--store", envvar="TRSLLAVA_STORE", metavar="DIR", help="The store's directory."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_STORE = Path("trsllava-store")


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


from trsllava.cli import demo, evaluate, query, records, upkeep  # noqa: E402, F401
