"""The log of commits, read as a view."""

from pathlib import Path

from trsllava.errors import StoreDamaged, UsageError
from trsllava.store.files import sha256_of, unseal
from trsllava.store.layout import IMPORTED, VERSION, Commit, Layout
from trsllava.store.view import View


def read_view(layout: Layout, records: str | None = None) -> View:
    """Read the newest state of a store.

    Parameters
    ----------
    layout
        Where the store lies.
    records
        The record set, or the beginning of its name; the current one unless given.

    Returns
    -------
    View
        The state, seen through that set.

    Raises
    ------
    UsageError
        If it has no record set of the name ``records``, or several begin so.
    StoreDamaged
        If a commit is damaged, or one is missing between others.
    """
    commits, head = _history(layout)
    sets = {intake.set for commit in commits for intake in commit.intakes}
    if records is None:
        current = [c.current for c in commits if c.current is not None]
        name = current[-1] if current else IMPORTED
    else:
        found = [known for known in sorted(sets | {IMPORTED}) if known.startswith(records)]
        if len(found) != 1 or not records:
            raise UsageError(
                f"{'several record sets begin with' if found else 'no record set'} {records!r} "
                f"in {layout.root}; it has: {', '.join(sorted(sets | {IMPORTED}))}"
            )
        name = found[0]
    return View(layout, commits, head, name)


def _history(layout: Layout) -> tuple[tuple[Commit, ...], str | None]:
    """Return all commits, oldest first, and the digest of the newest one's file."""
    commits: list[Commit] = []
    head: str | None = None
    for path in commit_files(layout):
        commit = Commit.from_json(unseal(path, VERSION))
        expected = commits[-1].number + 1 if commits else commit.number
        if path != layout.commit(commit.number) or commit.number != expected:
            raise StoreDamaged(f"{layout.log} lacks the commit before {path.name}; restore it")
        if commits and commit.previous != head:
            raise StoreDamaged(f"{path} does not follow the commit before it; restore both")
        head = sha256_of(path)
        commits.append(commit)
    # What prune leaves begins anywhere before a compaction, which stands for all before it.
    if commits and commits[0].number != 1 and all(c.kind != "compact" for c in commits):
        raise StoreDamaged(
            f"{layout.log} lacks the commits before {commits[0].number}; restore them"
        )
    return tuple(commits), head


def commit_files(layout: Layout) -> list[Path]:
    """Return the files of all commits, oldest first."""
    return sorted(layout.log.glob("[0-9]*.json"))
