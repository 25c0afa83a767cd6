"""The captioning job against a stub server: throughput, memory, busy slots, a rerun.

    python benchmarks/captioning.py [images] [images of the rerun]

The alternative is a bare loop: sixteen threads that post the same files, as they are, to the same
server with `http.client`, and write down the replies.
"""

import base64
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from common import report, run, trsllava
from PIL import Image

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
RERUN = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
SLOTS, DELAY = 64, 2.0


def paint(folder: Path, count: int, side: int) -> None:
    """Save pictures of smooth noise."""
    draw = np.random.default_rng(1)
    folder.mkdir(parents=True)
    for number in range(count):
        grid = draw.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        picture = Image.fromarray(grid).resize((side, side), Image.Resampling.BILINEAR)
        picture.save(folder / f"{number:06d}.jpg", quality=85)


@contextmanager
def serving(log: Path, delay: float) -> Iterator[str]:
    """Run the stub server in a process of its own and yield its address."""
    command = [sys.executable, "-m", "trsllava.testing.server", "--delay", str(delay)]
    process = subprocess.Popen([*command, "--log", str(log)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[-1].strip()
    finally:
        process.terminate()
        process.wait()


def caption(folder: Path, store: Path, address: str, slots: int = 16) -> list[str]:
    """Return the command that captions a folder."""
    options = ["--model", "stub", "--base-url", address, "--concurrency", str(slots)]
    return trsllava("caption", str(folder), *options, "--store", str(store))


def bare(folder: Path, address: str, out: Path) -> float:
    """Post the files without any care and return the seconds."""
    place = urlsplit(address)
    files = sorted(folder.iterdir())

    def work(part: list[Path]) -> list[bytes]:
        link = http.client.HTTPConnection(place.hostname or "", place.port)
        replies = []
        for path in part:
            data = base64.b64encode(path.read_bytes()).decode()
            image = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}
            text = {"type": "text", "text": "Describe the image."}
            content = [image, text]
            body = {"model": "stub", "messages": [{"role": "user", "content": content}]}
            link.request("POST", f"{place.path}/chat/completions", json.dumps(body))
            replies.append(link.getresponse().read())
        link.close()
        return replies

    started = time.perf_counter()
    with ThreadPoolExecutor(16) as pool, out.open("wb") as file:
        for replies in pool.map(work, [files[n::16] for n in range(16)]):
            file.writelines(reply + b"\n" for reply in replies)
    return time.perf_counter() - started


def busy(log: Path, slots: int) -> float:
    """Return the share of slots that were taken, between the first and the last request."""
    times = sorted(json.loads(line)["t"] for line in log.read_text().splitlines())
    first, last = times[0], times[-1]
    taken = sum(min(start + DELAY, last) - start for start in times)
    return taken / (slots * (last - first))


with tempfile.TemporaryDirectory() as name:
    home = Path(name)
    paint(home / "in", COUNT, 224)
    paint(home / "tenth", COUNT // 10, 224)
    with serving(home / "log", 0.0) as address:
        tenth = run(caption(home / "tenth", home / "small", address))
        whole = run(caption(home / "in", home / "store", address))
        alone = bare(home / "in", address, home / "bare.jsonl")
    report(
        benchmark="captioning at once",
        records=COUNT,
        records_a_second=COUNT / whole.seconds,
        ratio_to_bare_posts=alone / whole.seconds,
        peak_mb=whole.peak / 1e6,
        peak_mb_of_a_tenth=tenth.peak / 1e6,
    )
    with serving(home / "slow", DELAY) as address:
        run(caption(home / "tenth", home / "slots", address, SLOTS))
    report(benchmark="captioning, 64 slots of 2 s", busy_slots=busy(home / "slow", SLOTS))
    if RERUN:
        paint(home / "many", RERUN, 32)
        with serving(home / "many.log", 0.0) as address:
            first = run(caption(home / "many", home / "done", address))
            again = run(caption(home / "many", home / "done", address))
        report(
            benchmark="rerun of a finished job",
            images=RERUN,
            seconds=again.seconds,
            ratio_to_first_run=again.seconds / first.seconds,
        )
