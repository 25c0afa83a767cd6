"""How true, copied, varied and long the texts of a captioner are, on RSICD validation.

::

    python benchmarks/captioner_truth.py RECORDS.jsonl --data ../shared/data/rsicd [--json]

The records are of images of the validation split, all or some. Without a file the frontier
records of the split itself are measured. docs/figures.md says what each number means.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from truth import form, judging
from truth.layout import lines, plain
from truth.references import Train, Truth, read_data, read_records
from truth.verbatim import Known, normalised

from trsllava.errors import TrsllavaError
from trsllava.records import Record


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
        The anchors are of the same images as the records.
    """
    ours = replace(truth, records={record.image: record for record in records})
    theirs = replace(truth, records={image: truth.records[image] for image in ours.records})
    said, captions = judging.texts_of(ours), {i: truth.captions[i] for i in ours.records}
    full, alone = judging.full_references(truth), judging.caption_references(truth)
    known = Known(train.texts())
    return {
        "records": len(records),
        "of": len(truth.records),
        "without a class": sum(record.image not in truth.classes for record in records),
        "truth": judging.truth_table(said, full, truth),
        "truth by captions": judging.truth_table(said, alone, truth),
        "recall": judging.truth_table(captions, judging.record_references(ours), ours),
        "frontier by captions": judging.truth_table(judging.texts_of(theirs), alone, truth),
        "frontier recall": judging.truth_table(captions, judging.record_references(theirs), theirs),
        "frontier variant left out": judging.variants_left_out(theirs),
        "human caption left out": judging.captions_left_out(theirs),
        "train texts": len(known),
        "copied": form.copied(records, known),
        "distinct": form.distinct(records),
        "loops": form.loops(records),
        "length": form.lengths(records, _heard(truth, train)),
    }


def _heard(truth: Truth, train: Train) -> frozenset[str]:
    """Return all words of train and of the references."""
    texts = [*train.texts(), *(text for own in truth.captions.values() for text in own)]
    texts += [text for own in judging.texts_of(truth).values() for text in own]
    return frozenset(word for text in texts for word in normalised(text).split())


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
        print(json.dumps(plain(found)))
    else:
        print("\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
