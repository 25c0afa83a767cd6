"""What `trsllava caption` says about its work, to stderr."""

from pathlib import Path
from typing import Any

from trsllava.cli.show import note
from trsllava.jobs.intake import Taken, Wish
from trsllava.jobs.job import difference
from trsllava.jobs.unfinished import journaled
from trsllava.store.layout import IMPORTED
from trsllava.store.lots import identity_of
from trsllava.store.view import View

_SHOWN = 5


def say_end(view: View, taken: Taken, root: Path) -> int:
    """Say what is left to do and return the exit code."""
    code = 0
    if view.quarantined:
        shown = [f"{image} ({why})" for image, why in list(view.quarantined.items())[:_SHOWN]]
        more = ", ..." if len(view.quarantined) > _SHOWN else ""
        note(f"quarantined: {', '.join(shown)}{more}")
        note(f"why: trsllava status --store {root}; try them again with --retry-failed")
        code = 3
    if taken.changed:
        shown = [*taken.changed[:_SHOWN], *(["..."] if len(taken.changed) > _SHOWN else [])]
        note(
            f"error: {len(taken.changed)} images are not the bytes that their record was made "
            f"from: {', '.join(shown)}; caption them again with --update, or give the other "
            "archive a --prefix"
        )
        code = 1
    if view.records and not code and not view.pending:
        note(f"next: trsllava index --store {root}")
    return code


def say_state(view: View) -> str:
    """Return how many images have what; what is written of unfinished lots is not there yet."""
    state = f"{view.records} records, {len(view.quarantined)} quarantined"
    if view.pending:
        state += f", {view.pending} pending"
        if written := journaled(view):
            state += f", {written} of them written and kept until their lot is finished"
    return state


def say_other_set(current: View, set_name: str, identity: dict[str, Any]) -> None:
    """Say aloud that these settings make another record set than the current one."""
    if current.set in (set_name, IMPORTED):
        return
    changes = difference(identity_of(current.layout, current.set), identity)
    kind = "a record set that is there already" if set_name in current.sets else "a new record set"
    note(f"other settings than those of record set {current.set}: this is {kind}, {set_name}")
    for change in changes:
        note(f"  {change}")


def say_taken(taken: Taken, wish: Wish, root: Path) -> None:
    """Say what the archive held."""
    parts = [f"{taken.new} new images"]
    if taken.known:
        parts.append(f"{taken.known} known")
    if taken.updated:
        parts.append(f"{taken.updated} changed")
    if taken.retried:
        parts.append(f"{taken.retried} tried again")
    if taken.skipped:
        reasons = ", ".join(f"{why} {count}" for why, count in taken.skipped.most_common())
        parts.append(f"skipped: {reasons}")
    note("; ".join(parts))
    if wish.metadata is not None and taken.without_metadata:
        note(f"{taken.without_metadata} images are not in the metadata file")
    if wish.metadata is not None and taken.known:
        note(
            f"the {taken.known} known images keep the place, date and properties that they were "
            "taken in with"
        )
    if taken.lost:
        note(
            f"{len(taken.lost)} images of the store are not there any more, for example "
            f"{taken.lost[0]}; their records stay until: trsllava remove IMAGE --store {root}"
        )
