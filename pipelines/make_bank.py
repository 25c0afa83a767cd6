"""Make the bank of records that evaluations hold captions against: `datasets/record_bank.txt`.

    python pipelines/make_bank.py rsrt_train.jsonl

The file holds our records of RSICD train images, one a line; the captions of the first 816, five
each, are the bank. No person's caption is in it.
"""

import argparse
import json
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORDS = 816
HEADER = f"# Captions of our records of {RECORDS} RSICD train images, by pipelines/make_bank.py."


def bank_lines(records: Path) -> list[str]:
    """Return the lines of the bank."""
    with records.open(encoding="utf-8") as file:
        bodies = [json.loads(line) for line in islice(file, RECORDS)]
    return [HEADER, *(v["caption"] for body in bodies for v in body["variants"])]


def main() -> None:
    """Write the bank."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, metavar="RECORDS")
    parser.add_argument("--out", type=Path, default=ROOT / "datasets" / "record_bank.txt")
    given = parser.parse_args()
    given.out.write_text("\n".join(bank_lines(given.records)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
