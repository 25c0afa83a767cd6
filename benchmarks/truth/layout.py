"""The figures of `captioner_truth.py` laid out for reading, and as JSON."""

from collections.abc import Mapping
from typing import Any

from truth.judging import AGAINST, BINDINGS, GROUPS, Judged, Table

_NAMES = ("colour of a thing", "number of a thing", "place of a thing")
ROWS = {name: name for name in (*GROUPS, "all")} | dict(zip(BINDINGS, _NAMES, strict=True))


def plain(value: Any) -> Any:
    """Return a result as JSON holds it; what was judged as its words and share."""
    if isinstance(value, Judged):
        return {"words": value.words, "share": value.share}
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return value


def lines(found: Mapping[str, Any]) -> list[str]:
    """Lay out what was measured for reading; shares in percent."""
    out = [f"{found['records']} records of {found['of']} images of the split, shares in percent"]
    if found["without a class"]:
        out.append(f"{found['without a class']} have no class and are not in 'same class'")
    return [
        *out,
        *_table("TRUTH: these texts by frontier record and human captions", found["truth"]),
        *_table("TRUTH: these texts by human captions alone", found["truth by captions"]),
        *_table("RECALL: human captions by these records", found["recall"]),
        *_table("anchor: frontier texts by human captions alone", found["frontier by captions"]),
        *_table("anchor: human captions by frontier records", found["frontier recall"]),
        *_anchors(found),
        *_copied(found),
        *_form(found),
    ]


def _table(title: str, table: Table) -> list[str]:
    laid = ["", f"{title:<60}", f"{'':<20}{'words':>9}" + "".join(f"{n:>12}" for n in AGAINST)]
    for group, name in ROWS.items():
        row = table[group]
        shares = "".join(f"{_percent(row[against].share):>12}" for against in AGAINST)
        laid.append(f"{name:<20}{row['same image'].words:>9}{shares}")
    return laid


def _anchors(found: Mapping[str, Any]) -> list[str]:
    """Lay out what frontier and people would get by the first table, each left out of it."""
    laid = [
        "",
        "anchor: frontier variant by the other four and captions, human caption by all others",
        f"{'':<20}{'words':>9}{'variant':>12}{'words':>9}{'caption':>12}",
    ]
    both = found["frontier variant left out"], found["human caption left out"]
    for group, name in ROWS.items():
        cells = [f"{one[group].words:>9}{_percent(one[group].share):>12}" for one in both]
        laid.append(f"{name:<20}{''.join(cells)}")
    return laid


def _copied(found: Mapping[str, Any]) -> list[str]:
    laid = [
        "",
        f"COPIED from {found['train texts']} distinct texts of train",
        f"{'':<20}{'texts':>9}{'verbatim':>10}{'near':>8}{'sentences':>11}{'verbatim':>10}",
    ]
    for name, row in found["copied"].items():
        cells = f"{row['texts']:>9}{_percent(row['verbatim']):>10}{_percent(row['near']):>8}"
        if "sentences" in row:
            cells += f"{row['sentences']:>11}{_percent(row['sentences verbatim']):>10}"
        laid.append(f"{name:<20}{cells}")
    return laid


def _form(found: Mapping[str, Any]) -> list[str]:
    distinct, loops, length = found["distinct"], found["loops"], found["length"]
    words = ", ".join(f"{name} {mean:.1f}" for name, mean in length["mean words"].items())
    reasons = ", ".join(f"{name} {count}" for name, count in loops["reasons"].items())
    unheard = ", ".join(length["unheard"])
    return [
        "",
        f"DISTINCT texts of a record: mean {distinct['mean']:.2f}, least {distinct['least']}, "
        f"8 or more in {_percent(distinct['8 or more'])}",
        f"LOOPS: {loops['looping texts']} texts; records refused: {loops['records refused']}"
        + (f" ({reasons})" if reasons else ""),
        f"LENGTH, mean words: {words}",
        f"{length['texts']} texts, {length['distinct texts']} distinct, of "
        f"{length['vocabulary']} words; unheard of {length['unheard words']} times"
        + (f" ({unheard})" if unheard else ""),
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
