"""The mini-program's own figures: which calls of its datacube make which landed table."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import ClassVar

from pipeline.landed import ATTRIBUTES, VISITORS
from pipeline.landing import business_day
from pipeline.sources.wechat.api import Reply
from pipeline.sources.wechat.datacube import (
    Datacube,
    Figures,
    Row,
    entries,
    nested,
    nested_list,
)
from pipeline.sources.wechat.spans import (
    SpanOf,
    days_up_to,
    month_ending,
    the_day,
    week_ending,
)

PREFIX = "/datacube/getweanalysisappid"
# The ages of a day at which its visitors' return is counted anew: the keys 1, 7, 14 and 30 of its
# daily retention; the weekly ones, to the fourth, fall due within them.
RETENTION_AGES = (1, 7, 14, 30)
# The month after a month may be a day longer than that.
MONTH_AGE = 31


def _listed(reply: Reply) -> Iterator[Row]:
    yield from entries(reply)


def _pages(reply: Reply) -> Iterator[Row]:
    for entry in entries(reply):
        yield entry | {"ref_date": reply.get("ref_date")}


def _sources(reply: Reply) -> Iterator[Row]:
    """One row per item. WeChat sends more distributions than it documents: all are kept."""
    for entry in entries(reply):
        for item in nested_list(entry, "item_list"):
            yield {
                "ref_date": reply.get("ref_date"), "index": entry.get("index"),
                "key": item.get("key"), "value": item.get("value"),
            }  # fmt: skip


def _retention(period: str, reply: Reply) -> Iterator[Row]:
    told = [visitors for visitors in VISITORS if visitors in reply]
    for visitors in told or VISITORS[:1]:  # of neither: a reply that is none
        for item in entries(reply, visitors):
            yield {
                "ref_date": reply.get("ref_date"), "period": period, "visitors": visitors,
                "key": item.get("key"), "value": item.get("value"),
            }  # fmt: skip


def _portrait(reply: Reply) -> Iterator[Row]:
    for visitors in VISITORS:
        for attribute in ATTRIBUTES:
            for item in nested_list(nested(reply, visitors), attribute):
                yield {
                    "ref_date": reply.get("ref_date"), "visitors": visitors,
                    "attribute": attribute, "id": item.get("id"), "name": item.get("name"),
                    "value": item.get("value"),
                }  # fmt: skip


def _retained(period: str, span_of: SpanOf, path: str) -> Figures:
    return Figures(PREFIX + path, partial(_retention, period), span_of)


FIGURES: Mapping[str, tuple[Figures, ...]] = {
    "mp_daily": (
        Figures(PREFIX + "dailyvisittrend", _listed),
        Figures(PREFIX + "dailysummarytrend", _listed),
    ),
    "mp_weekly": (Figures(PREFIX + "weeklyvisittrend", _listed, week_ending),),
    "mp_monthly": (Figures(PREFIX + "monthlyvisittrend", _listed, month_ending),),
    "mp_sources": (Figures(PREFIX + "visitdistribution", _sources),),
    "mp_pages": (Figures(PREFIX + "visitpage", _pages),),
    "mp_retention": (
        _retained("day", the_day, "dailyretaininfo"),
        _retained("week", week_ending, "weeklyretaininfo"),
        _retained("month", month_ending, "monthlyretaininfo"),
    ),
    "mp_portrait": tuple(
        Figures(PREFIX + "userportrait", _portrait, days_up_to(count)) for count in (1, 7, 30)
    ),
}


class MiniProgramFigures(Datacube):
    """A table of a mini-program's figures. Most calls answer one day only."""

    connector = "wechat_miniprogram"
    # WeChat names no hour. Partners are told to ask from 11:30 on; days still missing at 09:57 and
    # empty lists before noon are on record (2022).
    ready_at = time(11, 30)
    settled_at = time(14)
    day_format = "%Y%m%d"
    tables: ClassVar[Mapping[str, tuple[Figures, ...]]] = FIGURES

    def changed_days(self, since: datetime | None, known: Mapping[date, str]) -> set[date]:
        """The trailing days; for the return of visitors the days that come of age, instead."""
        is_retention = self.table.name == "mp_retention"
        if not is_retention or "trailing_days" in self._settings.model_fields_set:
            return super().changed_days(since, known)
        newest = self.last_day()
        first = min(business_day(since), newest) if since else newest
        # Days that came of age while no run asked are made up for.
        unasked = [newest - timedelta(days=back) for back in range((newest - first).days + 1)]
        return {day for each in unasked for day in _come_of_age(each)} & set(known)


def _come_of_age(newest: date) -> set[date]:
    """Counted from the newest day that is ready: what that day's figures tell is built by now."""
    days = {newest - timedelta(days=age) for age in RETENTION_AGES}
    after_a_month = newest - timedelta(days=MONTH_AGE)
    if month_ending(after_a_month):
        days.add(after_a_month)
    return days
