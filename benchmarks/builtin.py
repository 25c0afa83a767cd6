"""The builtin captioner: records a second, memory, and how soon the first record is there.

    python benchmarks/builtin.py [IMAGES]        # 100 painted scenes unless given

The named alternative is merely looking: the same pictures through the light head, on as many
cores. The whole command is timed on one picture, Python's start included.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from trsllava import resources
from trsllava.captioning import Captioned, Prepared, load_captioner
from trsllava.embedding.bundled import usable_cores
from trsllava.light.eye import Eye

SEED = 99_000_000


def main() -> None:
    """Print what was measured."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    pictures = scenes(count)
    captioner = load_captioner("builtin")
    list(captioner.caption(pictures[:1]))  # the models are loaded once
    started = time.perf_counter()
    outcomes = list(captioner.caption(pictures))
    writing = time.perf_counter() - started
    records = sum(isinstance(outcome, Captioned) for outcome in outcomes)
    eye = Eye()
    started = time.perf_counter()
    eye.vectors([prepared.pixels for prepared in pictures])
    looking = time.perf_counter() - started
    print(f"{usable_cores()} cores, {count} pictures, {records} records")
    print(f"captioning  {count / writing:6.1f} records/s")
    print(f"looking     {count / looking:6.1f} pictures/s, {writing / looking:.1f} times faster")
    seconds, peak = first_record(pictures[0])
    print(f"command on one picture: {seconds:.2f} s, peak {peak:.0f} MB")


def scenes(count: int) -> list[Prepared]:
    """Paint pictures that no training has seen."""
    painter = resources.load_script("datasets/sample_archive.py")
    kinds = painter.KINDS
    painted = (painter.scene(kinds[n % len(kinds)], SEED + n) for n in range(count))
    return [Prepared(str(n), Image.fromarray(s.pixels)) for n, s in enumerate(painted)]


def first_record(prepared: Prepared) -> tuple[float, float]:
    """Return the seconds and the peak memory in MB of the command on one picture."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "one.jpg"
        prepared.pixels.save(picture)
        command = [sys.executable, "-m", "trsllava", "caption", str(picture)]
        started = time.perf_counter()
        subprocess.run(
            [*command, "--store", f"{folder}/store"], check=True, capture_output=True, timeout=100
        )
        seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


if __name__ == "__main__":
    main()
