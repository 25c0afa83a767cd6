"""How a file appears: whole and durable, or not at all; and who may write.

Write to a temporary name, fsync, rename (or hard link, which never
overwrites), fsync the folder: after a crash at any instant a name either
holds its full content or does not exist.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from trsllava.errors import NewerFormat, StoreBusy, StoreDamaged
from trsllava.records import canonical_json

log = logging.getLogger(__name__)

TEMPORARY = ".tmp"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@contextmanager
def publishing(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the name ``path`` when the block ends well.

    With ``overwrite=False`` an existing file of that name stays as it is and
    `FileExistsError` is raised: of two writers the first wins.
    """
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    _make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            temporary.replace(path)
        else:
            _link(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each name durable."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def _link(temporary: Path, path: Path) -> None:
    """Give ``temporary`` the name ``path`` unless that name is taken."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: the caller holds the store's lock.
        if path.exists():
            raise FileExistsError(errno.EEXIST, "exists already", str(path)) from error
        temporary.replace(path)


def can_link(folder: Path) -> bool:
    """Whether the disk of a folder knows hard links."""
    temporary = folder / f".link.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}"
    target = temporary.with_name(f"{temporary.name}2{TEMPORARY}")
    try:
        temporary.touch()
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    finally:
        temporary.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
    return True


def publish(path: Path, data: bytes, *, overwrite: bool = True) -> None:
    """Let ``path`` appear with this content, whole and durable."""
    with publishing(path, overwrite=overwrite) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(body: dict[str, Any]) -> bytes:
    """Return a small JSON file that carries the digest of its own content."""
    digest = hashlib.sha256(canonical_json(body)).hexdigest()
    return canonical_json({**body, "seal": digest}) + b"\n"


def unseal(path: Path, version: int) -> dict[str, Any]:
    """Read what `seal` wrote.

    Raises `NewerFormat` if its version is above ``version``. `StoreDamaged` if it is missing or
    any byte of it has changed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreDamaged(f"{path} cannot be read: {error.strerror}") from error
    try:
        body = json.loads(data)
        if not isinstance(body, dict):
            raise StoreDamaged(f"{path} is damaged: not a JSON object")
        body.pop("seal", None)
        intact = seal(body) == data
    except (ValueError, RecursionError) as error:
        raise StoreDamaged(f"{path} is damaged: {error}") from error
    if not intact:
        raise StoreDamaged(f"{path} is damaged: its digest does not match its content")
    if body.get("version", 0) > version:
        raise NewerFormat(
            f"{path} has format version {body['version']}; this trsllava reads up to {version}: "
            "upgrade trsllava"
        )
    return body


@contextmanager
def lock(path: Path, purpose: str, wait: float = 60.0) -> Iterator[None]:
    """Hold the one writer's lock at ``path``; the kernel frees it when its holder dies.

    Raises `StoreBusy` if another process holds it for more than ``wait`` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        deadline = time.monotonic() + wait
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read(400).decode(errors="replace").strip() or "another process"
                if time.monotonic() >= deadline:
                    raise StoreBusy(
                        f"{path.parent} is being written by {holder}; try again when it is done"
                    ) from error
                if not told:
                    log.warning("waiting for %s, which writes to %s", holder, path.parent)
                    told = True
                time.sleep(0.05)
        file.truncate(0)
        file.write(f"{purpose} (host {socket.gethostname()}, pid {os.getpid()})".encode())
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def sweep(*folders: Path) -> None:
    """Delete temporary files that killed writers left; the caller holds these folders' lock."""
    for folder in folders:
        for path in folder.rglob(f".*{TEMPORARY}"):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
