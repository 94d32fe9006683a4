"""A token kept on disk and shared by all processes of a company: its lock, reading and writing.

What a token is, and how another is asked for, is the concern of the system's package. Tokens open
the account: the folder and what is in it are readable by their owner only.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from pipeline.errors import ConfigurationError, TransientSourceError

# Longer than a process needs that meets the limit of a minute at each of its tries.
LOCK_SECONDS = 600.0


@dataclass(frozen=True)
class TokenFile:
    """One file in `folder`; `what` names the token in messages, such as `access token of wx1`."""

    folder: Path
    name: str
    what: str

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time asks for a token: the others read what it found.

        Raises TransientSourceError where another holds it for too long, ConfigurationError where
        the folder cannot be written.
        """
        with self._telling_where():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(self._path.with_suffix(".lock"), timeout=LOCK_SECONDS, mode=0o600)
            try:
                lock.acquire()
            except Timeout:
                raise TransientSourceError(
                    f"{self.what}: another process has been asking for it for {LOCK_SECONDS:.0f} s",
                    next_step="see which other bihuan process hangs, and run again",
                ) from None
        try:
            yield
        finally:
            lock.release()

    def read(self) -> bytes:
        """What is kept; nothing where nothing can be read."""
        try:
            return self._path.read_bytes()
        except OSError:
            return b""

    def write(self, content: Mapping[str, Any]) -> None:
        """Keep this instead, whole or not at all. Raises ConfigurationError where it cannot."""
        with self._telling_where():
            handle, name = tempfile.mkstemp(dir=self.folder, prefix=".writing-")  # mode 0600
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)

    @property
    def _path(self) -> Path:
        return self.folder / f"{quote(self.name, safe='')}.json"

    @contextmanager
    def _telling_where(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigurationError(
                f"{self.what}: {self.folder} cannot be written ({error.strerror})",
                next_step="set `data` in company.yml to a folder that can be written, or give"
                " --data",
            ) from error
