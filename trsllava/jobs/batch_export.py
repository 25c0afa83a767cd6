"""The images that wait for a captioner, as request files of the OpenAI Batch API."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trsllava.captioning.batch_files import write_batch
from trsllava.captioning.captioner import Prepared
from trsllava.captioning.dialogue import DEFAULT_MAX_TOKENS
from trsllava.captioning.prompts import load_prompt
from trsllava.errors import InputError
from trsllava.images.opening import open_source
from trsllava.images.source import Reading, Source, Unreadable
from trsllava.store.lots import identity_of
from trsllava.store.store import Store
from trsllava.store.view import View

log = logging.getLogger(__name__)


def export_batch(store: Store, records: str | None, path: Path) -> tuple[int, list[Path]]:
    """Write a request for every pending image of a record set, with the set's own settings.

    Parameters
    ----------
    store
        The store.
    records
        The record set; the current one unless given.
    path
        Where to write; several numbered files stand beside it where one would be too large.

    Returns
    -------
    tuple[int, list[Path]]
        How many requests were written, and the files.

    Raises
    ------
    InputError
        If no image waits, or the set's prompt is not at hand as it was.
    """
    view = store.view(records)
    if not view.pending:
        raise InputError(
            f"no image of {store.root} waits for a captioner; take some in without captioning "
            "them: trsllava caption PATH ... --limit 0"
        )
    identity = identity_of(store.layout, view.set)
    captioner = identity["captioner"]
    wanted = captioner.get("prompt") or load_prompt("rsrt").identity()
    prompt = load_prompt(str(wanted["name"]))
    if prompt.identity() != wanted:
        raise InputError(
            f"the prompt {prompt.name} is not what record set {view.set} was begun with; restore "
            "it, or begin another record set"
        )
    count = 0

    def counted() -> Iterator[Prepared]:
        nonlocal count
        for prepared in _pending(view, _reading_of(identity["reading"])):
            count += 1
            yield prepared

    files = write_batch(
        path,
        counted(),
        model=str(captioner.get("model")),
        prompt=prompt,
        max_tokens=int(captioner.get("max_tokens") or DEFAULT_MAX_TOKENS),
    )
    return count, files


def _pending(view: View, reading: Reading) -> Iterator[Prepared]:
    for lot in view.lots:
        if lot.manifest is not None:
            continue
        for row in view.rows(lot):
            if "unfit" in row:
                continue
            try:
                yield Prepared(row["image"], open_source(Source.from_json(row), reading).pixels)
            except Unreadable as error:
                log.warning("%s has no request: %s", row["image"], error)


def _reading_of(identity: Mapping[str, Any]) -> Reading:
    """Return the reading that `trsllava.images.prepare.identity` told of."""
    bands = identity["bands"]
    return Reading(
        tile=identity["tile"],
        overlap=identity["overlap"],
        bands=tuple(bands) if bands else None,
        side=identity["side"],
    )
