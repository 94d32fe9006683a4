"""The line to a system over HTTP: transport, clock and waiting. Not what is said on it."""

import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TypeVar

import httpx

from pipeline.errors import BrokenContentError, ConfigurationError, TransientSourceError

T = TypeVar("T")

TRIES = 5
FIRST_PAUSE_SECONDS = 0.5
# The per-minute limits of both hosts are counted over calendar minutes.
QUOTA_PAUSE_SECONDS = 60
# Datacube answers within a second; a large bill takes longer to begin.
TIMEOUT = httpx.Timeout(10.0, read=60.0)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class QuotaOfMinuteError(TransientSourceError):
    """Too many calls within this minute: the next minute is another one."""


@dataclass(frozen=True)
class Wire:
    """What a client needs of the world. Tests put their own transport, clock and waiting in."""

    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    timeout: httpx.Timeout = field(default_factory=lambda: TIMEOUT)
    _due_at: dict[str, datetime] = field(default_factory=dict, compare=False, repr=False)
    _lock: Lock = field(default_factory=Lock, compare=False, repr=False)

    def client(self, base_url: str) -> httpx.Client:
        """A client of one host; to be closed. Raises ConfigurationError for a malformed address."""
        try:
            host = httpx.URL(base_url)
        except httpx.InvalidURL:
            host = httpx.URL("")
        if host.scheme not in ("http", "https") or not host.host:
            raise ConfigurationError(
                f"base_url: found '{base_url}', allowed: an http:// or https:// address",
                next_step="mend base_url of that connection in sources.yml",
            )
        return httpx.Client(
            base_url=host,
            transport=self.transport,
            timeout=self.timeout,
            headers={"User-Agent": "bihuan", "Accept": "application/json"},
            trust_env=host.host not in LOOPBACK,  # a proxy cannot reach this machine's loopback
        )

    def pace(self, key: str, per_second: float) -> None:
        """Wait until one more call of `key` keeps to its rate: evenly, and without a burst."""
        with self._lock:
            now = self.now()
            due_at = max(now, self._due_at.get(key, now))
            self._due_at[key] = due_at + timedelta(seconds=1 / per_second)
        if due_at > now:
            self.sleep((due_at - now).total_seconds())

    def persist(self, attempt: Callable[[], T]) -> T:
        """Try at most TRIES times while the system is busy or what arrives is broken."""
        for pause in _pauses():
            try:
                return attempt()
            except QuotaOfMinuteError:
                self.sleep(QUOTA_PAUSE_SECONDS + pause)
            except (TransientSourceError, BrokenContentError):
                self.sleep(pause)
        return attempt()


def _pauses() -> Iterator[float]:
    """Seconds before each further try: doubling, with jitter to part processes in step."""
    for count in range(TRIES - 1):
        yield FIRST_PAUSE_SECONDS * 2**count * random.uniform(0.5, 1.0)


class _WithoutQuery(logging.Filter):
    """httpx logs every address it calls; those of WeChat bear tokens in their query."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                part.copy_with(query=None) if isinstance(part, httpx.URL) else part
                for part in record.args
            )
        return True


logging.getLogger("httpx").addFilter(_WithoutQuery())
