"""Which dropped files are new or have changed, and stand still: told from one look to the next.

When to look, and what to start then, is the concern of `pipeline.defs.arrivals`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TypeVar

from pipeline.company import Company
from pipeline.sources import Source, open_source
from pipeline.sources.files import FileSource
from pipeline.sources.joined import JoinedSource

# Enough of a digest to tell the versions of one file apart; the whole of it would double a cursor.
_DIGEST_CHARACTERS = 16

T = TypeVar("T")


@dataclass(frozen=True)
class Stat:
    """What a folder tells of a file without its being read."""

    size: int
    modified_ns: int


@dataclass(frozen=True)
class Taken:
    """A file whose content has been handed on."""

    stat: Stat
    digest: str


@dataclass(frozen=True)
class Look:
    """One look at the drop folders. `moving` files were new or changed, and may still grow."""

    taken: Mapping[str, Taken] = field(default_factory=dict)
    moving: Mapping[str, Stat] = field(default_factory=dict)
    arrived: tuple[str, ...] = ()
    """The files that stand still since the look before and hold what was not handed on."""
    touched: tuple[str, ...] = ()
    """The files that were written again and hold what they held."""

    def to_cursor(self) -> str:
        taken = {
            name: [of.stat.size, of.stat.modified_ns, of.digest] for name, of in self.taken.items()
        }
        moving = {name: [stat.size, stat.modified_ns] for name, stat in self.moving.items()}
        return json.dumps({"taken": taken, "moving": moving}, ensure_ascii=False)

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "Look":
        if not cursor:
            return cls()
        written = json.loads(cursor)
        return cls(
            taken={
                name: Taken(Stat(size, modified_ns), digest)
                for name, (size, modified_ns, digest) in written["taken"].items()
            },
            moving={name: Stat(*stat) for name, stat in written["moving"].items()},
        )


def file_sources(company: Company) -> list[FileSource]:
    """The sources of every table that comes from dropped files."""
    opened: list[Source] = []
    for table, settings in company.sources.tables.items():
        if settings.connector == FileSource.connector:
            source = open_source(table, company)
            opened += source.parts if isinstance(source, JoinedSource) else [source]
    return [source for source in opened if isinstance(source, FileSource)]


def dropped_files(sources: Sequence[FileSource], until: date) -> list[Path]:
    """The files there are for days up to `until`: a day that goes on is written to all day."""
    found = dict.fromkeys(path for source in sources for path in source.arrivals(until))
    return list(found)


def look(before: Look, files: Sequence[Path]) -> Look:
    """Look again: a file arrives once two looks in a row find it the same.

    Only then is it read, and only where its content differs from what was taken has it arrived.
    A file that is gone is forgotten.
    """
    now = {str(path): stat for path in files if (stat := _stat(path)) is not None}
    taken = {name: of for name, of in before.taken.items() if name in now}
    changed = {
        name: stat for name, stat in now.items() if name not in taken or taken[name].stat != stat
    }
    still = [name for name, stat in changed.items() if before.moving.get(name) == stat]
    arrived: list[str] = []
    touched: list[str] = []
    for name in still:
        digest = _digest(Path(name))
        if digest is None or _stat(Path(name)) != changed[name]:
            continue  # it moves again
        is_known = name in taken and taken[name].digest == digest
        (touched if is_known else arrived).append(name)
        taken[name] = Taken(changed.pop(name), digest)
    return Look(taken=taken, moving=changed, arrived=tuple(arrived), touched=tuple(touched))


def put_off(before: Look, after: Look) -> Look:
    """The later look, for a time at which nothing can be started: what arrived arrives again."""
    kept = _without(after.taken, after.arrived) | {
        name: before.taken[name] for name in after.arrived if name in before.taken
    }
    waiting = {name: after.taken[name].stat for name in after.arrived}
    return replace(after, taken=kept, moving={**after.moving, **waiting}, arrived=())


def _without(mapping: Mapping[str, T], names: Sequence[str]) -> dict[str, T]:
    return {name: value for name, value in mapping.items() if name not in names}


def _stat(path: Path) -> Stat | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return Stat(stat.st_size, stat.st_mtime_ns)


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()[:_DIGEST_CHARACTERS]
    except OSError:
        return None
