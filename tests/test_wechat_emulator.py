"""The simulated api.weixin.qq.com: tokens of two accounts, both datacubes, quotas, its habits."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.company import Company, load_company
from pipeline.errors import NotReadyError, PermanentSourceError
from pipeline.landed import TABLES
from pipeline.landing import SHANGHAI, Landing
from pipeline.simulation import Options, running_systems, simulate
from pipeline.simulation.habits import Habits
from pipeline.simulation.http_call import Call
from pipeline.simulation.open_platform import WITHDRAWN, OpenPlatform
from pipeline.simulation.wechat_books import Books, read_books
from pipeline.sources import open_source
from pipeline.sources.wechat import MiniProgramFigures, miniprogram, official_account
from pipeline.sources.wechat.errcodes import RETIRED
from pipeline.sources.wire import Wire

SIZE = Options(seed=2, days=38, orders=300)
FIRST, LAST = SIZE.business_days[0], SIZE.last_day
MINI, SERVICE = "/datacube/getweanalysisappid", "/datacube/get"
STABLE, PLAIN = "/cgi-bin/stable_token", "/cgi-bin/token"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("emulated") / "company"
    simulate(folder, SIZE)
    return folder


@pytest.fixture(scope="module")
def books(folder: Path) -> Books:
    return read_books(folder / "systems" / "wechat")


@dataclass
class Desk:
    """Calls the platform as either account does, at an hour that the test sets."""

    books: Books
    habits: Habits = field(default_factory=Habits)
    at: datetime = datetime(2026, 11, 8, 15, tzinfo=SHANGHAI)
    is_service: bool = False

    def __post_init__(self) -> None:
        self.platform = OpenPlatform(self.books, lambda: self.at.timestamp(), self.habits)

    @property
    def identity(self) -> dict[str, str]:
        account = self.books.account
        if self.is_service:
            return {"appid": account.service_app_id, "secret": account.service_app_secret}
        return {"appid": account.app_id, "secret": account.app_secret}

    def token(self, *, address: str = "127.0.0.1", **said: Any) -> dict[str, Any]:
        body = {"grant_type": "client_credential"} | self.identity | said
        return self._read(Call("POST", STABLE, {}, json.dumps(body).encode(), address))

    def plain_token(self) -> dict[str, Any]:
        said = {"grant_type": "client_credential"} | self.identity
        query = "&".join(f"{name}={value}" for name, value in said.items())
        return self._read(Call("GET", f"{PLAIN}?{query}", {}))

    def post(self, path: str, body: object, token: str | None = None) -> dict[str, Any]:
        token = self.token()["access_token"] if token is None else token
        target = f"{path}?access_token={token}"
        return self._read(Call("POST", target, {}, json.dumps(body).encode()))

    def ask(self, name: str, first: date, last: date | None = None) -> dict[str, Any]:
        """Figures of days, asked as the account writes days."""
        form = "%Y-%m-%d" if self.is_service else "%Y%m%d"
        body = {"begin_date": first.strftime(form), "end_date": (last or first).strftime(form)}
        return self.post((SERVICE if self.is_service else MINI) + name, body)

    def _read(self, call: Call) -> dict[str, Any]:
        answer = self.platform.answer(call)
        assert answer is not None
        assert answer.status == 200
        told: dict[str, Any] = json.loads(answer.body)
        return told


@pytest.fixture
def mini(books: Books) -> Desk:
    return Desk(books)


@pytest.fixture
def service(books: Books) -> Desk:
    return Desk(books, is_service=True)


# Tokens.


def test_a_plain_token_ends_its_own_former_one_and_no_stable_one(mini: Desk) -> None:
    stable = mini.token()["access_token"]
    first, second = (mini.plain_token()["access_token"] for _ in range(2))
    body = {"begin_date": f"{LAST:%Y%m%d}", "end_date": f"{LAST:%Y%m%d}"}
    assert mini.post(MINI + "visitpage", body, first)["errcode"] == 40001
    assert "list" in mini.post(MINI + "visitpage", body, second)
    assert "list" in mini.post(MINI + "visitpage", body, stable)


def test_a_token_is_forced_twenty_times_a_day(mini: Desk) -> None:
    seen = set()
    for _ in range(20):
        seen.add(mini.token(force_refresh=True)["access_token"])
        mini.at += timedelta(seconds=30)
    assert len(seen) == 20
    assert mini.token(force_refresh=True)["errcode"] == 45009
    assert "access_token" in mini.token()


def test_a_token_that_has_ended_is_told_from_one_that_never_was(mini: Desk) -> None:
    ended = mini.token()["access_token"]
    mini.at += timedelta(hours=2)
    assert mini.post(MINI + "visitpage", {}, ended)["errcode"] == 42001
    assert mini.post(MINI + "visitpage", {}, "80_never")["errcode"] == 40001
    assert mini.post(MINI + "visitpage", {}, "")["errcode"] == 41001
    kept = mini.token()["access_token"]
    mini.platform.revoke_tokens()
    assert mini.post(MINI + "visitpage", {}, kept)["errcode"] == 40001


def test_ten_thousand_tokens_a_minute_are_enough(mini: Desk) -> None:
    assert all("access_token" in mini.token() for _ in range(10_000))
    assert mini.token()["errcode"] == 45011
    mini.at += timedelta(minutes=1)
    assert "access_token" in mini.token()


def test_a_token_of_one_kind_of_account_opens_nothing_of_the_other(
    mini: Desk, service: Desk
) -> None:
    service.platform = mini.platform
    of_mini, of_service = mini.token()["access_token"], service.token()["access_token"]
    assert mini.post(SERVICE + "usersummary", {}, of_mini)["errcode"] == 48001
    assert mini.post(MINI + "visitpage", {}, of_service)["errcode"] == 48001
    assert mini.post("/wxa/sec/order/get_order_list", {}, of_service)["errcode"] == 48001


def test_an_address_that_is_not_on_the_whitelist_is_named(books: Books) -> None:
    desk = Desk(books, Habits(whitelist=frozenset({"203.0.113.5"})))
    told = desk.token(address="203.0.113.9")
    assert told["errcode"] == 40164
    assert "invalid ip 203.0.113.9 " in told["errmsg"]
    assert "access_token" in desk.token(address="203.0.113.5")


def test_every_refusal_bears_the_second_in_its_rid(mini: Desk) -> None:
    told = mini.post(MINI + "visitpage", {})["errmsg"]
    first, second, third = told.rpartition("rid: ")[2].split("-")
    assert int(first, 16) == int(mini.at.timestamp())
    assert (len(second), len(third)) == (8, 8)


# Days and spans.

MONDAY = date(2026, 10, 5)
OCTOBER = date(2026, 10, 1), date(2026, 10, 31)
ALLOWED = {
    False: [
        *(
            (name, FIRST, FIRST)
            for name in (
                "dailyvisittrend", "dailysummarytrend", "visitpage", "visitdistribution",
                "dailyretaininfo", "userportrait",
            )
        ),
        ("weeklyvisittrend", MONDAY, MONDAY + timedelta(days=6)),
        ("weeklyretaininfo", MONDAY, MONDAY + timedelta(days=6)),
        ("monthlyvisittrend", *OCTOBER),
        ("monthlyretaininfo", *OCTOBER),
        ("userportrait", FIRST, FIRST + timedelta(days=6)),
        ("userportrait", FIRST, FIRST + timedelta(days=29)),
    ],
    True: [
        (name, FIRST, FIRST + timedelta(days=count - 1))
        for name, count in (
            ("usersummary", 7), ("usercumulate", 7), ("upstreammsg", 7), ("upstreammsghour", 1),
            ("upstreammsgweek", 1), ("upstreammsgmonth", 1), ("upstreammsgdist", 15),
            ("upstreammsgdistweek", 15), ("upstreammsgdistmonth", 15), ("interfacesummary", 30),
            ("interfacesummaryhour", 1), ("articleread", 1), ("articleshare", 1),
            ("bizsummary", 30), ("articletotaldetail", 1),
        )
    ],
}  # fmt: skip


@pytest.mark.parametrize("is_service", [False, True])
def test_each_call_answers_its_own_span_and_no_longer_one(books: Books, is_service: bool) -> None:
    desk = Desk(books, is_service=is_service)
    for name, first, last in ALLOWED[is_service]:
        assert "errcode" not in desk.ask(name, first, last), name
        longer = desk.ask(name, first, last + timedelta(days=1))
        assert longer["errcode"] == 61501, name
        assert desk.ask(name, LAST + timedelta(days=1))["errcode"] == 61501, name
        assert desk.ask(name, last, first - timedelta(days=1))["errcode"] == 61501, name
        form = "%Y%m%d" if is_service else "%Y-%m-%d"
        other = {"begin_date": first.strftime(form), "end_date": last.strftime(form)}
        path = (SERVICE if is_service else MINI) + name
        assert desk.post(path, other)["errcode"] == 61500, name
    paths = {(SERVICE if is_service else MINI) + name for name, _, _ in ALLOWED[is_service]}
    used = official_account.FIGURES if is_service else miniprogram.FIGURES
    assert {call.path for calls in used.values() for call in calls} == paths


def test_yesterday_is_refused_then_empty_then_there(books: Books) -> None:
    habits = Habits(refused_until=time(11, 30), empty_until=time(12))
    for is_service, name in ((False, "visitpage"), (True, "usersummary")):
        desk = Desk(books, habits, is_service=is_service)
        told = []
        for hour, minute in ((11, 29), (11, 30), (11, 59), (12, 0)):
            desk.at = desk.at.replace(hour=hour, minute=minute)
            reply = desk.ask(name, LAST)
            told.append(reply.get("errcode") or len(reply["list"]))
        assert told[:3] == [61503, 0, 0]
        assert told[3] > 0
        desk.at = desk.at.replace(hour=9)
        assert len(desk.ask(name, FIRST)["list"]) > 0


# The mini-program's figures are those of what happened.


def test_visits_are_counted_from_the_events_of_the_day(mini: Desk, folder: Path) -> None:
    (told,) = mini.ask("dailyvisittrend", FIRST)["list"]
    events = {event["eid"]: event for event in read_events(folder, FIRST)}
    inside = [event for event in events.values() if event["platform"] == "wxmp"]
    assert told["session_cnt"] == sum(event["name"] == "launch" for event in inside)
    assert told["visit_pv"] == len(inside)
    assert told["visit_uv"] == len({event["unionid"] for event in inside})
    pages = mini.ask("visitpage", FIRST)["list"]
    assert sum(page["page_visit_pv"] for page in pages) == len(inside)
    counts = [page["page_visit_pv"] for page in pages]
    assert counts == sorted(counts, reverse=True)


def read_events(folder: Path, day: date) -> Iterator[dict[str, Any]]:
    packed = (folder / "systems" / "events" / f"events-{day:%Y%m%d}.jsonl.gz").read_bytes()
    for line in gzip.decompress(packed).decode().splitlines():
        yield json.loads(line)


def test_visitors_of_a_week_are_counted_once(mini: Desk) -> None:
    days = [MONDAY + timedelta(days=number) for number in range(7)]
    daily = [mini.ask("dailyvisittrend", day)["list"][0] for day in days]
    (weekly,) = mini.ask("weeklyvisittrend", days[0], days[-1])["list"]
    assert weekly["ref_date"] == "20261005-20261011"
    assert weekly["session_cnt"] == sum(day["session_cnt"] for day in daily)
    assert max(day["visit_uv"] for day in daily) < weekly["visit_uv"]
    assert weekly["visit_uv"] < sum(day["visit_uv"] for day in daily)
    assert weekly["visit_uv_new"] == sum(day["visit_uv_new"] for day in daily)
    assert mini.ask("monthlyvisittrend", *OCTOBER)["list"][0]["ref_date"] == "202610"


def test_openings_are_told_by_source_with_a_fourth_distribution_and_falling_keys(
    mini: Desk,
) -> None:
    told = {
        each["index"]: each["item_list"] for each in mini.ask("visitdistribution", LAST)["list"]
    }
    assert len(told) == 4
    for items in told.values():
        keys = [item["key"] for item in items]
        assert keys == sorted(keys, reverse=True)
    opened = mini.ask("dailyvisittrend", LAST)["list"][0]["session_cnt"]
    for index in ("access_source_session_cnt", "access_staytime_info", "access_depth_info"):
        assert sum(item["value"] for item in told[index]) == opened
    # Menu and article of the service account, its notices, a search, a scan.
    assert {13, 18, 11, 2, 4} <= {item["key"] for item in told["access_source_session_cnt"]}


def test_retention_grows_with_the_days(mini: Desk) -> None:
    def keys(name: str, first: date, last: date | None = None) -> list[int]:
        reply = mini.ask(name, first, last)
        assert [item["key"] for item in reply["visit_uv_new"]] == [
            item["key"] for item in reply["visit_uv"]
        ]
        return [item["key"] for item in reply["visit_uv"]]

    assert keys("dailyretaininfo", LAST) == [0]
    assert keys("dailyretaininfo", LAST - timedelta(days=3)) == [0, 1, 2, 3]
    assert keys("dailyretaininfo", LAST - timedelta(days=14)) == [*range(8), 14]
    assert keys("dailyretaininfo", LAST - timedelta(days=30)) == [*range(8), 14, 30]
    sunday = MONDAY + timedelta(days=6)
    assert keys("weeklyretaininfo", MONDAY, sunday) == [
        key for key in range(5) if sunday + timedelta(days=7 * key) <= LAST
    ]
    assert keys("monthlyretaininfo", *OCTOBER) == [0]
    reply = mini.ask("dailyretaininfo", LAST - timedelta(days=7))
    (trend,) = mini.ask("dailyvisittrend", LAST - timedelta(days=7))["list"]
    assert reply["visit_uv"][0]["value"] == trend["visit_uv"]
    assert 0 < sum(item["value"] for item in reply["visit_uv"][1:]) < trend["visit_uv"]


def test_portraits_add_up_to_the_visitors(mini: Desk) -> None:
    reply = mini.ask("userportrait", MONDAY, MONDAY + timedelta(days=6))
    (weekly,) = mini.ask("weeklyvisittrend", MONDAY, MONDAY + timedelta(days=6))["list"]
    for visitors in ("visit_uv", "visit_uv_new"):
        for items in reply[visitors].values():
            assert sum(item["value"] for item in items) == weekly[visitors]
    assert all("id" not in item for item in reply["visit_uv"]["devices"])


def test_numbers_and_keys_vary_as_they_do(mini: Desk) -> None:
    days = [FIRST + timedelta(days=number) for number in range(7)]
    replies = [mini.ask("dailyvisittrend", day) for day in days]
    stays = [reply["list"][0]["stay_time_session"] for reply in replies]
    assert {type(stay) for stay in stays} == {int, float}
    assert 0 in stays
    assert 0 < sum("data_version" in reply for reply in replies) < len(replies)


# The service account.


def test_followers_move_by_source_and_add_up(service: Desk) -> None:
    days = [FIRST + timedelta(days=number) for number in range(7)]
    moved = service.ask("usersummary", days[0], days[-1])["list"]
    counts = {day["ref_date"]: day["cumulate_user"]
              for day in service.ask("usercumulate", days[0], days[-1])["list"]}  # fmt: skip
    assert len(moved) > len(days)
    for before, day in pairwise(days):
        net = sum(
            row["new_user"] - row["cancel_user"] for row in moved if row["ref_date"] == str(day)
        )
        assert counts[str(day)] - counts[str(before)] == net


def test_messages_add_up_over_hours_and_intervals(service: Desk) -> None:
    listed = service.ask("upstreammsg", FIRST + timedelta(days=14), FIRST + timedelta(days=20))
    by_day: dict[str, int] = {}
    for row in listed["list"]:
        by_day[row["ref_date"]] = by_day.get(row["ref_date"], 0) + row["msg_count"]
    busiest = date.fromisoformat(max(by_day, key=lambda day: by_day[day]))
    hours = service.ask("upstreammsghour", busiest)["list"]
    assert sum(row["msg_count"] for row in hours) == by_day[str(busiest)]
    assert {row["ref_hour"] % 100 for row in hours} == {0}
    week = service.ask("upstreammsgweek", MONDAY + timedelta(days=2))["list"]
    assert {row["ref_date"] for row in week} == {str(MONDAY)}
    intervals = service.ask("upstreammsgdist", busiest)["list"]
    senders = {sent.person for sent in service.books.service.upstream
               if sent.at.astimezone(SHANGHAI).date() == busiest}  # fmt: skip
    assert sum(row["msg_user"] for row in intervals) == len(senders)
    assert service.ask("upstreammsgmonth", LAST)["list"] == []  # the month is not over


def test_all_scenes_stand_among_the_scenes(service: Desk) -> None:
    for row in service.ask("articleread", LAST)["list"]:
        by_scene = {each["scene_desc"]: each["user_count"]
                    for each in row["detail"]["read_user_source"]}  # fmt: skip
        assert by_scene.pop("全部") == sum(by_scene.values()) == row["detail"]["read_user"]
    total = sum(row["detail"]["read_user"] for row in service.ask("articleread", LAST)["list"])
    (account,) = service.ask("bizsummary", LAST)["list"]
    assert account["detail"]["read_user"] == total > 0


def test_an_article_is_followed_from_its_publication(service: Desk) -> None:
    published = next(row.published for row in service.books.service.articles)
    (article,) = service.ask("articletotaldetail", published)["list"]
    days = [date.fromisoformat(each["stat_date"]) for each in article["detail_list"]]
    assert days == [published + timedelta(days=number) for number in range(30)]
    readers = [each["read_user"] for each in article["detail_list"]]
    assert readers == sorted(readers)


def test_article_figures_lag_on_the_first_pull_where_they_do(books: Books) -> None:
    desk = Desk(books, Habits(is_delayed_at_first=True), is_service=True)
    for name in ("articleread", "articleshare", "bizsummary", "articletotaldetail"):
        day = next(row.published for row in books.service.articles)
        first, second = desk.ask(name, day), desk.ask(name, day)
        assert (first["is_delay"], second["is_delay"]) == (True, False)
        assert len(first["list"]) == len(second["list"]) - 1


def test_the_six_withdrawn_calls_are_offline(service: Desk) -> None:
    assert set(WITHDRAWN) == set(RETIRED)
    for path in WITHDRAWN:
        assert service.post(path, {})["errcode"] == 47009


# Quotas.


def test_a_quota_is_used_up_until_midnight_and_reset_ten_times_a_month(books: Books) -> None:
    desk = Desk(books, Habits(calls_a_day=2))
    path = MINI + "visitpage"

    def used() -> dict[str, int]:
        told: dict[str, int] = desk.post("/cgi-bin/openapi/quota/get", {"cgi_path": path})["quota"]
        return told

    assert [desk.ask("visitpage", LAST).get("errcode") for _ in range(3)] == [None, None, 45009]
    assert used() == {"daily_limit": 2, "used": 2, "remain": 0}
    desk.at = datetime(2026, 11, 9, tzinfo=SHANGHAI)
    assert used() == {"daily_limit": 2, "used": 0, "remain": 2}
    own = {"appid": books.account.app_id}
    for _ in range(10):
        desk.ask("visitpage", LAST)
        assert desk.post("/cgi-bin/clear_quota", own)["errcode"] == 0
        assert used()["used"] == 0
    assert desk.post("/cgi-bin/clear_quota", own)["errcode"] == 48006
    unknown = desk.post("/cgi-bin/openapi/quota/get", {"cgi_path": "/cgi-bin/nothing"})
    assert unknown["errcode"] == 76021


# The connectors against it, over the line.


@pytest.fixture
def company(folder: Path, tmp_path: Path) -> Iterator[Company]:
    with running_systems(folder):
        yield load_company(folder, data=tmp_path)


def test_every_table_of_figures_lands_whole_from_the_simulated_wechat(company: Company) -> None:
    landing = Landing(company.data / "landing", hash_key=company.hash_key)
    days = SIZE.business_days[-31:]
    tables = [*miniprogram.FIGURES, *official_account.FIGURES, "wechat_quota"]
    for table in tables:
        source = open_source(table, company)
        batches = list(
            landing.land_all(TABLES[table], source.extract(days), connector=source.connector)
        )
        assert [batch.day for batch in batches] == days
        assert sum(batch.rows for batch in batches) > 0, table
        assert sum(batch.quarantined + batch.repeated for batch in batches) == 0, table
    assert set(tables) <= set(company.sources.tables)


def test_a_connector_at_the_wrong_account_is_told_so(company: Company) -> None:
    settings = company.sources.tables["oa_users"]
    crossed = company.sources.model_copy(
        update={
            "tables": company.sources.tables
            | {"oa_users": settings.model_copy(update={"connections": ("mini_program",)})}
        }
    )
    wrong = company.model_copy(update={"sources": crossed})
    with pytest.raises(PermanentSourceError, match="errcode 48001"):
        list(open_source("oa_users", wrong).extract([FIRST]))


def test_a_day_that_the_simulated_wechat_has_not_built_is_not_ready(
    books: Books, company: Company
) -> None:
    desk = Desk(books, Habits(refused_until=time(11, 30)))
    desk.at = desk.at.replace(hour=9)
    with pytest.raises(NotReadyError):
        served(company, "mp_pages", desk)
    desk.at = desk.at.replace(hour=15)
    assert served(company, "mp_pages", desk) > 0


def served(company: Company, table: str, desk: Desk) -> int:
    """How many rows the table has on the last day, asked at a desk of the test's own."""

    def answer(request: httpx.Request) -> httpx.Response:
        call = Call(request.method, request.url.raw_path.decode(), {}, request.content)
        answered = desk.platform.answer(call)
        assert answered is not None
        return httpx.Response(answered.status, content=answered.body)

    settings = company.sources.tables[table]
    connection = company.sources.connections[settings.connection]
    wire = Wire(httpx.MockTransport(answer), lambda _: None, lambda: desk.at)
    source = MiniProgramFigures(TABLES[table], settings, connection, company, wire=wire)
    (extract,) = source.extract([LAST])
    return extract.rows.num_rows
