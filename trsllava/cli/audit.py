"""The command that looks for records that look wrong."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trsllava.cli.options import DEFAULT_STORE, JsonOption, RecordsOption, StoreOption
from trsllava.cli.show import as_json, data, note

if TYPE_CHECKING:
    from trsllava.audit.agreement import Fit
    from trsllava.store.view import View

_SHOWN = 20


def audit(
    store: StoreOption = DEFAULT_STORE,
    records: RecordsOption = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"Show so many: {_SHOWN} unless given, as JSON all."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Also ask the light head whether texts fit the pictures in this folder.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show records that look wrong, worst first: repeated texts, stock phrases, wrong pictures."""
    from dataclasses import asdict

    from trsllava.audit.agreement import add_fits
    from trsllava.audit.suspicions import audit as audit_records
    from trsllava.store.store import open_store

    view = open_store(store).view(records)
    digests = (lot.manifest.digests for lot in view.lots if lot.manifest is not None)
    found = audit_records(view, _equal_bytes(digests))
    if images is not None:
        found = add_fits(found, _fits(view, images))
    if json:
        as_json([asdict(suspicion) for suspicion in found[:top]])
        return
    for suspicion in found[: top or _SHOWN]:
        data(f"{suspicion.score:.2f}  {suspicion.image}: {'; '.join(suspicion.reasons)}")
    note(f"{len(found) or 'none'} of {view.records} records look wrong")


def _fits(view: "View", folder: Path) -> "Iterator[Fit]":
    """Yield how records fit their pictures, and say of how many that cannot be told."""
    from trsllava.audit.agreement import fits
    from trsllava.embedding import load_embedder
    from trsllava.embedding.pictures import load_eye, say_missing
    from trsllava.store.pictures import Pictures

    eye = load_eye()
    embedder = load_embedder(str(eye.identity()["encoder"]))
    missing: dict[str, str] = {}
    untold = Counter[int]()
    for fit in fits(Pictures(view, (folder,)), eye, embedder):
        if fit.missing is not None:
            missing[fit.image] = fit.missing
        elif fit.better is None:
            untold[fit.others] += 1
        yield fit
    if missing:
        note(say_missing(missing))
    if untold:
        note(
            f"{untold.total()} records could not be held against their pictures: their texts "
            f"cannot be read, or too few other pictures are at hand ({max(untold)})"
        )


def _equal_bytes(digests: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the images whose bytes equal those of an earlier one, and that one."""
    first: dict[str, str] = {}
    same: dict[str, str] = {}
    for lot in digests:
        for image, digest in lot.items():
            if (earlier := first.setdefault(digest, image)) != image:
                same[image] = earlier
    return same
