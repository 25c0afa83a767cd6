"""The command that looks for records that look wrong."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from trsllava.cli.options import DEFAULT_STORE, JsonOption, RecordsOption, StoreOption
from trsllava.cli.show import as_json, data, note

_SHOWN = 20


def audit(
    store: StoreOption = DEFAULT_STORE,
    records: RecordsOption = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"Show so many: {_SHOWN} unless given, as JSON all."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show records that look wrong, worst first: repeated texts, stock phrases."""
    from dataclasses import asdict

    from trsllava.audit.suspicions import audit as audit_records
    from trsllava.store.store import open_store

    view = open_store(store).view(records)
    digests = (lot.manifest.digests for lot in view.lots if lot.manifest is not None)
    found = audit_records(view, _equal_bytes(digests))
    if json:
        as_json([asdict(suspicion) for suspicion in found[:top]])
        return
    for suspicion in found[: top or _SHOWN]:
        data(f"{suspicion.score:.2f}  {suspicion.image}: {'; '.join(suspicion.reasons)}")
    note(f"{len(found) or 'none'} of {view.records} records look wrong")


def _equal_bytes(digests: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the images whose bytes equal those of an earlier one, and that one."""
    first: dict[str, str] = {}
    same: dict[str, str] = {}
    for lot in digests:
        for image, digest in lot.items():
            if (earlier := first.setdefault(digest, image)) != image:
                same[image] = earlier
    return same
