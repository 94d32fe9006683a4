"""The service account's figures: spans, followers, scenes, articles, and figures that lag."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.company import Company
from pipeline.errors import NotReadyError, PermanentSourceError
from pipeline.landing import SHANGHAI
from tests.test_wechat_figures import answering, figures_asked, land
from tests.wechat_world import Line, refuse, source, write_company

PREFIX = "/datacube/get"
OCT_1 = date(2026, 10, 1)
MORNING = datetime(2026, 10, 12, 11, 59, tzinfo=SHANGHAI)
YESTERDAY = date(2026, 10, 11)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return write_company(tmp_path)


def days(count: int) -> list[date]:
    return [OCT_1 + timedelta(days=number) for number in range(count)]


def spans(line: Line, name: str) -> list[str]:
    return [
        f"{body['begin_date'][5:]} {body['end_date'][5:]}" for body in line.bodies(PREFIX + name)
    ]


def test_a_backfill_makes_as_few_calls_as_the_spans_allow(company: Company) -> None:
    line = answering(lambda *_: None, now=datetime(2026, 12, 1, 15, tzinfo=SHANGHAI))
    for table in ("oa_users", "oa_account_days", "oa_interface_days", "oa_upstream_messages"):
        land(company, table, line, *days(31))
    week_by_week = ["10-01 10-07", "10-08 10-14", "10-15 10-21", "10-22 10-28", "10-29 10-31"]
    assert spans(line, "bizsummary") == ["10-01 10-30", "10-31 10-31"]
    assert spans(line, "interfacesummary") == ["10-01 10-30", "10-31 10-31"]
    assert spans(line, "usersummary") == spans(line, "usercumulate") == week_by_week
    assert spans(line, "upstreammsgdist") == ["10-01 10-15", "10-16 10-30", "10-31 10-31"]
    assert spans(line, "upstreammsgweek") == spans(line, "upstreammsgdistweek") == [
        "09-28 09-28", "10-05 10-05", "10-12 10-12", "10-19 10-19",
    ]  # fmt: skip
    assert spans(line, "upstreammsgmonth") == ["10-01 10-01"]
    assert len(spans(line, "upstreammsghour")) == len(spans(line, "interfacesummaryhour")) == 31


def test_only_adjoining_days_share_a_call(company: Company) -> None:
    line = answering(lambda *_: None)
    land(company, "oa_users", line, OCT_1, date(2026, 10, 2), date(2026, 10, 5))
    assert spans(line, "usersummary") == ["10-01 10-02", "10-05 10-05"]


def test_each_row_of_a_span_lands_on_its_day_and_strangers_nowhere(company: Company) -> None:
    moved = [
        {"ref_date": "2026-10-02", "user_source": 17, "new_user": 4, "cancel_user": 1},
        {"ref_date": "2026-10-01", "user_source": 0, "new_user": 2, "cancel_user": 0},
        {"ref_date": "2026-10-01", "user_source": 17, "new_user": 1, "cancel_user": 0},
        {"ref_date": "2026-09-30", "user_source": 0, "new_user": 9, "cancel_user": 9},
    ]
    followers = [
        {"ref_date": "2026-10-01", "cumulate_user": 100},
        {"ref_date": "2026-10-02", "user_source": 0, "cumulate_user": 103},
    ]

    def reply(path: str, _: dict[str, Any]) -> object:
        return {"list": moved if path.endswith("summary") else followers}

    rows, reasons = land(company, "oa_users", answering(reply), *days(2))
    assert [tuple(row.values()) for row in rows] == [
        (OCT_1, 0, 2, 0, 100),
        (OCT_1, 17, 1, 0, None),
        (date(2026, 10, 2), 0, None, None, 103),
        (date(2026, 10, 2), 17, 4, 1, None),
    ]
    assert reasons == [
        "ref_date: found '2026-09-30', allowed: within what was asked for, 2026-10-01 to 2026-10-02"
    ]


def test_all_scenes_together_stand_beside_each_and_bear_what_is_known_of_all_only(
    company: Company,
) -> None:
    read = [
        {"user_count": 30, "scene_desc": "朋友圈"},
        {"user_count": 40, "scene_desc": "全部"},
        {"user_count": 12, "scene_desc": "推荐"},
    ]

    def reply(path: str, body: dict[str, Any]) -> object:
        shared = {"ref_date": body["begin_date"], "msgid": "2247490098_1"}
        detail = (
            {"share_user": 5} if "share" in path else {"read_user": 40, "read_user_source": read}
        )
        return {"list": [shared | {"detail": detail}], "is_delay": False}

    rows, reasons = land(company, "oa_article_days", answering(reply), OCT_1)
    assert reasons == []
    assert {(row["scene_desc"], row["read_user"], row["share_user"]) for row in rows} == {
        ("全部", 40, 5), ("朋友圈", 30, None), ("推荐", 12, None),
    }  # fmt: skip


def test_an_article_has_one_row_per_day_of_its_statistics(company: Company) -> None:
    jumps = [{"position": 1, "rate": 0.2}]
    article = {
        "ref_date": "2026-10-01", "msgid": "2247490098_1", "publish_type": 0, "title": "咖啡",
        "detail_list": [
            {"stat_date": "2026-10-01", "read_user": 7, "read_jump_position": jumps},
            {"stat_date": "2026-10-02", "read_user": 9, "read_finish_rate": 1},
        ],
    }  # fmt: skip
    reply = {"list": [article], "is_delay": False}
    rows, reasons = land(company, "oa_articles", answering(lambda *_: reply), OCT_1)
    assert reasons == []
    assert [(row["title"], row["stat_date"], row["read_user"]) for row in rows] == [
        ("咖啡", OCT_1, 7), ("咖啡", date(2026, 10, 2), 9),
    ]  # fmt: skip
    assert rows[0]["read_jump_position"] == '[{"position": 1, "rate": 0.2}]'
    assert (rows[0]["read_finish_rate"], rows[1]["read_finish_rate"]) == (None, 1.0)


def test_articles_are_not_asked_for_before_wechat_has_them(company: Company) -> None:
    line = answering(lambda *_: None)
    before = date(2025, 10, 31)
    for table in ("oa_articles", "oa_article_days", "oa_account_days"):
        assert land(company, table, line, before) == ([], [])
        assert line.paths() == []
    land(company, "oa_account_days", line, before, date(2025, 11, 1))
    assert spans(line, "bizsummary") == ["11-01 11-01"]


def test_figures_that_lag_are_not_ready_until_noon_and_accepted_then(company: Company) -> None:
    entry = {"ref_date": "2026-10-11", "detail": {"read_user": 4, "share_user": 1}}
    line = answering(lambda *_: {"list": [entry], "is_delay": True}, now=MORNING)
    with pytest.raises(NotReadyError, match="bizsummary says that its figures lag, which until 12"):
        land(company, "oa_account_days", line, YESTERDAY)
    line.now += timedelta(minutes=1)
    (row,), _ = land(company, "oa_account_days", line, YESTERDAY)
    assert row["read_user"] == 4


def test_a_day_that_is_not_there_yet_does_not_keep_back_the_others(company: Company) -> None:
    def reply(_: str, body: dict[str, Any]) -> object:
        return refuse(61503) if body["end_date"] == "2026-10-11" else None

    line = answering(reply, now=MORNING)
    extracts = source(company, "oa_users", line).extract(
        [YESTERDAY - timedelta(days=back) for back in (2, 1, 0)]
    )
    assert [next(extracts).day.day, next(extracts).day.day] == [9, 10]
    with pytest.raises(NotReadyError):
        next(extracts)
    assert spans(line, "usersummary") == ["10-09 10-10", "10-11 10-11"]


def test_an_empty_yesterday_is_not_ready_and_an_empty_day_before_is_true(company: Company) -> None:
    line = answering(lambda *_: None, now=MORNING)
    extracts = source(company, "oa_users", line).extract([date(2026, 10, 10), YESTERDAY])
    assert next(extracts).rows.num_rows == 0
    with pytest.raises(NotReadyError, match="usersummary gave an empty list"):
        next(extracts)


def test_articles_are_followed_for_thirty_days_and_other_figures_for_seven(
    tmp_path: Path,
) -> None:
    known = dict.fromkeys(days(60), "sha")
    company = write_company(tmp_path, last_day=days(60)[-1])
    for table, count in (("oa_articles", 31), ("oa_users", 8), ("oa_account_days", 8)):
        changed = source(company, table, answering(lambda *_: None)).changed_days(None, known)
        assert (len(changed), max(changed)) == (count, days(60)[-1])


def test_the_latest_day_is_asked_for_from_eight_on(company: Company) -> None:
    line = answering(lambda *_: None, now=datetime(2026, 10, 12, 7, 59, tzinfo=SHANGHAI))
    users = source(company, "oa_users", line)
    assert users.last_day() == date(2026, 10, 10)
    line.now += timedelta(minutes=1)
    assert users.last_day() == YESTERDAY
    assert users.probe() == (
        "https://wechat.test answers wx5a1e0000000002; oa_users of 2026-10-11 is there"
    )
    assert figures_asked(line) == [PREFIX + "usersummary"]


def test_a_token_of_the_other_kind_of_account_is_a_matter_of_app_id(company: Company) -> None:
    with pytest.raises(PermanentSourceError, match="another kind of account") as caught:
        land(company, "oa_users", answering(lambda *_: refuse(48001)), OCT_1)
    assert "app_id must be that of the kind of account" in caught.value.next_step
