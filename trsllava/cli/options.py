"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

StoreOption = Annotated[
    Path,
    typer.Option("--store", envvar="TRSLLAVA_STORE", metavar="DIR", help="The store's directory."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ModeOption = Annotated[
    str,
    typer.Option(
        metavar="MODE",
        help="hybrid, dense (meaning), lexical (words), or fused (hybrid and pictures).",
    ),
]
RecordsOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The record set; the current one unless given."),
]
DEFAULT_STORE = Path("trsllava-store")
