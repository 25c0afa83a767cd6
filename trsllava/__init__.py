"""Find overhead images by saying what is in them.

>>> import trsllava
>>> archive = trsllava.open("trsllava-store")
>>> for hit in archive.search("two ships moored at a pier", top=5):
...     print(hit.image, hit.score, hit.evidence)
"""

from pathlib import Path
from typing import TYPE_CHECKING

from trsllava.errors import TrsllavaError
from trsllava.records import Record, Variant

if TYPE_CHECKING:
    from trsllava.search.archive import Archive

__all__ = ["Record", "TrsllavaError", "Variant", "__version__", "open"]
__version__ = "0.1.0"


def open(*stores: str | Path, records: str | None = None) -> "Archive":
    """Open one or several stores for searching; several are searched as one.

    Raises `trsllava.errors.StoreError` if a store or its index is missing, damaged, or belongs to
    another encoder.
    """
    from trsllava.search.archive import open_archive

    return open_archive(*stores or ("trsllava-store",), records=records)
