"""What WeChat sees of the simulated mini-program: who opened it, from where, and which pages.

Made from what truly happened, whatever the company's own tracker kept of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from pipeline.simulation.events import Event

# A page that nothing follows: what WeChat measures until the mini-program is left.
LAST_PAGE_SECONDS = 5.0


@dataclass(frozen=True)
class Session:
    """One opening of the mini-program as far as it lies in one day; `views` are pages in order.

    What goes on past midnight counts as visits of the next day, and not as another opening.
    """

    person: str
    scene: int
    is_opened: bool
    views: tuple[tuple[str, float], ...]

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds in self.views)

    @property
    def depth(self) -> int:
        """Different pages: one that is seen twice counts once."""
        return len({page for page, _ in self.views})


def sessions_of(events: Mapping[date, Sequence[Event]]) -> Iterator[dict[str, Any]]:
    """The sessions of the mini-program, one row each, in the order of days."""
    for day, listed in sorted(events.items()):
        inside: dict[str, list[Event]] = {}
        for event in listed:
            if event["platform"] == "wxmp":
                inside.setdefault(event["sid"], []).append(event)
        for steps in inside.values():
            yield {
                "day": day.isoformat(),
                "person": steps[0]["unionid"],
                "scene": steps[0]["scene"],
                "is_opened": any(step["name"] == "launch" for step in steps),
                "views": list(_views(steps)),
            }


def _views(steps: Sequence[Event]) -> Iterator[tuple[str, float]]:
    for step, following in pairwise(steps):
        yield step["path"], (following["ts"] - step["ts"]) / 1000
    yield steps[-1]["path"], LAST_PAGE_SECONDS


def read_sessions(rows: Iterable[Mapping[str, Any]]) -> dict[date, list[Session]]:
    """The sessions of each day, from their rows."""
    by_day: dict[date, list[Session]] = {}
    for row in rows:
        views = tuple((page, seconds) for page, seconds in row["views"])
        session = Session(row["person"], row["scene"], row["is_opened"], views)
        by_day.setdefault(date.fromisoformat(row["day"]), []).append(session)
    return by_day
