"""How true, copied, varied and long the texts of a captioner are, on RSICD validation.

::

    python benchmarks/captioner_truth.py RECORDS.jsonl --data ../shared/data/rsicd [--json]

The records are of images of the validation split, all or some. Without a file the frontier
records of the split itself are measured. docs/figures.md says what each number means.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from truth.form import copied, distinct, lengths, loops
from truth.judging import (
    AGAINST,
    GROUPS,
    Judged,
    Table,
    caption_references,
    captions_left_out,
    full_references,
    texts_of,
    truth_table,
    variants_left_out,
)
from truth.references import Train, Truth, read_data, read_records
from truth.verbatim import Known, normalised

from trsllava.errors import TrsllavaError
from trsllava.records import Record

ROWS = {name: name for name in (*GROUPS, "all")} | {
    "coloured": "colour of a thing",
    "counted": "number of a thing",
    "placed": "place of a thing",
}


def measure(records: Sequence[Record], truth: Truth, train: Train) -> dict[str, Any]:
    """Measure records whose images are all in the split.

    Parameters
    ----------
    records
        At least one.
    truth
        The validation split.
    train
        What a captioner may have copied.

    Returns
    -------
    dict[str, Any]
        As JSON, but for the tables of truth, which hold `Judged`.
    """
    said, alone = texts_of(records), caption_references(truth)
    known = Known(train.texts())
    split = [t for own in texts_of(truth.records.values()).values() for t in own]
    split += [text for own in truth.captions.values() for text in own]
    heard = frozenset(w for t in (*train.texts(), *split) for w in normalised(t).split())
    return {
        "records": len(records),
        "of": len(truth.records),
        "without a class": sum(record.image not in truth.classes for record in records),
        "truth": truth_table(said, full_references(truth), truth),
        "truth by captions": truth_table(said, alone, truth),
        "frontier by captions": truth_table(texts_of(truth.records.values()), alone, truth),
        "frontier variant left out": variants_left_out(truth),
        "human caption left out": captions_left_out(truth),
        "train texts": len(known),
        "copied": copied(records, known),
        "distinct": distinct(records),
        "loops": loops(records),
        "length": lengths(records, heard),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a file of records and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("records", type=Path, nargs="?", help="by default the frontier's own")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/rsicd"))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args(arguments)
    if not options.data.exists():
        print(f"{options.data} is not there: nothing to measure on", file=sys.stderr)
        return 0
    started = time.perf_counter()
    try:
        truth, train = read_data(options.data)
        records = read_records(options.records or options.data / "rsrt_val.jsonl")
    except TrsllavaError as error:
        parser.error(str(error))
    unknown = [record.image for record in records if record.image not in truth.records]
    if unknown or not records:
        names = ", ".join(unknown[:3])
        parser.error(f"{len(unknown)} of {len(records)} records are not of validation: {names}")
    found = measure(records, truth, train)
    if options.json:
        print(json.dumps(_plain(found)))
    else:
        print("\n".join(_lines(found)))
        print(f"\n{time.perf_counter() - started:.0f} s")
    return 0


def _plain(value: Any) -> Any:
    """Return a result as JSON holds it; what was judged as its words and share."""
    if isinstance(value, Judged):
        return {"words": value.words, "share": value.share}
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value


def _lines(found: Mapping[str, Any]) -> list[str]:
    """Lay out what `measure` found for reading."""
    out = [f"{found['records']} records of {found['of']} images of the split"]
    if found["without a class"]:
        out.append(f"{found['without a class']} have no class and are not in 'same class'")
    out += [
        *_table("TRUTH: these records by frontier record and captions", found["truth"]),
        *_table("these records by the human captions alone", found["truth by captions"]),
        *_table("anchor: frontier by the human captions alone", found["frontier by captions"]),
        "",
        f"{'anchors, same image':<20}{'frontier variant':>18}{'':9}{'human caption':>18}",
        f"{'':<20}{'by the others':>18}{'words':>9}{'by the others':>18}{'words':>9}",
    ]
    variant, caption = found["frontier variant left out"], found["human caption left out"]
    for group, name in ROWS.items():
        cells = (
            f"{_percent(one[group].share):>18}{one[group].words:>9}" for one in (variant, caption)
        )
        out.append(f"{name:<20}{''.join(cells)}")
    out += ["", f"COPIED from {found['train texts']} distinct texts of train"]
    out.append(f"{'':<20}{'texts':>9}{'verbatim':>10}{'near':>8}{'sentences':>11}{'verbatim':>10}")
    for name, row in found["copied"].items():
        out.append(
            f"{name:<20}{row['texts']:>9}{_percent(row['verbatim']):>10}{_percent(row['near']):>8}"
            f"{row.get('sentences', ''):>11}{_percent(row.get('sentences verbatim')):>10}"
        )
    distinct, loops, length = found["distinct"], found["loops"], found["length"]
    words = ", ".join(f"{name} {mean:.1f}" for name, mean in length["mean words"].items())
    reasons = ", ".join(f"{name} {count}" for name, count in loops["reasons"].items())
    enough = _percent(distinct["records with 8 or more"])
    return [
        *out,
        "",
        f"DISTINCT of 15: mean {distinct['mean']:.2f}, least {distinct['min']}, 8 or more {enough}",
        f"LOOPS: {loops['looping texts']} texts; refused {loops['records refused']} records"
        + (f" ({reasons})" if reasons else ""),
        f"LENGTH in words: {words}",
        f"{length['texts']} texts, {length['distinct texts']} distinct, {length['vocabulary']} words "
        f"known, {length['unheard words']} unheard of: {' '.join(length['unheard'])}",
    ]


def _table(title: str, table: Table) -> list[str]:
    """Lay out a table of truth."""
    lines = ["", title, f"{'':<20}{'words':>9}" + "".join(f"{name:>12}" for name in AGAINST)]
    for group, name in ROWS.items():
        row = table[group]
        shares = "".join(f"{_percent(row[against].share):>12}" for against in AGAINST)
        lines.append(f"{name:<20}{row['same image'].words:>9}{shares}")
    return lines


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


if __name__ == "__main__":
    sys.exit(main())
