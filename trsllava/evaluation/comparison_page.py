"""A comparison as a folder: a page with all runs, and the figures as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trsllava.errors import InputError
from trsllava.evaluation.changes import Changes
from trsllava.evaluation.comparison import Comparison
from trsllava.evaluation.comparison_table import TITLES, warnings_of
from trsllava.evaluation.pages import literature, write_page
from trsllava.evaluation.runs import Run
from trsllava.store.files import publish

Found = Sequence[tuple[Comparison, Mapping[str, Changes]]]


def comparison_json(runs: Sequence[Run], found: Found) -> dict[str, Any]:
    """Return the object that ``evaluate --compare --json`` prints."""
    about = runs[0].about
    return {
        "dataset": about["dataset"],
        "split": about["split"],
        "revision": about["revision"],
        "images": len(runs[0].images),
        "captions": len(runs[0].captions),
        "runs": [
            {
                "report": str(run.folder),
                "method": run.method,
                "covered": run.about["covered"],
                **run.scores().to_json(),
                "ci95": run.about["ci95"],
                "merged_duplicates": run.about["merged_duplicates"],
            }
            for run in runs
        ],
        "comparisons": [
            {
                **comparison.to_json(),
                "queries": {direction: one.to_json() for direction, one in changes.items()},
            }
            for comparison, changes in found
        ],
    }


def write_comparison(folder: Path, runs: Sequence[Run], found: Found) -> Path:
    """Write ``comparison.json`` and the page ``index.html``, and return the page.

    Raises `InputError` if the folder is one of the reports, whose page would be lost.
    """
    if folder.resolve() in {run.folder.resolve() for run in runs}:
        raise InputError(
            f"--report {folder} is one of the reports that are compared; name another folder"
        )
    body = json.dumps(comparison_json(runs, found), ensure_ascii=False, indent=1) + "\n"
    publish(folder / "comparison.json", body.encode())
    ranked = sorted(runs, key=lambda run: -run.scores().mr)
    about = runs[0].about
    return write_page(
        folder / "index.html",
        "comparison.html",
        runs=ranked,
        found=found,
        titles=TITLES,
        about=about,
        warnings=warnings_of(runs),
        own=[(str(run.folder), run.method, run.scores()) for run in ranked],
        **literature(about["dataset"], about["split"]),
    )
