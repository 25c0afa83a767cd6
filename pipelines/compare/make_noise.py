"""Make the noise files of both published protocols: wrong captions on purpose.

::

    python pipelines/compare/make_noise.py --annotations dataset_rsicd.json --out noise

writes ``permuted-20.json`` ... (RRSITR's) and ``other-class-05.json`` ... (CHNR's), these where
file names carry classes. They name rows, no caption, and are the same wherever they are made.
"""

import argparse
import sys
from pathlib import Path

from trsllava.compare.material import open_split
from trsllava.compare.noise import OTHER_CLASS, RATES, make_noise, write_noise
from trsllava.compare.pairs import fitting_pairs
from trsllava.errors import InputError, TrsllavaError


def main() -> None:
    """Write a file for every kind and rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", type=Path, required=True, help="the annotation file")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--dataset", help="the dataset, where its file does not state it (nwpu)")
    given = parser.parse_args()
    try:
        write_all(given.annotations, given.out, given.dataset)
    except TrsllavaError as error:
        sys.exit(f"error: {error}")


def write_all(annotations: Path, out: Path, dataset: str | None = None) -> None:
    """Write all files and say how much each changes."""
    pairs = fitting_pairs(open_split(annotations, "train", dataset))
    for kind, rates in RATES.items():
        for rate in rates:
            try:
                noise = make_noise(pairs, kind, rate)
            except InputError as error:
                if kind != OTHER_CLASS:
                    raise
                print(f"no {kind} noise: {error}")
                break
            path = out / f"{kind}-{round(100 * rate):02d}.json"
            write_noise(path, noise)
            print(
                f"{path}: {len(noise.rows):,} of {len(pairs):,} pairs replaced, "
                f"{noise.wrong:.2%} have a caption that is none of their picture's"
            )


if __name__ == "__main__":
    main()
