"""The shape that every measurement has: what is asked of it, what it found, which bars must hold.

How a measurement is printed or written down is decided in `telling.py`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeVar

from pipeline.errors import ConfigurationError

T = TypeVar("T")

Tell = Callable[[str], None]
"""Takes a line of progress."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks of a measurement. None: the measurement's own default."""

    seeds: int | None = None
    events: str | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Bar:
    """One thing that must hold for the measurement to pass, and what was found of it."""

    name: str
    is_held: bool
    found: str


@dataclass(frozen=True)
class Figures:
    """One table of figures, as text; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Measured:
    """What came of a measurement.

    `command` makes it again. `results` are the same figures for machines. `is_whole` says that it
    was as large as its page promises: a smaller one is a rehearsal and leaves the page alone.
    """

    command: str
    tables: tuple[Figures, ...]
    bars: tuple[Bar, ...]
    results: Mapping[str, Any]
    is_whole: bool
    remarks: tuple[str, ...] = ()

    @property
    def has_passed(self) -> bool:
        """Whether every bar holds. A measurement without bars could not fail, so it cannot pass."""
        return bool(self.bars) and all(bar.is_held for bar in self.bars)


@dataclass(frozen=True)
class Entry:
    """A measurement by name. Its module has `measure(asked, tell) -> Measured`."""

    name: str
    module: str
    page: str
    question: str


MEASUREMENTS: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "truth", "bench.truth", "accuracy.md",
            "Is every planted fault found, and nothing else, also where data is late or missing?",
        ),
        Entry(
            "speed", "bench.speed", "performance.md",
            "How long does a build take, and does it take longer than the data grows?",
        ),
        Entry(
            "wechat", "bench.wechat", "wechat.md",
            "Does a backfill from WeChat come out whole and true, whatever goes wrong meanwhile?",
        ),
        Entry(
            "sql", "bench.sql", "sql.md",
            "Does a large table of a database land whole, in bounded memory, and how fast?",
        ),
    )
}  # fmt: skip


def find(name: str) -> Entry:
    """The measurement of a name. Raises ConfigurationError, which says which there are."""
    if name not in MEASUREMENTS:
        raise ConfigurationError(
            f"bench: found {name}, allowed: {', '.join(MEASUREMENTS)}",
            next_step="bihuan bench, without a name, says what each of them measures",
        )
    return MEASUREMENTS[name]


def run(entry: Entry, asked: Asked, tell: Tell) -> Measured:
    """Run a measurement; its module is loaded only now."""
    measured: Measured = import_module(entry.module).measure(asked, tell)
    return measured


@dataclass
class Stopwatch:
    """Seconds per named piece of work, told as each ends."""

    tell: Tell
    seconds: dict[str, float] = field(default_factory=dict)

    def time(self, name: str, work: Callable[[], T]) -> T:
        begun = time.monotonic()
        done = work()
        self.seconds[name] = time.monotonic() - begun
        self.tell(f"{name}: {self.seconds[name]:.1f} s")
        return done


def as_texts(rows: Sequence[Sequence[object]]) -> tuple[tuple[str, ...], ...]:
    """Rows of figures as text."""
    return tuple(tuple(str(cell) for cell in row) for row in rows)
