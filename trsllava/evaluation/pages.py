"""What the report of one evaluation and the comparison of several share as pages."""

from itertools import groupby
from pathlib import Path
from typing import Any

from trsllava.evaluation.published import comparability, published
from trsllava.pages import publish_page

_PUBLISHED = 6  # published figures of each kind, the others folded away


def write_page(path: Path, template: str, **context: object) -> Path:
    """Render a template of this folder, all text escaped, and return where it was written."""
    publish_page(path, Path(__file__).with_name(template), **context)
    return path


def literature(dataset: str, split: str) -> dict[str, Any]:
    """Return what the macro ``published_figures`` shows of a dataset."""
    rows = published(dataset)
    return {
        "published": [(kind, list(group)) for kind, group in groupby(rows, lambda row: row.kind)],
        "most": _PUBLISHED,
        "comparability": comparability(split, rows),
    }
