"""A result as text for a terminal, published figures beside it."""

from trsllava.evaluation.published import Published, comparability, published
from trsllava.evaluation.result import Result, Scores
from trsllava.untrusted import printable

_WIDTH = 44
_SHOWN = 3  # of each kind


def text_table(result: Result) -> str:
    """Return counts, warnings, all methods with intervals, and the best published figures."""
    lines = [
        f"{printable(result.dataset)} {printable(result.split)}: "
        f"{result.images:,} images, {result.captions:,} captions",
        *(f"  {note}" for note in result.notes()),
        *(f"  warning: {printable(warning)}" for warning in result.warnings),
        "",
        heading(),
    ]
    for one in (result, *result.rows):
        low, high = one.mr_interval
        lines.append(scores_line(one.method, one.expected, one.mr, f"{low:.2f} to {high:.2f}"))
        lines.append(scores_line("  shared captions merged", one.merged, one.merged.mr))
        worst, best = one.pessimistic.mr, one.optimistic.mr
        if best - worst >= 0.005:
            lines.append(f"  ties: mR {worst:.2f} in the worst order, {best:.2f} in the best")
    return "\n".join([*lines, "", *published_lines(result.dataset, result.split)])


def published_lines(dataset: str, split: str) -> list[str]:
    """Return the best published figures of each kind, below what must be said of them."""
    rows = published(dataset)
    lines = [comparability(split, rows)]
    for kind in ("training-free", "RS-pretrained", "supervised"):
        of_kind = [row for row in rows if row.kind == kind]
        lines += [_published(row) for row in of_kind[:_SHOWN]]
        if len(of_kind) > _SHOWN:
            lines.append(f"  ... and {len(of_kind) - _SHOWN} more that are {kind}")
    return lines


def heading() -> str:
    """Return the line above lines of `scores_line`."""
    return _line("R@1, R@5, R@10 in percent", ("image to text", "text to image", "mR", "95 %"))


def scores_line(name: str, scores: Scores, mr: float, remark: str = "") -> str:
    """Return a line of the table: a name, the six recalls, mR, a remark."""
    i2t, t2i = (" ".join(f"{value:6.2f}" for value in direction) for direction in scores)
    return _line(name, (i2t, t2i, f"{mr:.2f}", remark))


def _published(row: Published) -> str:
    remark = row.kind + (", second-hand" if row.second_hand else "")
    if row.scores is None:
        return _line(row.method, ("", "", f"{row.mr:.2f}", remark))
    return scores_line(row.method, row.scores, row.mr, remark)


def _line(name: str, cells: tuple[str, str, str, str]) -> str:
    name = printable(name)
    name = name if len(name) <= _WIDTH else name[: _WIDTH - 1] + "…"
    i2t, t2i, mr, remark = cells
    return f"{name:<{_WIDTH}} {i2t:>20}  {t2i:>20}  {mr:>6}  {remark}".rstrip()
