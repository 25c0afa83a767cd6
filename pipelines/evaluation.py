"""The paper's use in one line: records of a dataset's images, index, evaluation, report.

    python pipelines/evaluation.py rsitmd --annotations dataset_RSITMD.json \\
        --images RSITMD/images --records records.jsonl --out rsitmd-run

The records are those that a vision-language model wrote for the images, in any form that
`trsllava import` reads; their ids are the file names in the annotation file. Without --records
the images of the split are captioned first, by the builtin captioner or by the --model that is
given. Every step can be killed and typed again. DIR/report/index.html is the result.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from trsllava.evaluation.datasets import read_dataset

_SHOWN = 20  # words of a command


def trsllava(*arguments: str | Path) -> None:
    """Run a trsllava command of this Python's installation; stop when it fails."""
    command = [sys.executable, "-m", "trsllava", *map(str, arguments)]
    said = command[3:] if len(command) < _SHOWN else [*command[3:_SHOWN], "..."]
    print("+ trsllava", *said, file=sys.stderr, flush=True)
    done = subprocess.run(command, check=False)
    if done.returncode not in (0, 3):  # 3: done, with bad lines set aside
        sys.exit(done.returncode)


def main() -> None:
    """Run the steps that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("dataset", help="rsicd, rsitmd, ucm, sydney, nwpu, or own")
    parser.add_argument("--annotations", type=Path, required=True, metavar="FILE")
    parser.add_argument("--records", type=Path, metavar="FILE", nargs="+")
    parser.add_argument("--images", type=Path, metavar="DIR")
    parser.add_argument("--model", metavar="ID", help="captions the images; builtin unless given")
    parser.add_argument("--base-url", metavar="URL", help="the model's server")
    parser.add_argument("--mode", default="hybrid", help="fused also looks at the pictures")
    parser.add_argument("--split", default="test")
    parser.add_argument("--embedder", default="minilm", metavar="ID")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    store = options.out / "store"
    if options.records:
        pictures = ["--images", options.images] if options.images else []
        trsllava("import", *options.records, *pictures, "--update", "--store", store)
    elif options.images:
        caption(options, store)
    else:
        parser.error("give --records, or --images to caption them")
    look = ["--images"] if options.mode == "fused" else []
    trsllava("index", "--embedder", options.embedder, *look, "--store", store)
    trsllava(
        *("evaluate", "--dataset", options.dataset, "--annotations", options.annotations),
        *("--split", options.split, "--mode", options.mode),
        *("--store", store, "--report", options.out / "report"),
    )


def caption(options: argparse.Namespace, store: Path) -> None:
    """Write records of the split's images."""
    dataset = read_dataset(options.dataset, options.annotations, options.split)
    images = [options.images / image for image in dataset.images]
    given = {"--model": options.model, "--base-url": options.base_url}
    chosen = [part for key, value in given.items() if value for part in (key, value)]
    trsllava("caption", *chosen, "--store", store, *images)


if __name__ == "__main__":
    main()
