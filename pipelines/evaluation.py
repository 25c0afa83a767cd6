"""The paper's use in one line: records of a dataset's images, index, evaluation, report.

    python pipelines/evaluation.py rsitmd --annotations dataset_RSITMD.json \\
        --images RSITMD/images --records records.jsonl --out rsitmd-run

The records are those that a vision-language model wrote for the images, in any form that
`trsllava import` reads; their ids are the file names in the annotation file. Every step can be
killed and typed again. DIR/report/index.html is the result.
"""

import argparse
import subprocess
import sys
from pathlib import Path


def trsllava(*arguments: str | Path) -> None:
    """Run a trsllava command of this Python's installation; stop when it fails."""
    command = [sys.executable, "-m", "trsllava", *map(str, arguments)]
    print("+ trsllava", *command[3:], file=sys.stderr, flush=True)
    done = subprocess.run(command, check=False)
    if done.returncode not in (0, 3):  # 3: done, with bad lines set aside
        sys.exit(done.returncode)


def main() -> None:
    """Run the steps that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("dataset", help="rsicd, rsitmd, ucm, sydney, nwpu, or own")
    parser.add_argument("--annotations", type=Path, required=True, metavar="FILE")
    parser.add_argument("--records", type=Path, required=True, metavar="FILE", nargs="+")
    parser.add_argument("--images", type=Path, metavar="DIR")
    parser.add_argument("--split", default="test")
    parser.add_argument("--embedder", default="minilm", metavar="ID")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    store = options.out / "store"
    pictures = ["--images", options.images] if options.images else []
    trsllava("import", *options.records, *pictures, "--update", "--store", store)
    trsllava("index", "--embedder", options.embedder, "--store", store)
    trsllava(
        *("evaluate", "--dataset", options.dataset, "--annotations", options.annotations),
        *("--split", options.split, "--store", store, "--report", options.out / "report"),
    )


if __name__ == "__main__":
    main()
