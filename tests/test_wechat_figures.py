"""The mini-program's figures: sample replies, periods, spans, what is asked again, quotas."""

import json
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from pipeline.company import Company
from pipeline.errors import BrokenContentError, NotReadyError, PermanentSourceError
from pipeline.landed import TABLES
from pipeline.landing import SHANGHAI, Landing, day_end
from pipeline.sources.days import adjoining
from pipeline.sources.wechat.spans import Span, read_span
from tests.wechat_world import Line, refuse, source, token, write_company

SAMPLES = Path(__file__).parent / "samples" / "wechat" / "datacube"
TOKEN, QUOTA = "/cgi-bin/stable_token", "/cgi-bin/openapi/quota/get"
MINI, SERVICE = "/datacube/getweanalysisappid", "/datacube/get"
# Empty in the shape of every call.
NOTHING = {"list": [], "visit_uv_new": [], "visit_uv": [], "is_delay": False}
LATER = datetime(2026, 10, 20, 15, tzinfo=SHANGHAI)
SUNDAY = date(2026, 10, 11)

Rows = list[dict[str, Any]]


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return write_company(tmp_path)


def answering(reply: Callable[[str, dict[str, Any]], object], *, now: datetime = LATER) -> Line:
    """A line that answers each call by its path and body; None is empty figures."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN:
            return token()
        found = reply(request.url.path, json.loads(request.content))
        if isinstance(found, httpx.Response):
            return found
        return httpx.Response(200, json=NOTHING if found is None else found)

    return Line(answer, now)


def land(company: Company, table: str, line: Line, *days: date) -> tuple[Rows, list[str]]:
    """The landed rows of the days and the reasons of what was set aside."""
    landing = Landing(company.data / "landing", hash_key=b"k" * 16)
    rows: Rows = []
    reasons: list[str] = []
    extracts = source(company, table, line).extract(days)
    for batch in landing.land_all(TABLES[table], extracts, connector="wechat"):
        rows += pq.read_table(batch.path).to_pylist()
        reasons += [rejected.reason for rejected in landing.rejected(batch)]
    return rows, reasons


def figures_asked(line: Line) -> list[str]:
    return [path for path in line.paths() if path != TOKEN]


MARCH_13, JUNE_17 = date(2017, 3, 13), date(2017, 6, 17)
DEC_7, ARTICLES = date(2014, 12, 7), date(2025, 11, 1)
# Sample, path, the days that are asked for, table, business day of the rows, how many rows.
SAMPLE_REPLIES = [
    ("mpdoc.dailyvisittrend", MINI + "dailyvisittrend", "20170313", "mp_daily", MARCH_13, 1),
    ("mpdoc.dailysummarytrend", MINI + "dailysummarytrend", "20170313", "mp_daily", MARCH_13, 1),
    ("mpdoc.weeklyvisittrend", MINI + "weeklyvisittrend", "20170306 20170312", "mp_weekly",
     date(2017, 3, 12), 1),
    ("mpdoc.monthlyvisittrend", MINI + "monthlyvisittrend", "20170301 20170331", "mp_monthly",
     date(2017, 3, 31), 1),
    ("mpdoc.visitpage", MINI + "visitpage", "20170313", "mp_pages", MARCH_13, 5),
    ("mpdoc.visitdistribution", MINI + "visitdistribution", "20170313", "mp_sources", MARCH_13, 22),
    ("mpdoc.dailyretaininfo", MINI + "dailyretaininfo", "20170313", "mp_retention", MARCH_13, 2),
    ("mpdoc.weeklyretaininfo", MINI + "weeklyretaininfo", "20170306 20170312", "mp_retention",
     date(2017, 3, 12), 4),
    ("mpdoc.monthlyretaininfo", MINI + "monthlyretaininfo", "20170201 20170228", "mp_retention",
     date(2017, 2, 28), 2),
    ("mpdoc.userportrait", MINI + "userportrait", "20170611 20170617", "mp_portrait", JUNE_17, 12),
    ("fudiwei.DataCubeGetWeAnalysisAppIdDailyVisitTrendResponse", MINI + "dailyvisittrend",
     "20170313", "mp_daily", MARCH_13, 1),
    ("fudiwei.DataCubeGetWeAnalysisAppIdDailySummaryTrendResponse", MINI + "dailysummarytrend",
     "20170313", "mp_daily", MARCH_13, 1),
    ("fudiwei.DataCubeGetWeAnalysisAppIdWeeklyVisitTrendResponse", MINI + "weeklyvisittrend",
     "20170306 20170312", "mp_weekly", date(2017, 3, 12), 1),
    ("fudiwei.DataCubeGetWeAnalysisAppIdMonthlyVisitTrendResponse", MINI + "monthlyvisittrend",
     "20170301 20170331", "mp_monthly", date(2017, 3, 31), 1),
    ("fudiwei.DataCubeGetWeAnalysisAppIdVisitPageResponse", MINI + "visitpage", "20170313",
     "mp_pages", MARCH_13, 5),
    ("fudiwei.DataCubeGetWeAnalysisAppIdVisitDistributionResponse", MINI + "visitdistribution",
     "20170313", "mp_sources", MARCH_13, 22),
    ("fudiwei.DataCubeGetWeAnalysisAppIdDailyRetainInfoResponse", MINI + "dailyretaininfo",
     "20170313", "mp_retention", MARCH_13, 2),
    ("fudiwei.DataCubeGetWeAnalysisAppIdWeeklyRetainInfoResponse", MINI + "weeklyretaininfo",
     "20170306 20170312", "mp_retention", date(2017, 3, 12), 4),
    ("fudiwei.DataCubeGetWeAnalysisAppIdMonthlyRetainInfoResponse", MINI + "monthlyretaininfo",
     "20170201 20170228", "mp_retention", date(2017, 2, 28), 2),
    ("fudiwei.DataCubeGetWeAnalysisAppIdUserPortraitResponse", MINI + "userportrait",
     "20170611 20170617", "mp_portrait", JUNE_17, 12),
    ("fudiwei.DataCubeGetUserSummaryResponse", SERVICE + "usersummary", "2014-12-07", "oa_users",
     DEC_7, 1),
    ("fudiwei.DataCubeGetUserCumulateResponse", SERVICE + "usercumulate", "2014-12-07", "oa_users",
     DEC_7, 1),
    ("fudiwei.DataCubeGetUpstreamMessageResponse", SERVICE + "upstreammsg", "2014-12-07",
     "oa_upstream_messages", DEC_7, 1),
    ("fudiwei.DataCubeGetUpstreamMessageHourResponse", SERVICE + "upstreammsghour", "2014-12-07",
     "oa_upstream_messages", DEC_7, 1),
    ("fudiwei.DataCubeGetUpstreamMessageWeekResponse", SERVICE + "upstreammsgweek", "2014-12-08",
     "oa_upstream_messages", date(2014, 12, 14), 1),
    ("fudiwei.DataCubeGetUpstreamMessageMonthResponse", SERVICE + "upstreammsgmonth", "2014-11-01",
     "oa_upstream_messages", date(2014, 11, 30), 1),
    ("fudiwei.DataCubeGetUpstreamMessageDistributionResponse", SERVICE + "upstreammsgdist",
     "2014-12-07", "oa_upstream_messages", DEC_7, 1),
    ("fudiwei.DataCubeGetUpstreamMessageDistributionWeekResponse", SERVICE + "upstreammsgdistweek",
     "2014-12-01", "oa_upstream_messages", DEC_7, 1),
    ("fudiwei.DataCubeGetUpstreamMessageDistributionMonthResponse",
     SERVICE + "upstreammsgdistmonth", "2014-12-01", "oa_upstream_messages",
     date(2014, 12, 31), 1),
    ("fudiwei.DataCubeGetInterfaceSummaryResponse", SERVICE + "interfacesummary", "2014-12-01",
     "oa_interface_days", date(2014, 12, 1), 1),
    ("fudiwei.DataCubeGetInterfaceSummaryHourResponse", SERVICE + "interfacesummaryhour",
     "2014-12-07", "oa_interface_days", DEC_7, 1),
    ("wechatpy.getusersummary", SERVICE + "usersummary", "2014-12-07", "oa_users", DEC_7, 1),
    ("wechatpy.getusercumulate", SERVICE + "usercumulate", "2014-12-07", "oa_users", DEC_7, 1),
    ("wechatpy.getupstreammsg", SERVICE + "upstreammsg", "2014-12-07", "oa_upstream_messages",
     DEC_7, 1),
    ("wechatpy.getupstreammsghour", SERVICE + "upstreammsghour", "2014-12-07",
     "oa_upstream_messages", DEC_7, 1),
    ("wechatpy.getupstreammsgweek", SERVICE + "upstreammsgweek", "2014-12-08",
     "oa_upstream_messages", date(2014, 12, 14), 1),
    ("wechatpy.getupstreammsgmonth", SERVICE + "upstreammsgmonth", "2014-11-01",
     "oa_upstream_messages", date(2014, 11, 30), 1),
    ("wechatpy.getupstreammsgdist", SERVICE + "upstreammsgdist", "2014-12-07",
     "oa_upstream_messages", DEC_7, 1),
    ("wechatpy.getupstreammsgdistweek", SERVICE + "upstreammsgdistweek", "2014-12-01",
     "oa_upstream_messages", DEC_7, 1),
    ("wechatpy.getupstreammsgdistmonth", SERVICE + "upstreammsgdistmonth", "2014-12-01",
     "oa_upstream_messages", date(2014, 12, 31), 1),
    ("wechatpy.getinterfacesummary", SERVICE + "interfacesummary", "2014-12-07",
     "oa_interface_days", DEC_7, 1),
    ("wechatpy.getinterfacesummaryhour", SERVICE + "interfacesummaryhour", "2014-12-07",
     "oa_interface_days", DEC_7, 1),
    ("getarticleread.composed", SERVICE + "articleread", "2025-11-01", "oa_article_days",
     ARTICLES, 1),
    ("getarticleshare.composed", SERVICE + "articleshare", "2025-11-01", "oa_article_days",
     ARTICLES, 1),
    ("getbizsummary.composed", SERVICE + "bizsummary", "2025-11-01", "oa_account_days",
     ARTICLES, 1),
    ("getarticletotaldetail.composed", SERVICE + "articletotaldetail", "2025-11-01", "oa_articles",
     ARTICLES, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "path", "asked", "table", "day", "count"),
    SAMPLE_REPLIES,
    ids=[sample[0] for sample in SAMPLE_REPLIES],
)
def test_every_sample_reply_lands_whole(
    company: Company, sample: str, path: str, asked: str, table: str, day: date, count: int
) -> None:
    body = json.loads((SAMPLES / f"{sample}.json").read_text(encoding="utf-8-sig"))
    first, last = asked.split()[0], asked.split()[-1]

    def reply(called: str, said: dict[str, Any]) -> object:
        return body if (called, *said.values()) == (path, first, last) else None

    rows, reasons = land(company, table, answering(reply), day)
    assert (len(rows), reasons) == (count, [])
    # Whatever number the sample bears under a landed name is a landed value.
    numbers = {
        (name, float(value))
        for entry in body.get("list", [])
        for name, value in (entry | entry.get("detail", {})).items()
        if name in TABLES[table].schema.names and isinstance(value, int | float)
    }
    landed = {
        (name, float(value))
        for row in rows
        for name, value in row.items()
        if isinstance(value, int | float)
    }
    assert numbers <= landed


def test_no_sample_reply_is_left_out() -> None:
    covered = {sample[0] for sample in SAMPLE_REPLIES}
    found = {path.name.removesuffix(".json") for path in SAMPLES.glob("*.json")}
    assert found - covered == {"mpdoc.quota_get", "mpdoc.stable_token"}
    notice = (SAMPLES / "NOTICE").read_text(encoding="utf-8")
    assert all(f"  {name}.json" in notice for name in found)


def test_a_week_and_a_month_belong_to_their_last_day_and_others_make_no_call(
    company: Company,
) -> None:
    line = answering(lambda *_: None)
    days = [SUNDAY - timedelta(days=back) for back in range(6, -1, -1)]
    extracts = list(source(company, "mp_weekly", line).extract(days))
    assert [extract.complete_until for extract in extracts] == [day_end(day) for day in days]
    assert line.bodies(MINI + "weeklyvisittrend") == [
        {"begin_date": "20261005", "end_date": "20261011"}
    ]
    quiet = answering(lambda *_: None)
    land(company, "mp_monthly", quiet, SUNDAY)
    assert quiet.paths() == []
    land(company, "mp_monthly", quiet, date(2026, 2, 28))
    assert quiet.bodies(MINI + "monthlyvisittrend") == [
        {"begin_date": "20260201", "end_date": "20260228"}
    ]


def test_a_portrait_is_asked_for_one_seven_and_thirty_days(company: Company) -> None:
    line = answering(lambda *_: None)
    land(company, "mp_portrait", line, SUNDAY)
    begins = [body["begin_date"] for body in line.bodies(MINI + "userportrait")]
    assert begins == ["20261011", "20261005", "20260912"]


def test_unknown_indexes_are_kept_and_unknown_keys_ignored(company: Company) -> None:
    entry = {
        "index": "access_source_visit_uv", "of": "late",
        "item_list": [{"key": 18, "value": 3.0, "share": 1}, "odd"],
    }  # fmt: skip
    reply = {"ref_date": "20261011", "list": [entry], "version": 2}
    rows, reasons = land(company, "mp_sources", answering(lambda *_: reply), SUNDAY)
    assert reasons == []
    assert rows == [{"ref_date": SUNDAY, "index": "access_source_visit_uv", "key": 18, "value": 3}]


@pytest.mark.parametrize("told", ["20261010", "20261005-20261011", "201610", "today", None])
def test_a_reply_with_nothing_but_figures_of_another_day_is_no_day_without_figures(
    company: Company, told: str | None
) -> None:
    reply = {"ref_date": told, "list": [{"page_path": "pages/index", "page_visit_pv": 1}]}
    reason = f"ref_date: found '{told}', allowed: within what was asked for, 2026-10-11"
    told = re.escape(f"none of 1 rows is of that day: {reason}")
    with pytest.raises(BrokenContentError, match=told):
        land(company, "mp_pages", answering(lambda *_: reply), SUNDAY)


def test_a_list_that_comes_back_empty_takes_no_landed_figure_away(company: Company) -> None:
    reply = {"ref_date": "20261011", "list": [{"page_path": "pages/index", "page_visit_pv": 1}]}
    whole = land(company, "mp_pages", answering(lambda *_: reply), SUNDAY)
    assert land(company, "mp_pages", answering(lambda *_: None), SUNDAY) == whole
    more = {"ref_date": "20261011", "list": [{"page_path": "pages/index", "page_visit_pv": 2}]}
    ((row,), _) = land(company, "mp_pages", answering(lambda *_: more), SUNDAY)
    assert row["page_visit_pv"] == 2


def test_an_empty_list_is_not_ready_until_two_in_the_afternoon(company: Company) -> None:
    for table in ("mp_weekly", "mp_sources", "mp_pages", "mp_retention", "mp_portrait"):
        early = answering(lambda *_: None, now=datetime(2026, 10, 12, 13, 59, tzinfo=SHANGHAI))
        with pytest.raises(NotReadyError, match="gave an empty list"):
            land(company, table, early, SUNDAY)
        early.now += timedelta(minutes=1)
        assert land(company, table, early, SUNDAY) == ([], [])


def test_a_reply_without_its_list_is_broken(company: Company) -> None:
    line = answering(lambda *_: {"visits": 3})
    with pytest.raises(BrokenContentError, match="visitpage of 2026-10-11: found no list"):
        land(company, "mp_pages", line, SUNDAY)


def test_the_days_that_come_of_age_are_asked_again_for_those_who_came_back(tmp_path: Path) -> None:
    days = [date(2026, 8, 1) + timedelta(days=number) for number in range(80)]
    known = dict.fromkeys(days, "sha")

    def ages(last: date, trailing_days: int | None = None) -> list[int]:
        noon = datetime.combine(last + timedelta(days=1), time(12), SHANGHAI)
        company = write_company(tmp_path, trailing_days=trailing_days)
        asked = source(company, "mp_retention", answering(lambda *_: None, now=noon))
        assert asked.changed_days(None, {}) == set()
        return sorted((last - day).days for day in asked.changed_days(None, known) if day <= last)

    assert ages(date(2026, 10, 11)) == [1, 7, 14, 30]
    assert ages(date(2026, 10, 1)) == [1, 7, 14, 30, 31]  # since the end of August
    assert ages(date(2026, 8, 4)) == [1]
    assert ages(date(2026, 10, 11), trailing_days=1) == [0, 1]


def test_days_that_came_of_age_while_no_run_asked_are_made_up_for(tmp_path: Path) -> None:
    known = {date(2026, 9, 1) + timedelta(days=number): "sha" for number in range(41)}
    noon = datetime(2026, 10, 12, 12, tzinfo=SHANGHAI)
    asked = source(write_company(tmp_path), "mp_retention", answering(lambda *_: None, now=noon))
    # Landed up to the 9th: the 10th and the 11th were missed, and with them what came of age.
    since = datetime(2026, 10, 10, tzinfo=SHANGHAI)
    ages = {(date(2026, 10, 11) - day).days for day in asked.changed_days(since, known)}
    assert ages == {1, 2, 7, 8, 14, 15, 30, 31}


def test_an_array_that_wechat_leaves_out_is_an_empty_one(company: Company) -> None:
    monday = date(2026, 10, 12)  # which ends neither week nor month
    half = {"ref_date": "20261012", "visit_uv": [{"key": 0, "value": 3}]}
    rows, reasons = land(company, "mp_retention", answering(lambda *_: half), monday)
    assert [(row["visitors"], int(row["value"])) for row in rows] == [("visit_uv", 3)]
    assert reasons == []
    with pytest.raises(BrokenContentError, match="found no visit_uv_new"):
        land(company, "mp_retention", answering(lambda *_: {"ref_date": "x"}), monday)


def test_ref_dates_are_read_in_every_form_that_wechat_writes() -> None:
    assert read_span("20170313") == read_span("2017-03-13") == Span(MARCH_13, MARCH_13)
    assert read_span("20170306-20170312") == Span(date(2017, 3, 6), date(2017, 3, 12))
    assert read_span("201702") == Span(date(2017, 2, 1), date(2017, 2, 28))
    for odd in ("20170230", "201713", "20170306-2017", "", None, 7):
        assert read_span(odd) is None


def test_adjoining_days_run_together_and_gaps_part_them() -> None:
    days = [SUNDAY + timedelta(days=number) for number in (0, 1, 2, 4, 5)]
    assert [len(run) for run in adjoining(days, 2)] == [2, 1, 2]
    assert [len(run) for run in adjoining(days, 9)] == [3, 2]
    assert list(adjoining([], 3)) == []


# Quotas: of the present only.


def quota(path: str, body: dict[str, Any]) -> object:
    assert path == QUOTA
    if body["cgi_path"].endswith("visitpage"):
        return refuse(76022, "could not use this cgi_path，no permission")
    used = {"daily_limit": 1000, "used": 1, "remain": 999}
    return {"errcode": 0, "errmsg": "ok", "quota": used}


def test_quotas_are_asked_for_the_latest_day_and_the_calls_of_connected_tables(
    company: Company,
) -> None:
    line = answering(quota)
    latest = date(2026, 10, 19)
    rows, reasons = land(company, "wechat_quota", line, latest - timedelta(days=1), latest)
    asked = [body["cgi_path"] for body in line.bodies(QUOTA)]
    assert len(asked) == len(set(asked)) == 11
    assert {"/wxa/sec/order/get_order_list", MINI + "userportrait"} <= set(asked)
    assert {row["ref_date"] for row in rows} == {latest}
    assert {(row["daily_limit"], row["remain"], row["call_count"]) for row in rows} == {
        (1000, 999, None)
    }
    assert len(rows) == 10
    assert len(reasons) == 1
    assert "errcode 76022" in reasons[0]


def test_quotas_of_the_past_are_never_asked_again(company: Company) -> None:
    quotas = source(company, "wechat_quota", answering(quota))
    assert quotas.changed_days(None, {SUNDAY: "sha"}) == set()


def test_the_sample_of_a_quota_reads_as_zeros(company: Company) -> None:
    sample = json.loads((SAMPLES / "mpdoc.quota_get.json").read_text())
    rows, _ = land(company, "wechat_quota", answering(lambda *_: sample), date(2026, 10, 19))
    assert {(row["daily_limit"], row["used"], row["remain"]) for row in rows} == {(0, 0, 0)}
    with pytest.raises(PermanentSourceError, match="40013"):
        source(company, "wechat_quota", answering(lambda *_: refuse(40013))).probe()
