"""Importing 100,000 records, against parsing and writing the same lines with json alone."""

import json
import sys
import tempfile
import time
from pathlib import Path

from common import report, run, trsllava, write_records

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    file = folder / "records.jsonl"
    write_records(file, COUNT)
    started = time.perf_counter()
    with file.open() as lines, (folder / "copy.jsonl").open("w") as copy:
        for line in lines:
            copy.write(json.dumps(json.loads(line), sort_keys=True) + "\n")
    alone = time.perf_counter() - started
    small = folder / "small.jsonl"
    write_records(small, COUNT // 10)
    tenth = run(trsllava("import", str(small), "--store", str(folder / "small")))
    whole = run(trsllava("import", str(file), "--store", str(folder / "store")))
    report(
        benchmark="importing",
        records=COUNT,
        megabytes=file.stat().st_size / 1e6,
        seconds=whole.seconds,
        records_a_second=COUNT / whole.seconds,
        ratio_to_json_alone=whole.seconds / alone,
        peak_mb=whole.peak / 1e6,
        peak_mb_of_a_tenth=tenth.peak / 1e6,
    )
