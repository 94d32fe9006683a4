"""The datacube of the simulated service account: followers, articles, messages and server calls.

Days are written with dashes here. Article figures lag on their first pull where the habits say so.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import partial
from threading import Lock
from typing import Any

from pipeline.landing import SHANGHAI, business_day
from pipeline.simulation.datacube_days import (
    DASHED,
    Calendar,
    Days,
    Rule,
    at_most,
    month_of,
    week_of,
)
from pipeline.simulation.service_books import ArticleDay, ServerCall, ServiceBooks, Upstream

PREFIX = "/datacube/get"
ALL_SCENES = "全部"
ARTICLES_SINCE = date(2025, 11, 1)
# Users by how many messages each sent: one to five, six to ten, more.
INTERVAL_LIMITS = (0, 5, 10)

Reply = dict[str, Any]
Listed = list[dict[str, Any]]


class ServiceAccountDatacube:
    """The calls of one service account. `calls` gives what answers each path."""

    def __init__(self, books: ServiceBooks, calendar: Calendar) -> None:
        self._books = books
        self._sent_on: dict[date, list[Upstream]] = {}
        for sent in books.upstream:
            self._sent_on.setdefault(business_day(sent.at), []).append(sent)
        self._called_on: dict[date, list[ServerCall]] = {}
        for called in books.server_calls:
            self._called_on.setdefault(business_day(called.at), []).append(called)
        self._calendar = calendar
        self._pulled: set[tuple[str, Days]] = set()
        self._lock = Lock()

    def calls(self) -> dict[str, Callable[[dict[str, Any]], Reply]]:
        told: dict[str, tuple[Rule, Callable[[Days], Listed]]] = {
            "usersummary": (at_most(7), self._followers_moved),
            "usercumulate": (at_most(7), self._followers),
            "upstreammsg": (at_most(7), self._messages),
            "upstreammsghour": (at_most(1), self._messages_by_hour),
            "upstreammsgweek": (at_most(1), partial(self._messages_of, week_of)),
            "upstreammsgmonth": (at_most(1), partial(self._messages_of, month_of)),
            "upstreammsgdist": (at_most(15), self._senders),
            "upstreammsgdistweek": (at_most(15), partial(self._senders_of, week_of)),
            "upstreammsgdistmonth": (at_most(15), partial(self._senders_of, month_of)),
            "interfacesummary": (at_most(30), self._server_calls),
            "interfacesummaryhour": (at_most(1), self._server_calls_by_hour),
        }
        of_articles: dict[str, tuple[Rule, Callable[[Days], Listed]]] = {
            "articleread": (at_most(1), self._articles_read),
            "articleshare": (at_most(1), self._articles_shared),
            "bizsummary": (at_most(30), self._account),
            "articletotaldetail": (at_most(1), self._article_totals),
        }
        calls: dict[str, Callable[[dict[str, Any]], Reply]] = {}
        for name, (rule, figures) in told.items():
            calls[PREFIX + name] = partial(self._reply, rule, figures)
        for name, (rule, figures) in of_articles.items():
            calls[PREFIX + name] = partial(self._reply_of_articles, name, rule, figures)
        return calls

    def _reply(self, rule: Rule, figures: Callable[[Days], Listed], body: dict[str, Any]) -> Reply:
        days = self._calendar.read(body, DASHED, rule)
        return {"list": self._without_unfilled(figures(days), days)}

    def _reply_of_articles(
        self, name: str, rule: Rule, figures: Callable[[Days], Listed], body: dict[str, Any]
    ) -> Reply:
        days = self._calendar.read(body, DASHED, rule)
        listed = self._without_unfilled(figures(days), days)
        with self._lock:
            is_first = (name, days) not in self._pulled
            self._pulled.add((name, days))
        lags = self._calendar.habits.is_delayed_at_first and is_first
        # What lags is not there yet: the last article or day of the list.
        return {"list": listed[:-1] if lags else listed, "is_delay": lags}

    def _without_unfilled(self, listed: Listed, days: Days) -> Listed:
        if not self._calendar.is_empty_yet(days):
            return listed
        return [row for row in listed if row["ref_date"] != str(self._calendar.yesterday)]

    def _followers_moved(self, days: Days) -> Listed:
        """One row per day and source; source 0 is there on every day, be it with nothing."""
        listed = []
        for day in days:
            of_day = [follow for follow in self._books.follows if follow.day == day]
            for source in sorted({0} | {follow.source for follow in of_day}):
                moved = Counter(follow.is_new for follow in of_day if follow.source == source)
                listed.append(
                    {"ref_date": str(day), "user_source": source, "new_user": moved[True],
                     "cancel_user": moved[False]}
                )  # fmt: skip
        return listed

    def _followers(self, days: Days) -> Listed:
        return [
            {
                "ref_date": str(day),
                "cumulate_user": self._books.followers_before
                + sum(1 if f.is_new else -1 for f in self._books.follows if f.day <= day),
            }
            for day in days
        ]

    def _messages(self, days: Days) -> Listed:
        return [row for day in days for row in _by_kind(self._sent(Days(day, day)), str(day))]

    def _messages_by_hour(self, days: Days) -> Listed:
        sent = self._sent(days)
        return [
            {"ref_hour": hour * 100} | row
            for hour in range(24)
            for row in _by_kind([each for each in sent if _hour(each.at) == hour], str(days.first))
        ]

    def _messages_of(self, period_of: Callable[[date], Days], days: Days) -> Listed:
        period = period_of(days.first)
        if period.last > self._calendar.yesterday:
            return []
        return _by_kind(self._sent(period), str(period.first))

    def _senders(self, days: Days) -> Listed:
        return [row for day in days for row in _by_interval(self._sent(Days(day, day)), str(day))]

    def _senders_of(self, period_of: Callable[[date], Days], days: Days) -> Listed:
        period = period_of(days.first)
        if period.last > self._calendar.yesterday:
            return []
        return _by_interval(self._sent(period), str(period.first))

    def _sent(self, days: Days) -> list[Upstream]:
        return [sent for day in days for sent in self._sent_on.get(day, ())]

    def _server_calls(self, days: Days) -> Listed:
        return [
            {"ref_date": str(day)} | _timed(calls)
            for day in days
            if (calls := self._called_on.get(day))
        ]

    def _server_calls_by_hour(self, days: Days) -> Listed:
        calls = self._called_on.get(days.first, [])
        return [
            {"ref_date": str(days.first), "ref_hour": hour * 100} | _timed(of_hour)
            for hour in range(24)
            if (of_hour := [call for call in calls if _hour(call.at) == hour])
        ]

    def _articles_read(self, days: Days) -> Listed:
        return [
            {"ref_date": str(row.day), "msgid": row.msgid, "detail": _readers([row])}
            for row in self._read_on(days.first)
        ]

    def _articles_shared(self, days: Days) -> Listed:
        return [
            {"ref_date": str(row.day), "msgid": row.msgid, "detail": {"share_user": row.sharers}}
            for row in self._read_on(days.first)
            if row.sharers
        ]

    def _account(self, days: Days) -> Listed:
        listed = []
        for day in days:
            rows = self._read_on(day)
            if not rows:
                continue
            detail = _readers(rows) | _liked(rows) | {
                "redirect_ori_page_user": sum(row.sharers for row in rows) // 3,
                "send_page_count": sum(row.published == day for row in rows),
            }  # fmt: skip
            listed.append({"ref_date": str(day), "detail": detail})
        return listed

    def _article_totals(self, days: Days) -> Listed:
        """The articles of one day of publication, with all their days so far."""
        articles: dict[str, list[ArticleDay]] = {}
        for row in self._books.articles:
            if row.published == days.first >= ARTICLES_SINCE:
                articles.setdefault(row.msgid, []).append(row)
        return [
            {
                "ref_date": str(days.first),
                "msgid": msgid,
                "publish_type": 0,
                "title": rows[0].title,
                "content_url": f"http://mp.weixin.qq.com/s?__biz=simulated&mid={msgid}",
                "detail_list": [_so_far(rows[: count + 1]) for count in range(len(rows))],
            }
            for msgid, rows in articles.items()
        ]

    def _read_on(self, day: date) -> list[ArticleDay]:
        return [
            row for row in self._books.articles if row.day == day >= ARTICLES_SINCE and row.readers
        ]


def _so_far(rows: list[ArticleDay]) -> dict[str, Any]:
    """An article's figures, summed from its publication to the last of the days."""
    readers = _readers(rows)
    total = max(1, readers["read_user"])
    rates = {
        "praise_money": 0,
        "read_subscribe_user": readers["read_user"] * 3 // 4,
        "read_delivery_rate": round(total / (total + 1000), 7),
        "read_finish_rate": 0.6304348,
        # Whole numbers come without a fraction.
        "read_avg_activetime": 1,
        "read_jump_position": [{"position": 1, "rate": 0.2}, {"position": 5, "rate": 0.1}],
    }
    return {"stat_date": str(rows[-1].day)} | readers | _liked(rows) | rates


def _readers(rows: Iterable[ArticleDay]) -> dict[str, Any]:
    """Readers of all scenes and of each, in no order; the total stands among the scenes."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row.readers)
    listed = [*counts.items()]
    listed.insert(len(listed) // 2, (ALL_SCENES, counts.total()))
    return {
        "read_user": counts.total(),
        "read_user_source": [{"user_count": count, "scene_desc": scene} for scene, count in listed],
    }


def _liked(rows: Iterable[ArticleDay]) -> dict[str, int]:
    shared = sum(row.sharers for row in rows)
    return {
        "share_user": shared, "zaikan_user": shared // 2, "like_user": shared * 2,
        "comment_count": shared // 8, "collection_user": shared // 4,
    }  # fmt: skip


def _by_kind(sent: Iterable[Upstream], ref_date: str) -> Listed:
    people: dict[int, list[str]] = {}
    for message in sent:
        people.setdefault(message.kind, []).append(message.person)
    return [
        {"ref_date": ref_date, "msg_type": kind, "msg_user": len(set(who)), "msg_count": len(who)}
        for kind, who in sorted(people.items())
    ]


def _by_interval(sent: Iterable[Upstream], ref_date: str) -> Listed:
    counts = Counter(message.person for message in sent)
    intervals = Counter(
        sum(count > limit for limit in INTERVAL_LIMITS) for count in counts.values()
    )
    return [
        {"ref_date": ref_date, "count_interval": interval, "msg_user": users}
        for interval, users in sorted(intervals.items(), reverse=True)
    ]


def _timed(calls: list[ServerCall]) -> dict[str, Any]:
    return {
        "callback_count": len(calls),
        "fail_count": sum(call.has_failed for call in calls),
        "total_time_cost": sum(call.milliseconds for call in calls),
        "max_time_cost": max(call.milliseconds for call in calls),
    }


def _hour(at: datetime) -> int:
    return at.astimezone(SHANGHAI).hour
