"""The datacube of the simulated mini-program: ten calls, counted from its sessions.

It has WeChat's habits: items by descending key, a distribution that nobody documents, whole numbers
where others have a fraction, and retention that grows from day to day.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.simulation.datacube_days import (
    COMPACT,
    DAY,
    Calendar,
    Days,
    Rule,
    at_most,
    is_month,
    is_week,
    month_of,
    one_of,
    week_of,
)
from pipeline.simulation.visits import Session

PREFIX = "/datacube/getweanalysisappid"
OTHER_SOURCES = 10
STAY_SECONDS = (2, 5, 10, 20, 30, 50, 100)
DEPTHS = (1, 2, 3, 4, 5, 10)
RETENTION_DAYS = (*range(8), 14, 30)
RETENTION_WEEKS = 4
# One session in so many is shared with others.
SHARED_EVERY = 20
# On one weekday WeChat tells a stay of nothing, as in its own sample.
WEEKDAY_WITHOUT_STAY = 3

Reply = dict[str, Any]
# Names as WeChat writes them, with the ids of its sample where it shows one.
TRAITS: dict[str, tuple[tuple[int | None, str], ...]] = {
    "province": ((31, "广东省"), (32, "浙江省"), (33, "上海市"), (34, "四川省")),
    "city": ((3102, "广州"), (3103, "深圳"), (3201, "杭州"), (3301, "上海"), (3401, "成都")),
    "genders": ((1, "男"), (2, "女"), (0, "未知")),
    "platforms": ((1, "iPhone"), (2, "Android")),
    "devices": ((None, "OPPO R9"), (None, "iPhone 15"), (None, "HUAWEI Mate 60")),
    "ages": ((1, "17岁以下"), (2, "18-24岁"), (3, "25-29岁"), (4, "30-39岁"), (5, "40-49岁")),
}


def read_sources() -> dict[int, int]:
    """Scene to the key of its source. A scene that WeChat has named since is `other`."""
    path = Path(__file__).with_name("access_source_key_to_scene.csv")
    with path.open(encoding="utf-8", newline="") as lines:
        return {
            int(scene): int(row["access_source_key"])
            for row in csv.DictReader(lines)
            for scene in row["scene_codes"].split()
        }


@dataclass(frozen=True)
class Visits:
    """The sessions of each day, and who was there on it."""

    by_day: Mapping[date, Sequence[Session]]

    def sessions(self, days: Days) -> list[Session]:
        return [session for day in days for session in self.by_day.get(day, ())]

    def people(self, days: Days) -> set[str]:
        return set().union(*(self._people_by_day.get(day, set()) for day in days))

    def newcomers(self, days: Days) -> set[str]:
        """Those who were there for the first time."""
        return {
            person
            for person in self.people(days)
            if days.first <= self._first_days[person] <= days.last
        }

    def ever(self, day: date) -> int:
        """How many people have been there up to a day."""
        return sum(first <= day for first in self._first_days.values())

    @cached_property
    def _people_by_day(self) -> dict[date, set[str]]:
        return {
            day: {session.person for session in sessions} for day, sessions in self.by_day.items()
        }

    @cached_property
    def _first_days(self) -> dict[str, date]:
        first: dict[str, date] = {}
        for day, people in sorted(self._people_by_day.items()):
            for person in people:
                first.setdefault(person, day)
        return first


class MiniProgramDatacube:
    """The calls of one mini-program. `calls` gives what answers each path."""

    def __init__(self, sessions: Mapping[date, Sequence[Session]], calendar: Calendar) -> None:
        self._visits = Visits(sessions)
        self._calendar = calendar
        self._sources = read_sources()

    def calls(self) -> dict[str, Callable[[dict[str, Any]], Reply]]:
        told: dict[str, tuple[Rule, Callable[[Visits, Days], Reply]]] = {
            "dailyvisittrend": (at_most(1), partial(_trend, "{:%Y%m%d}")),
            "dailysummarytrend": (at_most(1), _summary),
            "weeklyvisittrend": (is_week, partial(_trend, "{:%Y%m%d}-{:%Y%m%d}")),
            "monthlyvisittrend": (is_month, partial(_trend, "{:%Y%m}")),
            "visitpage": (at_most(1), _pages),
            "visitdistribution": (at_most(1), self._distributions),
            "dailyretaininfo": (at_most(1), self._daily_retention),
            "weeklyretaininfo": (is_week, self._weekly_retention),
            "monthlyretaininfo": (is_month, self._monthly_retention),
            "userportrait": (one_of(1, 7, 30), _portrait),
        }
        return {
            PREFIX + name: partial(self._reply, rule, figures)
            for name, (rule, figures) in told.items()
        }

    def _reply(
        self, rule: Rule, figures: Callable[[Visits, Days], Reply], body: dict[str, Any]
    ) -> Reply:
        days = self._calendar.read(body, COMPACT, rule)
        return figures(Visits({}) if self._calendar.is_empty_yet(days) else self._visits, days)

    def _distributions(self, visits: Visits, days: Days) -> Reply:
        sessions = [session for session in visits.sessions(days) if session.is_opened]
        sources = [self._sources.get(session.scene, OTHER_SOURCES) for session in sessions]
        visitors = {
            (source, session.person) for source, session in zip(sources, sessions, strict=True)
        }
        counted = {
            "access_source_session_cnt": Counter(sources),
            "access_staytime_info": Counter(_band(s.seconds, STAY_SECONDS) for s in sessions),
            "access_depth_info": Counter(_band(s.depth, DEPTHS) for s in sessions),
            # Sent by WeChat, and on none of its pages.
            "access_source_visit_uv": Counter(source for source, _ in visitors),
        }
        listed = [
            {"index": index, "item_list": _items(counts.items(), descending=True)}
            for index, counts in counted.items()
            if counts
        ]
        return {"ref_date": f"{days.first:%Y%m%d}", "list": listed}

    def _daily_retention(self, visits: Visits, days: Days) -> Reply:
        later = {
            key: Days(days.first + key * DAY, days.first + key * DAY) for key in RETENTION_DAYS
        }
        return self._retention(visits, days, f"{days.first:%Y%m%d}", later)

    def _weekly_retention(self, visits: Visits, days: Days) -> Reply:
        later = {key: week_of(days.first + 7 * key * DAY) for key in range(RETENTION_WEEKS + 1)}
        return self._retention(visits, days, f"{days.first:%Y%m%d}-{days.last:%Y%m%d}", later)

    def _monthly_retention(self, visits: Visits, days: Days) -> Reply:
        later = {0: days, 1: month_of(days.last + DAY)}
        return self._retention(visits, days, f"{days.first:%Y%m}", later)

    def _retention(
        self, visits: Visits, days: Days, ref_date: str, later: Mapping[int, Days]
    ) -> Reply:
        """Who of the visitors came again: as far as the later days are over."""
        newcomers, people = visits.newcomers(days), visits.people(days)
        again = {
            key: visits.people(span)
            for key, span in later.items()
            if people and span.last <= self._calendar.yesterday
        }
        return {
            "ref_date": ref_date,
            "visit_uv_new": _items((key, len(newcomers & who)) for key, who in again.items()),
            "visit_uv": _items((key, len(people & who)) for key, who in again.items()),
        }


def _trend(ref_date: str, visits: Visits, days: Days) -> Reply:
    sessions = visits.sessions(days)
    if not sessions:
        return {"list": []}
    opened = sum(session.is_opened for session in sessions)
    people = visits.people(days)
    views = sum(len(session.views) for session in sessions)
    seconds = sum(session.seconds for session in sessions)
    has_stay = days.first.isoweekday() != WEEKDAY_WITHOUT_STAY
    figures = {
        "ref_date": ref_date.format(days.first, days.last),
        "session_cnt": opened,
        "visit_pv": views,
        "visit_uv": len(people),
        "visit_uv_new": len(visits.newcomers(days)),
        "stay_time_uv": round(seconds / len(people), 4),
        "stay_time_session": round(seconds / max(1, opened), 4) if has_stay else 0,
        "visit_depth": round(sum(s.depth for s in sessions) / max(1, opened), 4),
    }
    return {"list": [figures]}


def _summary(visits: Visits, days: Days) -> Reply:
    sessions = visits.sessions(days)
    if not sessions:
        return {"list": []}
    shared = [session for session in sessions if _is_shared(session)]
    figures = {
        "ref_date": f"{days.first:%Y%m%d}",
        "visit_total": visits.ever(days.first),
        "share_pv": len(shared),
        "share_uv": len({session.person for session in shared}),
    }
    return {"list": [figures]}


def _pages(visits: Visits, days: Days) -> Reply:
    """Pages by their views, the most seen first."""
    sessions = visits.sessions(days)
    views = [(page, seconds, s.person) for s in sessions for page, seconds in s.views]
    counts = Counter(page for page, _, _ in views)
    entries = Counter(session.views[0][0] for session in sessions)
    exits = Counter(session.views[-1][0] for session in sessions)
    shared = [(s.views[-1][0], s.person) for s in sessions if _is_shared(s)]
    listed = [
        {
            "page_path": page,
            "page_visit_pv": count,
            "page_visit_uv": len({who for seen, _, who in views if seen == page}),
            "page_staytime_pv": round(sum(s for seen, s, _ in views if seen == page) / count, 6),
            "entrypage_pv": entries[page],
            "exitpage_pv": exits[page],
            "page_share_pv": sum(seen == page for seen, _ in shared),
            "page_share_uv": len({who for seen, who in shared if seen == page}),
        }
        for page, count in counts.most_common()
    ]
    return {"ref_date": f"{days.first:%Y%m%d}", "list": listed}


def _portrait(visits: Visits, days: Days) -> Reply:
    return {
        "ref_date": f"{days.first:%Y%m%d}",
        "visit_uv_new": _traits(visits.newcomers(days)),
        "visit_uv": _traits(visits.people(days)),
    }


def _traits(people: set[str]) -> dict[str, list[dict[str, Any]]]:
    return {trait: list(_counted(trait, people)) for trait in TRAITS}


def _counted(trait: str, people: set[str]) -> Iterator[dict[str, Any]]:
    counts = Counter(TRAITS[trait][_drawn(trait, who) % len(TRAITS[trait])] for who in people)
    for (number, name), count in sorted(counts.items(), key=lambda counted: counted[0][1]):
        yield ({} if number is None else {"id": number}) | {"name": name, "value": count}


def _is_shared(session: Session) -> bool:
    return _drawn("shared", f"{session.person} {session.seconds}") % SHARED_EVERY == 0


@cache
def _drawn(about: str, whom: str) -> int:
    """A number that is always the same for one thing about one person."""
    return int.from_bytes(sha256(f"{about} {whom}".encode()).digest()[:4])


def _band(value: float, limits: Sequence[int]) -> int:
    """The number of the band that a value falls in, from one on."""
    return 1 + sum(value > limit for limit in limits)


def _items(pairs: Iterable[tuple[int, int]], *, descending: bool = False) -> list[dict[str, int]]:
    listed = sorted(pairs, reverse=descending)
    return [{"key": key, "value": value} for key, value in listed]
