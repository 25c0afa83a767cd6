"""A comparison as text for a terminal."""

from collections.abc import Mapping, Sequence

from trsllava.evaluation.changes import Change, Changes
from trsllava.evaluation.comparison import Comparison, Counts, Difference
from trsllava.evaluation.result import DIRECTIONS, KEYS
from trsllava.evaluation.runs import Run
from trsllava.evaluation.table import heading, published_lines, scores_line
from trsllava.untrusted import printable

TITLES = {"i2t": "image to text", "t2i": "text to image"}
_SHOWN = 3  # queries that gained and that lost, for each direction
_TEXT = 110


def comparison_table(
    runs: Sequence[Run], found: Sequence[tuple[Comparison, Mapping[str, Changes]]]
) -> str:
    """Return all runs beside published figures, and each difference from the first run."""
    about = runs[0].about
    lines = [
        f"{printable(about['dataset'])} {printable(about['split'])}: "
        f"{len(runs[0].images):,} images, {len(runs[0].captions):,} captions",
        *(
            f"  {printable(str(run.folder))}: {printable(run.method)}, "
            f"{run.about['covered']:,} images with a record"
            for run in runs
        ),
        *(f"warning: {printable(one)}" for one in warnings_of(runs)),
        "",
        heading(),
    ]
    for run in sorted(runs, key=lambda run: -run.scores().mr):
        low, high = run.mr_interval
        scores = run.scores()
        lines.append(scores_line(str(run.folder), scores, scores.mr, f"{low:.2f} to {high:.2f}"))
    lines += ["", *published_lines(about["dataset"], about["split"])]
    for comparison, changes in found:
        lines += ["", *_comparison(comparison), *_changes(comparison, changes)]
    return "\n".join(lines)


def warnings_of(runs: Sequence[Run]) -> list[str]:
    """Return what was warned of when the runs were measured, each once."""
    return list(dict.fromkeys(one for run in runs for one in run.about.get("warnings", [])))


def _comparison(comparison: Comparison) -> list[str]:
    names = (printable(str(run.folder)) for run in (comparison.run, comparison.baseline))
    lines = [
        "{} less {}".format(*names),
        f"{'':<20} {'points':>8}  {'95 %':<18} {'p':>7}  {'better':>7} {'worse':>7} {'same':>7}",
    ]
    for direction in DIRECTIONS:
        for key in KEYS:
            name = f"{TITLES[direction]} R@{key.removeprefix('r')}"
            figure = comparison.recalls[direction][key]
            lines.append(_line(name, figure, comparison.hits[direction][key]))
        lines.append(_line(f"{TITLES[direction]} rank", None, comparison.ranks[direction]))
    return [*lines, _line("mR", comparison.mr, None)]


def _line(name: str, figure: Difference | None, counts: Counts | None) -> str:
    points = span = p = ""
    if figure is not None:
        points = f"{figure.points:+.2f}"
        span = "{:+.2f} to {:+.2f}".format(*figure.interval)
        p = f"{figure.p:.4f}"
    counted = " ".join(f"{count:>7,}" for count in counts or ())
    return f"{name:<20} {points:>8}  {span:<18} {p:>7}  {counted}".rstrip()


def _changes(comparison: Comparison, changes: Mapping[str, Changes]) -> list[str]:
    names = [str(run.folder) for run in (comparison.baseline, comparison.run)]
    lines = []
    for direction in DIRECTIONS:
        for word, of_kind in (
            ("gained", changes[direction].gained),
            ("lost", changes[direction].lost),
        ):
            if of_kind:
                lines += ["", f"{TITLES[direction]}, the queries that {word} most:"]
            for change in of_kind[:_SHOWN]:
                lines += _change(change, names)
    return lines


def _change(change: Change, names: list[str]) -> list[str]:
    asked = f'"{change.caption}", {change.image}' if change.caption else change.image
    lines = [f"  {printable(asked)}"]
    if change.same_record:
        lines.append(f"    {_shown(change.before.record)}")
    for name, side in zip(names, (change.before, change.after), strict=True):
        rank = "not found" if side.rank is None else f"rank {side.rank:,.5g}"
        lines.append(f"    {rank} in {printable(name)}")
        if not change.same_record:
            lines.append(f"      its record: {_shown(side.record)}")
        if side.rank != 1 and side.first is not None:
            lines.append(f"      first is {printable(side.first)}: {_shown(side.first_text)}")
    return lines


def _shown(text: str) -> str:
    return printable(text if len(text) <= _TEXT else text[: _TEXT - 1] + "…")
