"""Received bodies appended to a folder: one JSON line each, one file per Shanghai day of receipt.

The only writer of that folder; `shelf` reads it.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipeline.landing import business_day


class Journal:
    """Threads and processes may append at the same time."""

    def __init__(
        self, folder: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.folder = folder
        self._now = now

    def append(self, body: str, *, app_id: str | None) -> None:
        """Store a body so that neither a killed process nor a lost machine loses it."""
        received_at = self._now()
        told = {"received_at": received_at.isoformat(), "app_id": app_id, "body": body}
        line = json.dumps(told, ensure_ascii=False).encode() + b"\n"
        with _opened(self.folder / f"callbacks-{business_day(received_at)}.jsonl") as handle:
            length = os.fstat(handle).st_size
            # A process killed while it wrote has left half a line, which nobody was told is kept.
            if length and os.pread(handle, 1, length - 1) != b"\n":
                line = b"\n" + line
            try:
                _write(handle, line)
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, length)
                raise


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The file, locked. Closing it gives the lock back."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    is_new = not path.exists()
    # What customers wrote is in there.
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if is_new:
            _sync_folder(path.parent)
        yield handle
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """A new file's name is on disk only once its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(handle: int, line: bytes) -> None:
    while line:
        line = line[os.write(handle, line) :]
