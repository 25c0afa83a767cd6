"""What workers have left of lots that are not finished: their journals (see `open_lot`)."""

import json

from trsllava.store.journal import payload_of
from trsllava.store.layout import Layout
from trsllava.store.view import View


def leftovers(layout: Layout, set_name: str) -> set[str]:
    """Return the lots that some worker has begun and not finished."""
    return {path.name.split(".")[0] for path in (layout.journals / set_name).glob("*.journal")}


def journaled(view: View) -> int:
    """Return how many images of lots that are not finished have their record or reason already."""
    waiting = {lot.ref.name: lot.intake.number for lot in view.lots if lot.manifest is None}
    found: set[str] = set()
    for path in (view.layout.journals / view.set).glob("*.journal"):
        taken_in = waiting.get(path.name.split(".")[0])
        if taken_in is None:
            continue
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            continue  # another worker has finished that lot since
        for line in lines:
            payload = payload_of(line + b"\n")
            if payload is None:
                break  # the end, or a torn tail
            kind, *rest = json.loads(payload)
            if kind in "RF" and view.tombs.get(rest[0], 0) <= taken_in:
                found.add(rest[0])
    return len(found)
