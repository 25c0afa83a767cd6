"""Plots of a report: recall over K and the ranks of the right image, as SVG for a page."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from trsllava.errors import MissingExtra
from trsllava.evaluation.measures import Places, Success
from trsllava.evaluation.result import Result

_DEPTH = 50
_COLOURS = ("#1f8a66", "#b0702a", "#4f6fc4", "#a3478e")
_GREY = "#808a97"  # readable on the light and on the dark page
_TITLES = {"t2i": "text to image", "i2t": "image to text"}


def plots(results: Sequence[Result]) -> dict[str, str]:
    """Return the plots by name, each an ``<svg>`` element with a transparent ground.

    Raises `MissingExtra` if matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("a report with plots", "report") from error
    style: dict[Any, Any] = {
        "text.color": _GREY,
        "axes.labelcolor": _GREY,
        "axes.edgecolor": _GREY,
        "xtick.color": _GREY,
        "ytick.color": _GREY,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 10,
        "svg.fonttype": "none",
        "svg.hashsalt": "trsllava",
    }
    with mpl.rc_context(style):
        return {
            "recall": _svg(_recall(Figure(figsize=(9, 3.4)), results)),
            "ranks": _svg(_ranks(Figure(figsize=(9, 3.0)), results[0])),
        }


def curve(found: Places, depth: int) -> list[float]:
    """Return the expected R@K in percent for K = 1 to ``depth``."""
    return [100.0 * float(Success(k).expected(found).mean()) for k in range(1, depth + 1)]


def _recall(figure: Any, results: Sequence[Result]) -> Any:
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (direction, title) in zip(axes, _TITLES.items(), strict=True):
        for number, result in enumerate(results):
            size = result.images if direction == "t2i" else result.captions
            depth = min(_DEPTH, size)
            # "_" in front would hide a method from the legend, "$" start a formula.
            label = result.method.lstrip("_").replace("$", r"\$")
            colour = _COLOURS[number % len(_COLOURS)]
            values = curve(result.places[direction], depth)
            axis.plot(range(1, depth + 1), values, color=colour, label=label, linewidth=1.8)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("K")
        axis.set_ylim(0, None)
        axis.grid(alpha=0.25, color=_GREY)
    axes[0].set_ylabel("R@K in percent")
    axes[1].legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def _ranks(figure: Any, result: Result) -> Any:
    axes = figure.subplots(1, 2)
    for axis, (direction, title) in zip(axes, _TITLES.items(), strict=True):
        size = result.images if direction == "t2i" else result.captions
        ranks = result.places[direction].rank()
        shares = 100.0 / max(len(ranks), 1)
        edges = 2.0 ** np.arange(int(size).bit_length() + 1)  # rank 1, 2 to 3, 4 to 7, ...
        weights = np.full(len(ranks), shares)
        finite = np.isfinite(ranks)
        axis.hist(ranks[finite], bins=edges, weights=weights[finite], color=_COLOURS[0])
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("rank of the first right one")
    axes[0].set_ylabel("queries in percent")
    return figure


def _svg(figure: Any) -> str:
    figure.tight_layout()
    data = io.StringIO()
    # Without a date the same result gives the same bytes.
    figure.savefig(data, format="svg", transparent=True, metadata={"Date": None})
    text = data.getvalue()
    return text[text.index("<svg") :]
