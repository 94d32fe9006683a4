"""Running a piece of work in a process of its own, and watching what it takes of the machine."""

import multiprocessing
import resource
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

# Linux tells the peak in KiB, macOS in bytes.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Taken(Generic[T]):
    """What a piece of work took, and what it returned.

    `peak_rss_bytes` is that of its largest process, `spill_bytes` the most that lay on disk at any
    look.
    """

    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    spill_bytes: int
    returned: T


def watched(work: Callable[..., T], *arguments: object, spill: Path) -> Taken[T]:
    """Run `work` in a fresh process; `spill` is the folder that DuckDB spills into.

    A fresh one, because a process never forgets its own peak.
    """
    fresh = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(max_workers=1, mp_context=fresh) as pool,
        _Looking(spill) as looking,
    ):
        seconds, cpu_seconds, peak, returned = pool.submit(_measured, work, arguments).result()
    return Taken(seconds, cpu_seconds, peak, looking.most_bytes, returned)


def _measured(work: Callable[..., T], arguments: tuple[object, ...]) -> tuple[float, float, int, T]:
    """In the fresh process: the work, with the processes that it starts and waits for."""
    begun = time.monotonic()
    returned = work(*arguments)
    seconds = time.monotonic() - begun
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu_seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    own_peak = _own_peak_bytes(otherwise=own.ru_maxrss * RSS_UNIT)
    return seconds, cpu_seconds, max(own_peak, children.ru_maxrss * RSS_UNIT), returned


def _own_peak_bytes(*, otherwise: int) -> int:
    """The peak of this process alone, where the system tells it; else `otherwise`.

    Linux carries the peak of whoever started a process over into its `ru_maxrss`, 400 MB of a test
    run for example; VmHWM (man 5 proc) begins with the program itself.
    """
    status = Path("/proc/self/status")
    told = status.read_text(encoding="ascii", errors="replace") if status.exists() else ""
    peaks = [line.split()[1] for line in told.splitlines() if line.startswith("VmHWM:")]
    return int(peaks[0]) * 1024 if peaks else otherwise


class _Looking:
    """Looks again and again at how much lies in a folder, and keeps the most."""

    def __init__(self, folder: Path) -> None:
        self.most_bytes = 0
        self._folder = folder
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Looking":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(SECONDS_BETWEEN_LOOKS):
            self.most_bytes = max(self.most_bytes, _bytes_in(self._folder))


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # DuckDB takes its files away while we look
            continue
    return total
