"""The curve of a training as a picture."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trsllava.errors import MissingExtra
from trsllava.store.files import publish

CURVE = "curve.png"
_LEFT_OUT = ("epoch", "step", "seconds", "loss", "cut_mr")


def write_curve(path: Path, curve: Sequence[dict[str, float]], title: str) -> None:
    """Draw loss, mR on the cut and a system's own figures over the epochs.

    Raises `MissingExtra` if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("a picture of the curve", "report") from error
    others = [key for key in curve[0] if key not in _LEFT_OUT]
    figure: Any = Figure(figsize=(9, 3.2))
    axes = figure.subplots(1, 3 if others else 2)
    epochs = [line["epoch"] for line in curve]
    for axis, keys in zip(axes, (["loss"], ["cut_mr"], others), strict=False):
        for key in keys:
            axis.plot(epochs, [line[key] for line in curve], label=key.replace("_", " "))
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.25)
        axis.legend(frameon=False, fontsize=8)
    figure.suptitle(title.replace("$", r"\$"), fontsize=10)
    figure.tight_layout()
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120, metadata={"Software": None})
    publish(path, data.getvalue())
