"""A folder of stored callback bodies: which files may hold a day, and the bodies of each.

One body per file (.xml, .json), or one per line (.jsonl, .ndjson): the body itself, or the line
that `journal` writes. What a body says does not belong here.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pipeline.errors import PermanentSourceError
from pipeline.landing import day_end

WHOLE, BY_LINE = (".xml", ".json"), (".jsonl", ".ndjson")
_DAY = re.compile(r"(?<!\d)(\d{4}-\d{2}-\d{2}|\d{8})(?!\d)")


@dataclass(frozen=True)
class StoredBody:
    """One body as it was stored. `place` names file and line."""

    place: str
    content: bytes
    received_at: datetime
    app_id: str | None = None


@dataclass(frozen=True)
class StoredFile:
    """A file; the day in its name, if any, is the one on which its bodies came."""

    path: Path
    name: str
    day: date | None

    @property
    def changed_at(self) -> datetime:
        """When it was last written, or put there."""
        stat = self.path.stat()
        return datetime.fromtimestamp(max(stat.st_mtime, stat.st_ctime), UTC)

    def bodies(self) -> Iterator[StoredBody]:
        """Where the file does not say when a body came: at the end of the day in its name, else
        when the file was last written."""
        written_at = datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        came_at = day_end(self.day) if self.day else written_at
        if self.path.suffix in WHOLE:
            yield StoredBody(self.name, self.path.read_bytes(), came_at)
            return
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _unwrap(f"{self.name}:{number}", line, came_at)


class Shelf:
    """The stored bodies of one connection: the files that `pattern` finds, else all of them."""

    def __init__(self, folder: Path, pattern: str | None) -> None:
        self.folder = folder
        self._pattern = pattern

    def files(self) -> list[StoredFile]:
        """In the order of their names. Raises PermanentSourceError where there is no folder."""
        if not self.folder.is_dir():
            raise PermanentSourceError(
                f"callbacks: found no folder {self.folder}",
                next_step="check `folder` in sources.yml; `bihuan callbacks serve` makes it",
            )
        found = self.folder.glob(self._pattern) if self._pattern else self.folder.rglob("*")
        return [
            StoredFile(path, path.relative_to(self.folder).as_posix(), _day_in(path.name))
            for path in sorted(found)
            if path.suffix in (*WHOLE, *BY_LINE) and path.is_file()
        ]

    def files_of(self, *days: date | None) -> list[StoredFile]:
        """Those whose name bears one of these days."""
        return [file for file in self.files() if file.day is not None and file.day in days]


def _unwrap(place: str, line: bytes, came_at: datetime) -> StoredBody:
    """A line of our own server says when it came and for whom; any other is the body itself."""
    bare = StoredBody(place, line, came_at)
    if b'"received_at"' not in line:
        return bare
    try:
        told = json.loads(line)
        received_at = datetime.fromisoformat(told["received_at"])
        body, app_id = told["body"], told["app_id"]
        if received_at.tzinfo is None or not isinstance(app_id, str | None):
            return bare
        return StoredBody(place, body.encode(), received_at.astimezone(UTC), app_id)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return bare  # which is refused as a callback that says nothing


def _day_in(name: str) -> date | None:
    found = _DAY.search(name)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
