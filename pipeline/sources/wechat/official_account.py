"""The service account's own figures: which calls of its datacube make which landed table.

Followers, articles, messages from followers and calls to the account's server. The calls that
WeChat retired in 2026 are named in `errcodes.RETIRED`; none of them is made.
"""

from collections.abc import Iterator, Mapping
from datetime import date, time
from functools import partial
from typing import ClassVar

from pipeline.sources.wechat.api import Reply
from pipeline.sources.wechat.datacube import (
    Datacube,
    Figures,
    Row,
    entries,
    nested,
    nested_list,
)
from pipeline.sources.wechat.spans import SpanOf, month_ending, the_day, week_ending

PREFIX = "/datacube/get"
# The row of all scenes together stands beside those of the scenes: never add it to them.
ALL_SCENES = "全部"
# The first day that the article calls of 2025 know.
ARTICLES_START_ON = date(2025, 11, 1)
# WeChat follows an article for so long from its publication.
DAYS_OF_AN_ARTICLE = 30


def _listed(reply: Reply) -> Iterator[Row]:
    yield from entries(reply)


def _followers(reply: Reply) -> Iterator[Row]:
    """All followers at the end of a day, put beside the new ones of source 0, which is `other`."""
    for entry in entries(reply):
        yield {"user_source": 0} | entry


def _by_scene(reply: Reply) -> Iterator[Row]:
    """One row per scene with its readers; all else is known of all scenes together only."""
    for entry in entries(reply):
        detail = nested(entry, "detail")
        shared = {"ref_date": entry.get("ref_date"), "msgid": entry.get("msgid")}
        counted = {
            scene.get("scene_desc"): scene.get("user_count")
            for scene in nested_list(detail, "read_user_source")
        }
        total = {"read_user": counted.pop(ALL_SCENES, None)} | detail
        yield shared | total | {"scene_desc": ALL_SCENES}
        for scene, readers in counted.items():
            yield shared | {"scene_desc": scene, "read_user": readers}


def _articles(reply: Reply) -> Iterator[Row]:
    """One row per article and day of its statistics. Whether a row counts that day or all days up
    to it, WeChat does not say clearly: the figures are kept as they come."""
    for entry in entries(reply):
        for detail in nested_list(entry, "detail_list"):
            yield {name: value for name, value in entry.items() if name != "detail_list"} | detail


def _statistic(name: str, reply: Reply) -> Iterator[Row]:
    for entry in entries(reply):
        yield entry | {"statistic": name}


def _messages(name: str, path: str, span_of: SpanOf = the_day, most_days: int = 1) -> Figures:
    return Figures(
        f"{PREFIX}upstreammsg{path}", partial(_statistic, name), span_of, most_days,
        is_asked_by_first=span_of is not the_day,
    )  # fmt: skip


def _article_figures(path: str, most_days: int = 1) -> Figures:
    return Figures(PREFIX + path, _by_scene, the_day, most_days, ARTICLES_START_ON)


FIGURES: Mapping[str, tuple[Figures, ...]] = {
    "oa_users": (
        Figures(PREFIX + "usersummary", _listed, most_days=7),
        Figures(PREFIX + "usercumulate", _followers, most_days=7),
    ),
    "oa_articles": (
        Figures(PREFIX + "articletotaldetail", _articles, starts_on=ARTICLES_START_ON),
    ),
    "oa_article_days": (_article_figures("articleread"), _article_figures("articleshare")),
    "oa_account_days": (_article_figures("bizsummary", most_days=30),),
    "oa_upstream_messages": (
        _messages("day", "", most_days=7),
        _messages("hour", "hour"),
        _messages("week", "week", week_ending),
        _messages("month", "month", month_ending),
        _messages("day_distribution", "dist", most_days=15),
        _messages("week_distribution", "distweek", week_ending),
        _messages("month_distribution", "distmonth", month_ending),
    ),
    "oa_interface_days": (
        Figures(PREFIX + "interfacesummary", _listed, most_days=30),
        Figures(PREFIX + "interfacesummaryhour", _listed),
    ),
}


class OfficialAccountFigures(Datacube):
    """A table of a service account's figures. Adjoining days share a call where it allows that.

    Where WeChat says that figures lag (`is_delay`), the day is not ready until it is settled; what
    still lags then is landed and mended by the trailing days.
    """

    connector = "wechat_official_account"
    # "Ask after 08:00" (official text); a quiet day has an empty list, true from noon on.
    ready_at = time(8)
    settled_at = time(12)
    day_format = "%Y-%m-%d"
    tables: ClassVar[Mapping[str, tuple[Figures, ...]]] = FIGURES
    trailing_days_of: ClassVar[Mapping[str, int]] = {"oa_articles": DAYS_OF_AN_ARTICLE}
