"""Calls to api.weixin.qq.com: the error policy by errcode, and the daily visits."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from pipeline.company import Company, load_company
from pipeline.defs.jobs import tables_behind
from pipeline.doctor import Finding, examine
from pipeline.errors import (
    BrokenContentError,
    ConfigurationError,
    NotReadyError,
    PermanentSourceError,
    QuotaOfDayError,
    RetiredEndpointError,
    SourceError,
    TransientSourceError,
)
from pipeline.landed import TABLES
from pipeline.landing import Landing, day_end
from pipeline.sources.wechat import official_account
from pipeline.sources.wechat.api import WechatApi
from pipeline.sources.wechat.errcodes import ERRCODES, REACTIONS, RETIRED
from tests.wechat_world import (
    APP_SECRET,
    DAY,
    NOON_AFTER,
    Line,
    refuse,
    source,
    token,
    write_company,
)

TOKEN = "/cgi-bin/stable_token"
VISITS = "/datacube/getweanalysisappiddailyvisittrend"
SUMMARY = "/datacube/getweanalysisappiddailysummarytrend"
ENTRY = {
    "ref_date": "20261003", "session_cnt": 142549, "visit_pv": 472351, "visit_uv": 55500,
    "visit_uv_new": 5464, "stay_time_session": 0, "visit_depth": 1.9838,
}  # fmt: skip
FIGURES = httpx.Response(200, json={"list": [ENTRY]})


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return write_company(tmp_path)


def answering(*replies: httpx.Response | Exception, tokens: int = 9) -> Line:
    """A line whose visits replies come in this order, the last for ever; tokens count up.

    The other half of a day's row, the summary, is always there."""
    told, given = iter(replies), iter([f"token-{n}" for n in range(1, tokens + 1)])
    last: list[httpx.Response | Exception] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN:
            return token(next(given))
        if request.url.path == SUMMARY:
            day = json.loads(request.content)["begin_date"]
            entry = {"ref_date": day, "visit_total": 391, "share_pv": 572, "share_uv": 383}
            return httpx.Response(200, json={"list": [entry]})
        last[:] = [next(told, last[0] if last else httpx.Response(500))]
        if isinstance(last[0], Exception):
            raise last[0]
        return last[0]

    return Line(answer)


def fetch(company: Company, line: Line, day: date = DAY) -> dict[str, object]:
    extract = next(source(company, "mp_daily", line).extract([day]))
    return {"rows": extract.rows.to_pylist(), "extract": extract}


def failure(company: Company, line: Line) -> SourceError:
    with pytest.raises(SourceError) as caught:
        fetch(company, line)
    return caught.value


def test_a_day_of_visits_becomes_one_row_complete_to_the_end_of_the_day(
    company: Company, tmp_path: Path
) -> None:
    line = answering(FIGURES)
    extract = next(source(company, "mp_daily", line).extract([DAY]))
    batch = Landing(tmp_path / "landing", hash_key=b"k" * 16).land(
        TABLES["mp_daily"], extract, connector="wechat_miniprogram"
    )
    assert (batch.rows, batch.quarantined) == (1, 0)
    assert extract.complete_until == day_end(DAY)
    assert line.bodies(VISITS) == [{"begin_date": "20261003", "end_date": "20261003"}]
    (row,) = extract.rows.to_pylist()
    assert (row["ref_date"], row["visit_uv"], row["stay_time_uv"]) == ("2026-10-03", "55500", None)
    assert (row["visit_total"], row["share_pv"], row["share_uv"]) == ("391", "572", "383")


def calls(line: Line) -> list[str]:
    """What was asked, the summaries left out."""
    return [path for path in line.paths() if path != SUMMARY]


def test_several_days_take_one_call_each_and_one_token(company: Company) -> None:
    line = answering(FIGURES)
    days = [DAY - timedelta(days=back) for back in (2, 1, 0)]
    extracts = list(source(company, "mp_daily", line).extract(days))
    assert [extract.day for extract in extracts] == days
    assert calls(line) == [TOKEN, VISITS, VISITS, VISITS]
    assert extracts[0].rejected[0].reason.startswith("ref_date: found '20261003'")
    assert extracts[0].rows.column("visit_uv").to_pylist() == [None]


def test_a_token_is_asked_for_again_only_when_it_nears_its_end(company: Company) -> None:
    line = answering(FIGURES)
    visits = source(company, "mp_daily", line)
    for minutes in (0, 100, 118, 119):
        line.now = NOON_AFTER + timedelta(minutes=minutes)
        next(visits.extract([DAY]))
    assert calls(line) == [TOKEN, VISITS, VISITS, VISITS, TOKEN, VISITS]


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_refused_token_is_renewed_once(company: Company, code: int) -> None:
    line = answering(refuse(code), FIGURES)
    assert len(fetch(company, line)["rows"]) == 1
    assert [call.url.params["access_token"] for call in line.asked if call.url.path == VISITS] == [
        "token-1", "token-2",
    ]  # fmt: skip
    again = answering(refuse(code))
    error = failure(company, again)
    assert type(error).__mro__[1] is PermanentSourceError
    assert again.paths() == [VISITS, TOKEN, VISITS]  # the renewed token was kept


def test_a_renewal_is_forced_only_where_the_refused_token_is_still_handed_out(
    company: Company,
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN:
            return token("new" if json.loads(request.content)["force_refresh"] else "stale")
        return FIGURES if request.url.params["access_token"] == "new" else refuse(40001)

    line = Line(answer)
    assert len(fetch(company, line)["rows"]) == 1
    assert [body["force_refresh"] for body in line.bodies(TOKEN)] == [False, False, True]


@pytest.mark.parametrize(
    "busy",
    [
        refuse(-1, "system error"),
        refuse(61504),
        httpx.Response(502, text="bad gateway"),
        httpx.ConnectError("connection refused"),
        httpx.Response(200, content=b'{"list": [{"ref_da'),
    ],
)
def test_a_busy_platform_is_asked_again_after_growing_pauses(
    company: Company, busy: httpx.Response | Exception
) -> None:
    line = answering(busy, busy, FIGURES)
    assert len(fetch(company, line)["rows"]) == 1
    assert len(line.pauses) == 2
    assert 0.25 <= line.pauses[0] <= 0.5 <= line.pauses[1] <= 1.0
    never = answering(busy)
    assert failure(company, never).can_retry
    assert never.paths().count(VISITS) == 5


def test_too_many_calls_in_a_minute_wait_for_the_next_one(company: Company) -> None:
    line = answering(refuse(45011), FIGURES)
    assert len(fetch(company, line)["rows"]) == 1
    assert line.pauses[0] >= 60
    assert isinstance(failure(company, answering(refuse(45011))), TransientSourceError)


@pytest.mark.parametrize("code", sorted(set(ERRCODES) - {47009}))
def test_every_known_code_has_its_class_a_meaning_and_a_next_step(
    company: Company, code: int
) -> None:
    error = failure(company, answering(refuse(code)))
    assert isinstance(error, REACTIONS[ERRCODES[code].reaction])
    assert f"errcode {code}, " in error.message
    assert "rid 6821c3a0-09059ac5-34a8e2ea" in error.message
    assert error.next_step


def test_a_final_refusal_is_not_repeated(company: Company) -> None:
    for code in (61501, 48001, 12345):
        line = answering(refuse(code))
        assert isinstance(failure(company, line), PermanentSourceError)
        assert line.paths().count(VISITS) == 1


def test_a_quota_of_the_day_is_asked_for_tomorrow_and_not_again_today(company: Company) -> None:
    line = answering(refuse(45009))
    assert isinstance(failure(company, line), QuotaOfDayError)
    assert line.paths().count(VISITS) == 1


def test_two_accounts_are_not_mixed_in_figures_that_name_none(company: Company) -> None:
    folder = company.data.parent
    written = (folder / "sources.yml").read_text()
    (folder / "sources.yml").write_text(
        written.replace(
            "mp_daily: {connector: wechat_miniprogram, connection: mini_program",
            "mp_daily: {connector: wechat_miniprogram, connection: [mini_program, service_account]",
        )
    )
    with pytest.raises(ConfigurationError, match="found 2, allowed: one account"):
        load_company(folder, environment={})


def test_sources_that_build_a_day_at_an_hour_are_asked_again_while_behind(
    company: Company,
) -> None:
    keyed = load_company(company.data.parent, environment={"BIHUAN_HASH_KEY": "k" * 32})
    behind = tables_behind(keyed, date(2026, 10, 3))
    assert {"mp_daily", "oa_users", "pay_bill"} <= set(behind)
    assert "mp_orders" not in behind  # its list has no hour


def test_a_wrong_secret_says_what_to_do_and_is_never_told(company: Company) -> None:
    for code in (40001, 40125):
        line = Line(lambda _, code=code: refuse(code, f"invalid appsecret {APP_SECRET}"))
        error = failure(company, line)
        assert isinstance(error, PermanentSourceError)
        assert "app_secret_env" in error.next_step
        assert APP_SECRET not in str(error)
        assert line.paths() == [TOKEN]


def test_a_probe_proves_the_secret_though_a_token_is_kept(company: Company) -> None:
    fetch(company, answering(FIGURES))
    line = answering(FIGURES)
    source(company, "mp_daily", line).probe()
    assert line.paths().count(TOKEN) == 1
    wrong = Line(lambda _: refuse(40125, "invalid appsecret"))
    with pytest.raises(PermanentSourceError, match="wrong AppSecret"):
        source(company, "mp_daily", wrong).probe()


def test_an_address_that_is_not_on_the_whitelist_is_named(company: Company) -> None:
    line = Line(lambda _: refuse(40164, "invalid ip 203.0.113.9, not in whitelist"))
    error = failure(company, line)
    assert "203.0.113.9" in error.message
    assert "whitelist" in error.next_step


def test_tokens_and_openids_are_neither_told_nor_logged(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    openid = "o" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n"
    line = answering(refuse(61501, f"token-1 of {openid}"))
    with caplog.at_level(logging.DEBUG):
        error = failure(company, line)
    assert VISITS in caplog.text
    for secret in ("token-1", openid, APP_SECRET):
        assert secret not in str(error)
        assert secret not in caplog.text


def test_a_missing_secret_is_a_matter_of_configuration(tmp_path: Path) -> None:
    company = write_company(tmp_path)
    company._environment.clear()
    with pytest.raises(ConfigurationError, match="MINI_PROGRAM_SECRET"):
        fetch(company, answering(FIGURES))


def test_a_retired_call_is_no_failure_of_the_account(company: Company) -> None:
    retired = refuse(47009, "this api is offline")
    error = failure(company, Line(lambda call: token() if call.url.path == TOKEN else retired))
    assert isinstance(error, RetiredEndpointError)
    assert "rid 6821c3a0-09059ac5-34a8e2ea" in error.message
    assert "retired this call for every account, which is no failure of yours" in error.message
    (told,) = (
        finding
        for finding in examine_with(company, answering(refuse(47009), tokens=99))
        if finding.subject.startswith("mp_daily")
    )
    assert told.level == "note"


def test_a_retired_call_leaves_the_others_of_its_table_their_figures(company: Company) -> None:
    line = answering(refuse(47009))
    (extract,) = source(company, "mp_daily", line).extract([DAY])
    (row,) = extract.rows.to_pylist()
    assert row["session_cnt"] is None
    assert row["visit_total"] is not None
    assert line.paths().count(VISITS) == 1


def test_what_ails_a_whole_account_is_told_once(company: Company) -> None:
    line = Line(lambda _: refuse(40164, "invalid ip 203.0.113.9, not in whitelist"))
    found = examine_with(company, line)
    refused = [finding for finding in found if "40164" in finding.told]
    assert [finding.subject.partition(" (")[2] for finding in refused] == [
        "mini_program)", "service_account)",
    ]  # fmt: skip
    assert refused[0].subject.startswith("mp_daily, ")
    assert all("203.0.113.9" in finding.told for finding in refused)
    assert all("IP whitelist" in finding.mend for finding in refused)


def examine_with(company: Company, line: Line) -> list[Finding]:
    """What the doctor finds of the systems, reached over a line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.doctor.open_source", lambda name, _: source(company, name, line))
        patch.setattr("pipeline.doctor._examine_clock", lambda *_: iter(()))
        return list(examine(company))


def test_the_call_that_took_a_retired_ones_place_is_named(company: Company) -> None:
    line = Line(lambda call: token() if call.url.path == TOKEN else refuse(47009))
    api = WechatApi(company.sources.connections["service_account"], company, line.wire())
    for path, successor in RETIRED.items():
        with api.open() as post, pytest.raises(RetiredEndpointError, match=successor):
            post(path, {}, subject="articles")
    made = {call.path for figures in official_account.FIGURES.values() for call in figures}
    assert set(RETIRED.values()) <= made
    assert not set(RETIRED) & made


def test_figures_that_are_not_built_are_not_ready_and_never_a_zero(company: Company) -> None:
    error = failure(company, answering(refuse(61503, "data not ready, please try later")))
    assert isinstance(error, NotReadyError)
    empty = answering(httpx.Response(200, json={"list": []}))
    empty.now = NOON_AFTER - timedelta(hours=1, seconds=1)  # 13:59:59 in Beijing
    assert isinstance(failure(company, empty), NotReadyError)
    early = answering(FIGURES)
    early.now = empty.now
    assert len(fetch(company, early)["rows"]) == 1
    empty.now = NOON_AFTER - timedelta(hours=1)
    (row,) = fetch(company, empty)["rows"]
    assert (row["visit_uv"], row["visit_total"]) == (None, "391")  # either list may be empty


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"list": 3}', b'{"errcode": "x"}', b'{"errcode": Infinity}', b"[" * 99_999],
)
def test_a_reply_of_another_shape_is_broken_content(company: Company, body: bytes) -> None:
    assert isinstance(
        failure(company, answering(httpx.Response(200, content=body))), BrokenContentError
    )


def test_odd_values_land_in_quarantine(company: Company, tmp_path: Path) -> None:
    odd = [ENTRY | {"visit_uv": "many"}, "text", None, ENTRY | {"extra": {"new": 1}}]
    extract = fetch(company, answering(httpx.Response(200, json={"list": odd})))["extract"]
    landing = Landing(tmp_path / "landing", hash_key=b"k" * 16)
    batch = landing.land(TABLES["mp_daily"], extract, connector="wechat_miniprogram")
    assert (batch.rows, batch.quarantined) == (1, 3)
    reasons = [rejected.reason for rejected in landing.rejected(batch)]
    assert (
        reasons.count("ref_date: found 'None', allowed: within what was asked for, 2026-10-03") == 2
    )


def test_the_latest_day_is_ready_from_half_past_eleven_on(company: Company) -> None:
    line = answering(FIGURES)
    line.now = NOON_AFTER - timedelta(hours=3, minutes=31)
    assert source(company, "mp_daily", line).last_day() == date(2026, 10, 2)
    line.now += timedelta(minutes=1)
    assert source(company, "mp_daily", line).last_day() == DAY


def test_a_company_that_has_ended_is_ready_to_its_last_day(tmp_path: Path) -> None:
    company = write_company(tmp_path, last_day=date(2026, 10, 30))
    assert source(company, "mp_daily", answering(FIGURES)).last_day() == date(2026, 10, 30)


def test_the_days_that_wechat_may_correct_are_landed_again(tmp_path: Path) -> None:
    known = {date(2026, 10, day): "sha" for day in range(1, 31)}
    line = answering(FIGURES)
    line.now = datetime(2026, 11, 20, tzinfo=UTC)
    company = write_company(tmp_path, last_day=date(2026, 10, 30))
    visits = source(company, "mp_daily", line)
    assert visits.changed_days(None, known) == {date(2026, 10, day) for day in range(23, 31)}
    # What a backfill lands late has its last figures already.
    assert visits.changed_days(None, {date(2026, 10, 3): "sha"}) == set()
    assert visits.changed_days(None, {}) == set()
    # A last day that lies ahead of the clock leaves the days alone that trail today.
    line.now = datetime(2026, 10, 12, 4, tzinfo=UTC)
    landed = {day: "sha" for day in known if day < date(2026, 10, 12)}
    assert visits.changed_days(None, landed) == {date(2026, 10, day) for day in range(4, 12)}
    company = write_company(tmp_path, last_day=date(2026, 10, 30), trailing_days=0)
    settled = source(company, "mp_daily", answering(FIGURES))
    assert settled.changed_days(None, known) == set()


def test_the_probe_proves_permission_and_accepts_a_day_not_built(company: Company) -> None:
    told = list(probes(company, answering(FIGURES), answering(refuse(61503))))
    assert told == [
        "https://wechat.test answers wx5a1e0000000001; mp_daily of 2026-10-03 is there",
        "https://wechat.test answers wx5a1e0000000001; 2026-10-03 is not built yet",
    ]
    with pytest.raises(PermanentSourceError, match="no right to this call"):
        source(company, "mp_daily", answering(refuse(48001))).probe()


def probes(company: Company, *lines: Line) -> Iterator[str]:
    for line in lines:
        yield source(company, "mp_daily", line).probe()
