"""A whole run against an independent server: `transformers serve` with a tiny random model.

It ignores response formats and writes prose, so no record can come of it; what must hold is that
nothing is lost and that each picture arrives.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from local_kit import pictures, tiny_model

from trsllava.captioning import Failed, load_captioner

pytest.importorskip("uvicorn", reason="needs transformers[serving]")
pytest.importorskip("fastapi", reason="needs transformers[serving]")
pytest.importorskip("openai", reason="needs the extra openai")

__all__ = ["tiny_model"]  # a fixture

PATIENCE = 120.0


@pytest.fixture
def server(tiny_model, tmp_path):
    """Yield the address of a running server, the model's name there, and what its model saw."""
    folder = tiny_model("idefics3")
    seen = tmp_path / "seen.txt"
    seen.touch()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    script = Path(__file__).with_name("serve_tiny.py")
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(script), folder.name, port, str(seen)],
            cwd=folder.parent,
            env=offline,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/health", process, log)
            yield f"{address}/v1", folder.name, seen
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdin.close()


def wait_for(url, process, log):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answer.read()
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"the server does not start:\n{log.read_text(errors='replace')[-3000:]}")


def test_an_independent_server_gets_every_picture_and_every_reply_is_kept(server):
    address, name, seen = server
    given = pictures(3)
    captioner = load_captioner("openai", model=name, base_url=address, max_tokens=16, concurrency=2)
    outcomes = list(captioner.caption(iter(given)))

    assert sorted(o.image for o in outcomes) == sorted(p.image for p in given)
    for outcome in outcomes:
        assert isinstance(outcome, Failed)
        assert outcome.raw.strip()
        assert outcome.detail
        assert outcome.usage.calls >= 1
        assert outcome.usage.completion_tokens > 0
    arrived = [tuple(map(int, line.split())) for line in seen.read_text().splitlines()]
    for picture in given:
        colour = picture.pixels.getpixel((0, 0))
        near = [one for one in arrived if max(map(abs, map(int.__sub__, one, colour))) <= 4]
        assert near, f"the picture of colour {colour} never reached the model: {set(arrived)}"
    assert len(arrived) >= len(given)
