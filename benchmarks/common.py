"""What the benchmarks share: timing whole processes, and made-up records."""

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

WORDS = (
    "ship pier harbour river bridge road field forest lake runway aircraft tank roof house car "
    "track stadium court beach sand dune tree hedge barn canal island quarry plant panel street "
    "square tower parking railway platform pool garden orchard meadow slope ridge cliff shore "
    "white grey green brown red blue dark pale large small long narrow wide round straight curved "
    "north south east west centre upper lower left right several two three five many scattered"
).split()


class Run(NamedTuple):
    """A finished process: seconds on the clock and peak resident bytes."""

    seconds: float
    peak: int


def run(command: Sequence[str]) -> Run:
    """Run a command with its output thrown away and measure it from outside."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} exited with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(time.perf_counter() - started, usage.ru_maxrss * unit)


def in_turn(first: Sequence[str], second: Sequence[str], times: int = 7) -> tuple[float, float]:
    """Return the median seconds of two commands run in turn, after a warm-up of each."""
    run(first), run(second)
    pairs = [(run(first).seconds, run(second).seconds) for _ in range(times)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def trsllava(*arguments: str) -> list[str]:
    """Return the command line of trsllava in this environment."""
    return [str(Path(sys.executable).with_name("trsllava")), *arguments]


def write_records(path: Path, count: int, seed: int = 1) -> None:
    """Write full records of about 350 words each, as a captioner would."""
    draw = random.Random(seed)

    def text(words: int) -> str:
        return " ".join(draw.choices(WORDS, k=words))

    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            variants = [
                {"one_sentence": text(14), "feature": text(18), "caption": text(38)}
                for _ in range(5)
            ]
            file.write(json.dumps({"image": f"{number:08d}.jpg", "variants": variants}) + "\n")


def report(**figures: object) -> None:
    """Print the figures of a benchmark as one line of JSON."""
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps(rounded), flush=True)
