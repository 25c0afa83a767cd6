"""Auditing a store, against going through its records and doing nothing with them."""

import statistics
import sys
import tempfile
from pathlib import Path

from common import report, run, trsllava, write_records

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
TIMES = 3
OPEN = (
    "import sys; from trsllava.store.store import open_store; view = open_store(sys.argv[1]).view()"
)
READ = f"{OPEN}; assert sum(1 for _ in view) == view.records"
AUDIT = f"{OPEN}; from trsllava.audit.suspicions import audit; audit(view)"

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    stores = {count: str(folder / f"{count}") for count in (COUNT // 10, COUNT)}
    for count, store in stores.items():
        write_records(folder / "records.jsonl", count)
        run(trsllava("import", str(folder / "records.jsonl"), "--store", store))
    tenth = run([sys.executable, "-c", AUDIT, stores[COUNT // 10]])
    pairs = [
        [run([sys.executable, "-c", code, stores[COUNT]]) for code in (READ, AUDIT)]
        for _ in range(TIMES)
    ]
    read, audited = (
        statistics.median(run.seconds for run in runs) for runs in zip(*pairs, strict=True)
    )
    report(
        benchmark="audit",
        records=COUNT,
        seconds=audited,
        seconds_to_read=read,
        ratio_to_reading=audited / read,
        peak_mb=pairs[0][1].peak / 1e6,
        peak_mb_of_a_tenth=tenth.peak / 1e6,
    )
