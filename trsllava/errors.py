"""Every error that trsllava raises on purpose.

::

    TrsllavaError               the base: catch this one
    ├── InputError              something given from outside is wrong (file, line, option)
    │   ├── UsageError          the call itself makes no sense; the command line exits with 2
    │   └── ConflictError       one image id, two different contents
    ├── MissingExtra            an optional package is not installed; names the extra
    └── StoreError              the store cannot do what was asked
        ├── StoreBusy           another writer holds the store
        ├── StoreDamaged        a file of the store is not what its manifest says
        ├── NewerFormat         written by a newer trsllava
        └── IndexUnusable       no index yet, or one that belongs to another encoder

Each message names the file, line or id and says what to do about it.
"""


class TrsllavaError(Exception):
    """The base of every error that trsllava raises on purpose."""


class InputError(TrsllavaError):
    """Something given from outside is wrong: a file, a line, an option's value."""


class UsageError(InputError):
    """The call itself makes no sense; the command line exits with 2."""


class ConflictError(InputError):
    """One image id is given two different contents."""


class MissingExtra(TrsllavaError):
    """An optional package is needed and not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package: pip install 'trsllava[{extra}]'")
        self.extra = extra


class StoreError(TrsllavaError):
    """The store cannot do what was asked."""


class StoreBusy(StoreError):
    """Another writer holds the store."""


class StoreDamaged(StoreError):
    """A file of the store is missing, cut or changed."""


class NewerFormat(StoreError):
    """A file was written by a newer trsllava than this one."""


class IndexUnusable(StoreError):
    """There is no index, or it belongs to another encoder or other records."""
