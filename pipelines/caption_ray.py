"""Caption an archive on a Ray cluster, one task a lot. Run it again to go on.

    python pipelines/caption_ray.py /data/archive --store /data/trsllava-store \\
        --captioner openai --model MODEL --base-url http://127.0.0.1:8000/v1 [--address auto]

The archive and the store must lie on a disk that every node sees under the same path. With
``--captioner transformers --gpus 1`` every task takes a GPU.
"""

import argparse
import sys
from pathlib import Path

import ray

from trsllava.errors import TrsllavaError
from trsllava.images.source import Reading
from trsllava.jobs.intake import Wish, take_in
from trsllava.jobs.job import Job, fingerprint_of, identity_of
from trsllava.jobs.on_ray import run_on_ray
from trsllava.jobs.progress import Progress
from trsllava.store.store import create_store


def main() -> int:
    """Take the archive in and hand its lots to the cluster."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--store", required=True)
    parser.add_argument("--captioner", required=True)
    parser.add_argument("--model")
    parser.add_argument("--base-url")
    parser.add_argument("--concurrency", type=int)
    parser.add_argument("--address", help="the cluster; a new local one unless given")
    parser.add_argument("--cpus", type=float, default=1.0, help="processors a task needs")
    parser.add_argument("--gpus", type=float, default=0.0, help="GPUs a task needs")
    given = parser.parse_args()
    wanted = {"model": given.model, "base_url": given.base_url, "concurrency": given.concurrency}
    options = {key: value for key, value in wanted.items() if value is not None}
    root = str(Path(given.store).resolve())
    store, reading = create_store(root), Reading()
    draft = Job(root, "", given.captioner, options, reading)
    identity = identity_of(draft.load(), reading)
    name = fingerprint_of(identity)
    paths = tuple(str(Path(path).resolve()) for path in given.paths)
    take_in(store, name, identity, Wish(paths, reading))
    ray.init(address=given.address, log_to_driver=False)
    progress = Progress(store.view(name).pending, None)
    job = Job(root, name, given.captioner, options, reading)
    run_on_ray(job, progress.report, cpus=given.cpus, gpus=given.gpus)
    progress.close()
    view = store.view(name)
    print(f"{view.records} records, {len(view.quarantined)} quarantined, {view.pending} pending")
    return 3 if view.quarantined else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TrsllavaError as error:
        sys.exit(f"error: {error}")
