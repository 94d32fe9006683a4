"""A rate that all processes of a company keep to together: systems count calls by account.

`Wire.pace` paces the calls of one process only, and tables are landed by processes of their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from pipeline.errors import ConfigurationError, TransientSourceError
from pipeline.sources.wire import Wire

LOCK_SECONDS = 60.0
# No queue is longer: what lies further ahead was written by a clock that was wrong.
LONGEST_QUEUE = timedelta(minutes=10)


@dataclass(frozen=True)
class SharedPace:
    """The pace of one account; when its next call is due stands in a file in `folder`."""

    account: str
    per_second: float
    folder: Path
    wire: Wire

    def wait(self) -> None:
        """Wait until one more call keeps to the rate: evenly, and without a burst."""
        with self._locked():
            now = self.wire.now()
            due_at = self._due_at(now)
            after = due_at + timedelta(seconds=1 / self.per_second)
            self._file.write_text(after.isoformat(), encoding="ascii")
        if due_at > now:
            self.wire.sleep((due_at - now).total_seconds())

    def _due_at(self, now: datetime) -> datetime:
        try:
            told = datetime.fromisoformat(self._file.read_text(encoding="ascii")).astimezone(UTC)
        except (OSError, ValueError):
            return now
        return told if now < told <= now + LONGEST_QUEUE else now

    @property
    def _file(self) -> Path:
        return self.folder / f"{quote(self.account, safe='')}.due"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(f"{self._file}.lock", timeout=LOCK_SECONDS):
                yield
        except Timeout:
            raise TransientSourceError(
                f"calls of {self.account}: another process has held their pace for"
                f" {LOCK_SECONDS:.0f} s",
                next_step="see which other bihuan process hangs, and run again",
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"calls of {self.account}: {self.folder} cannot be written ({error.strerror})",
                next_step="set `data` in company.yml to a folder that can be written, or give"
                " --data",
            ) from error
