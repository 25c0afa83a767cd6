"""CHNR's tables: mAP over noise rates and code lengths, as Markdown and as a picture."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trsllava.compare.chnr.figures import DEPTH, HashingFigures
from trsllava.compare.chnr.loss import WEIGHTINGS
from trsllava.compare.table import Figure
from trsllava.errors import MissingExtra
from trsllava.evaluation.result import DIRECTIONS

_DEFINITIONS = {
    "cut": f"mAP@{DEPTH}, the list cut at {DEPTH} (the usual definition)",
    "deep": f"mAP@{DEPTH} as CHNR's authors compute it (first {DEPTH} relevant items anywhere)",
}
_WORDS = {"i2t": "image to captions", "t2i": "caption to images"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the tables; ``rate`` is of other-class noise, 0 to 1."""

    bits: int
    weighting: str
    rate: float
    seed: int

    def name(self) -> str:
        """Return the name of its folder."""
        return f"{self.bits}-{self.weighting}-{round(100 * self.rate):02d}-{self.seed}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run came to; ``cut_mr`` (percent) chose the epoch, ``separation`` where looked at."""

    cell: Cell
    figures: HashingFigures
    epoch: int
    cut_mr: float
    seconds: float
    separation: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def markdown(
    rows: Sequence[Measured], chance: HashingFigures, bits: int, weighting: str, rate: float
) -> str:
    """Return the tables of what there is so far, in percent.

    Parameters
    ----------
    rows
        Runs.
    chance
        What a random order comes to.
    bits
        The code length of the tables over noise rates.
    weighting
        That of the table over code lengths.
    rate
        The noise of the table over code lengths.

    Returns
    -------
    str
        Three tables; a cell has the image-to-caption figure and the caption-to-image one.
    """
    rates = sorted({row.cell.rate for row in rows if row.cell.bits == bits})
    lines = [f"{chance.queries} pictures and their captions ask, {chance.database} are searched."]
    for key, words in _DEFINITIONS.items():
        lines += ["", f"{words}, {bits} bits, image to captions | caption to images:", ""]
        lines += _rule(["", *(f"{one:.0%}" for one in rates)])
        for name in WEIGHTINGS:
            cells = [_both(rows, Cell(bits, name, one, 0), key) for one in rates]
            lines.append(_line([f"`{name}`", *cells]))
        both = (100 * getattr(getattr(chance, d), key) for d in DIRECTIONS)
        lines.append(_line(["chance", *[" \\| ".join(f"{x:.1f}" for x in both)] * len(rates)]))
    lengths = sorted({row.cell.bits for row in rows})
    lines += ["", f"Code lengths, `{weighting}`, noise {rate:.0%}:", ""]
    lines += _rule(["bits", *(f"`{key}`" for key in _DEFINITIONS)])
    for length in lengths:
        cell = Cell(length, weighting, rate, 0)
        lines.append(_line([str(length), *(_both(rows, cell, key) for key in _DEFINITIONS)]))
    return "\n".join(lines) + "\n"


def picture(rows: Sequence[Measured], bits: int, weighting: str, rate: float) -> bytes:
    """Return the usual mAP over noise rates and code lengths as PNG.

    Raises `MissingExtra` if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise MissingExtra("a picture of the tables", "report") from error
    canvas: Any = Canvas(figsize=(9.6, 3.2))
    left, middle, right = canvas.subplots(1, 3, sharey=True)
    rates = sorted({row.cell.rate for row in rows if row.cell.bits == bits})
    for axis, direction in zip((left, middle), DIRECTIONS, strict=True):
        for name in WEIGHTINGS:
            _draw(axis, name, rates, rows, direction, _of_rate(bits, name))
        axis.set_title(f"{_WORDS[direction]}, {bits} bits", fontsize=9)
        axis.set_xlabel("noise rate")
    lengths = sorted({row.cell.bits for row in rows})
    for direction in DIRECTIONS:
        made = _of_length(weighting, rate)
        _draw(right, _WORDS[direction], lengths, rows, direction, made)
    right.set_title(f"{weighting}, noise {rate:.0%}", fontsize=9)
    right.set_xlabel("bits")
    right.set_xscale("log", base=2)
    right.set_xticks(lengths, [str(length) for length in lengths])
    left.set_ylabel(f"mAP@{DEPTH} (list cut), %")
    for axis in (left, middle, right):
        axis.grid(alpha=0.25)
        axis.legend(frameon=False, fontsize=8)
    canvas.tight_layout()
    data = io.BytesIO()
    canvas.savefig(data, format="png", dpi=90, metadata={"Software": None})
    return data.getvalue()


def _of_rate(bits: int, weighting: str) -> Callable[[float], Cell]:
    return lambda rate: Cell(bits, weighting, rate, 0)


def _of_length(weighting: str, rate: float) -> Callable[[float], Cell]:
    return lambda bits: Cell(int(bits), weighting, rate, 0)


def _draw(
    axis: Any,
    label: str,
    places: Sequence[float],
    rows: Sequence[Measured],
    direction: str,
    cell: Callable[[float], Cell],
) -> None:
    points: Mapping[float, Figure | None] = {
        place: _figure(rows, cell(place), direction, "cut") for place in places
    }
    known = {place: point for place, point in points.items() if point is not None}
    axis.errorbar(
        list(known),
        [point.mean for point in known.values()],
        [point.deviation or 0.0 for point in known.values()],
        marker="o",
        markersize=3,
        capsize=2,
        label=label,
    )


def _figure(rows: Sequence[Measured], cell: Cell, direction: str, key: str) -> Figure | None:
    """Return a figure over the seeds of a cell, in percent."""
    found = [
        100.0 * getattr(getattr(row.figures, direction), key)
        for row in rows
        if (row.cell.bits, row.cell.weighting, row.cell.rate)
        == (cell.bits, cell.weighting, cell.rate)
    ]
    return Figure.of(found) if found else None


def _both(rows: Sequence[Measured], cell: Cell, key: str) -> str:
    found = [_figure(rows, cell, direction, key) for direction in DIRECTIONS]
    return " \\| ".join("" if one is None else _short(one) for one in found)


def _short(figure: Figure) -> str:
    spread = "" if figure.deviation is None else f" ± {figure.deviation:.1f}"
    return f"{figure.mean:.1f}{spread}"


def _rule(cells: Sequence[str]) -> list[str]:
    return [_line(cells), "|" + "---|" * len(cells)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
