"""The store as a whole: open it, read its newest state, add a commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from trsllava.errors import StoreError
from trsllava.store.files import lock, publish, seal, sweep, unseal
from trsllava.store.history import read_view
from trsllava.store.layout import IMPORTED, VERSION, Commit, Layout
from trsllava.store.view import View


@dataclass(frozen=True, slots=True)
class Store:
    """A directory with everything derived from one archive."""

    layout: Layout

    @property
    def root(self) -> Path:
        """The directory."""
        return self.layout.root

    def view(self, records: str | None = None) -> View:
        """Return the newest state; ``records`` names a record set other than the current one."""
        return read_view(self.layout, records)

    @contextmanager
    def writing(self, purpose: str, wait: float = 60.0) -> Iterator[View]:
        """Hold the writers' lock and yield the state that the next commit follows.

        Parameters
        ----------
        purpose
            Who holds the lock, for the message that others see.
        wait
            For how many seconds another holder is waited for.

        Yields
        ------
        View
            The newest state, which cannot change while the lock is held.
        """
        with lock(self.layout.lock, purpose, wait):
            # Captioning, vectors and index do not hold this lock: they must not be disturbed.
            imported = self.layout.records / IMPORTED
            sweep(self.layout.log, imported, self.layout.intakes, self.layout.bad_lines)
            yield self.view()

    def commit(self, after: View, commit: Commit) -> None:
        """Publish the commit that follows ``after``; the caller holds the lock."""
        commit = replace(commit, number=after.number + 1, previous=after.head)
        publish(self.layout.commit(commit.number), seal(commit.to_json()), overwrite=False)


def open_store(root: str | Path) -> Store:
    """Open an existing store.

    Raises `StoreError` if there is none at ``root``.
    """
    layout = Layout(Path(root))
    if not layout.marker.is_file():
        raise StoreError(
            f"no store at {layout.root}; make one with: trsllava import FILE --store {layout.root}"
        )
    unseal(layout.marker, VERSION)
    return Store(layout)


def create_store(root: str | Path) -> Store:
    """Open the store at ``root``, making it if the folder is empty or missing.

    Raises `StoreError` if the folder holds other things.
    """
    layout = Layout(Path(root))
    if layout.marker.is_file():
        return open_store(root)
    if layout.root.exists() and not layout.root.is_dir():
        raise StoreError(f"{layout.root} is a file, not a store; choose another --store")
    if layout.root.is_dir():
        # A killed first command may have left its lock or a temporary file.
        foreign = [p.name for p in layout.root.iterdir() if p.name != "lock" and p.name[0] != "."]
        if foreign and not layout.marker.is_file():
            raise StoreError(
                f"{layout.root} is no store and holds {foreign[0]!r}; choose another --store"
            )
    with lock(layout.lock, "the first command of the store"):
        if not layout.marker.is_file():  # two first commands at once: one of them makes it
            sweep(layout.root)
            publish(layout.marker, seal({"format": "trsllava-store", "version": VERSION}))
    return open_store(root)
