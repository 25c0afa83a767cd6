"""Leases: which worker has which lot, on one machine or on many that share a disk.

A lease is a file that only one worker can make. Its holder touches it every few seconds. It is
stale when its holder is known to be dead, or when it has not been touched for `STALE_SECONDS` on
the clock of the one who looks (clocks of machines differ). Whoever finds the newest lease of a lot
stale makes the next one, with a higher number: of two thieves one succeeds, and nothing that the
old holder still does to its own file can harm the new one.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from trsllava.records import canonical_json
from trsllava.store.files import publish
from trsllava.store.layout import Layout

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a lot; ``name`` is the lot's with number and token."""

    lot: str
    path: Path
    name: str


class Leases:
    """A worker's leases of one record set, and what it has seen of those of others."""

    def __init__(self, layout: Layout, set_name: str) -> None:
        """Start the heart that beats for all leases.

        Parameters
        ----------
        layout
            Where the store lies.
        set_name
            The record set.
        """
        self._folder = layout.leases / set_name
        self._held: dict[str, Lease] = {}
        self._seen: dict[Path, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._heart.start()

    def take(self, lot: str) -> Lease | None:
        """Return a lease of the lot, or None while another worker has it."""
        newest = self._newest(lot)
        number = 1
        if newest is not None:
            if not self._is_stale(newest):
                return None
            number = _number(newest) + 1
        token = secrets.token_hex(8)
        path = self._folder / f"{lot}.{number}.json"
        try:
            publish(path, canonical_json({**_myself(), "token": token}), overwrite=False)
        except FileExistsError:
            return None
        except OSError:
            if (_read(path) or {}).get("token") == token:  # made, and not durable
                path.unlink(missing_ok=True)
            raise
        lease = Lease(lot, path, f"{lot}.{number}-{token}")
        with self._lock:
            self._held[lot] = lease
        return lease

    def holder(self, lot: str) -> str:
        """Say who has a lot."""
        newest = self._newest(lot)
        body = _read(newest) if newest is not None else None
        return f"host {body['host']}, pid {body['pid']}" if body else "another worker"

    def release(self, lease: Lease) -> None:
        """Give a lot back."""
        with self._lock:
            self._held.pop(lease.lot, None)
        lease.path.unlink(missing_ok=True)

    def clear(self, lease: Lease) -> None:
        """Delete every lease of a lot that is finished."""
        self.release(lease)
        for path in self._folder.glob(f"{lease.lot}.*.json"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop the heart; leases that are still held become stale when this process ends."""
        self._stopped.set()
        self._heart.join()

    def _newest(self, lot: str) -> Path | None:
        return max(self._folder.glob(f"{lot}.*.json"), key=_number, default=None)

    def _is_stale(self, path: Path) -> bool:
        body = _read(path)
        if body is not None and _is_dead(body):
            return True
        try:
            beat = path.stat().st_mtime_ns
        except FileNotFoundError:
            return False  # given back this moment; the next look will tell
        now = time.monotonic()
        known, since = self._seen.get(path, (None, now))
        if known != beat:
            self._seen[path] = (beat, now)
            return False
        return now - since > STALE_SECONDS

    def _beat(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            with self._lock:
                held = list(self._held.values())
            for lease in held:
                with contextlib.suppress(OSError):  # a disk that is away for a moment
                    os.utime(lease.path)


def _number(path: Path) -> int:
    return int(path.name.rsplit(".", 2)[1])


def _read(path: Path) -> dict[str, Any] | None:
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return body if isinstance(body, dict) else None


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return when a process began, as the kernel counts, or nothing where it does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def _myself() -> dict[str, Any]:
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "boot": _boot(),
        "pid": pid,
        "started": _started(pid),
    }


def _is_dead(body: dict[str, Any]) -> bool:
    """Whether the process that made a lease ran on this machine and is gone."""
    if (body.get("host"), body.get("boot")) != (socket.gethostname(), _boot()):
        return False
    pid = body.get("pid")
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return bool(body.get("started")) and _started(pid) not in ("", body["started"])
