"""The job over real pictures and scenes: a stub server, and a tiny model of transformers."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from jobs_kit import balance, caption
from tiny_models import make_tiny_model

from trsllava.captioning.local import LocalCaptioner
from trsllava.store.store import open_store
from trsllava.testing.server import StubServer
from trsllava.upkeep.verify import verify

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
IMAGES = SHARED / "rsicd" / "images"
SCENES = SHARED / "scenes"


@pytest.mark.skipif(not IMAGES.is_dir(), reason="the RSICD images are not beside the checkout")
def test_two_hundred_rsicd_images_get_a_record_each(tmp_path):
    chosen = sorted(IMAGES.iterdir())[::49][:200]
    (tmp_path / "in").mkdir()
    for path in chosen:
        shutil.copy(path, tmp_path / "in")
    with StubServer() as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "trsllava", "caption", "in", "--store", "s"),
                *("--model", "stub", "--base-url", server.address),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        sent = Counter(call["sha256"] for call in server.calls)
    view = open_store(tmp_path / "s").view()
    assert balance(view) == (200, 200, 0, 0)
    assert [record.image for record in view] == sorted(path.name for path in chosen)
    assert max(sent.values()) == 1
    assert all(call["real_type"] == call["type"] for call in server.calls)
    assert verify(open_store(tmp_path / "s")).damaged == ()


@pytest.mark.skipif(not SCENES.is_dir(), reason="the scenes are not beside the checkout")
def test_a_tiny_model_writes_a_valid_record_of_every_image_and_scene(tmp_path):
    for path in sorted(IMAGES.iterdir())[::800][:12]:
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "in")
    model = make_tiny_model(tmp_path / "model", "idefics3")
    captioner = LocalCaptioner(model=str(model), concurrency=6, checks=False)
    caption(tmp_path / "s", [tmp_path / "in", SCENES], captioner)
    view = open_store(tmp_path / "s").view()
    scenes = [p for p in SCENES.iterdir() if p.suffix.lower() == ".tif"]
    assert balance(view) == (12 + len(scenes), 12 + len(scenes), 0, 0)
    assert not any(record.is_thin for record in view)
    assert {record.model for record in view} == {"model"}
    placed = {record.image for record in view if record.metadata.bbox is not None}
    assert {path.name for path in scenes} >= placed
    assert len(placed) >= 5
    assert json.loads(json.dumps([r.to_json() for r in view]))
