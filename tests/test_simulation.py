"""The simulated company: deterministic, broken as told, its WeChat as strict as the real one."""

import ast
import base64
import csv
import gzip
import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import pipeline
from bench.scratch import compile_models
from bench.simulated import landed, read_found
from pipeline.company import load_company
from pipeline.landing import SHANGHAI
from pipeline.simulation import (
    Options,
    judged_without_makers,
    running_systems,
    score,
    simulate,
)
from pipeline.simulation.faults import ORDER_FAULTS
from pipeline.simulation.keys import MERCHANT_KEY, read_private_key
from pipeline.simulation.score import compare
from pipeline.simulation.service_faults import AFTERSALE_FAULTS, BOOKING_FAULTS, MEMBER_FAULTS
from pipeline.simulation.truth import TRUTH, Expected, read_truth
from pipeline.simulation.wechat_books import read_books
from pipeline.simulation.wechat_server import WechatServer
from pipeline.simulation.world import World, build_world
from pipeline.sources.wechat.callbacks.body import read_bodies

FAULTS = (*ORDER_FAULTS, *BOOKING_FAULTS, *AFTERSALE_FAULTS, *MEMBER_FAULTS)
SMALL = Options(seed=1, days=10, orders=600)
VISITS = "/datacube/getweanalysisappiddailyvisittrend"
ORDERS = "/wxa/sec/order/get_order_list"
DRAWN_ONCE = ("merchant_key.pem", "platform_key.pem", "platform_public_key.pem", ".env")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "company"
    simulate(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(Options())


class Clock:
    """Epoch seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_790_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(company: Path, clock: Clock) -> Iterator[WechatServer]:
    with WechatServer(company / "systems" / "wechat", now=clock) as running:
        yield running


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in DRAWN_ONCE
    }


# The world.


def test_the_same_options_write_the_same_bytes(company: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "again", SMALL)
    again, first = _contents(tmp_path / "again"), _contents(company)
    assert again.keys() == first.keys()
    assert [name for name in first if first[name] != again[name]] == []


def test_another_seed_is_another_company(company: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "other", Options(seed=2, days=10, orders=600))
    other, first = _contents(tmp_path / "other"), _contents(company)
    for name in ("systems/erp.sqlite", "systems/truth.json", "systems/wechat/bill.jsonl"):
        assert other[name] != first[name]


def test_simulating_again_keeps_keys_and_the_hashing_key(company: Path) -> None:
    def read_drawn() -> list[bytes]:
        return [path.read_bytes() for name in DRAWN_ONCE for path in company.rglob(name)]

    kept = read_drawn()
    simulate(company, SMALL)
    assert len(kept) == len(DRAWN_ONCE)
    assert read_drawn() == kept


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_every_fault_is_planted_even_in_ten_days(seed: int) -> None:
    expected = build_world(Options(seed=seed, days=10, orders=600)).expected
    assert {row.fault for row in expected} == {fault.name for fault in FAULTS}
    assert min(Counter(row.divergence for row in expected).values()) >= 5


def test_every_class_is_planted_once_a_case_in_the_default_company(world: World) -> None:
    counts = Counter(row.divergence for row in world.expected)
    assert counts.keys() == {fault.divergence for fault in FAULTS}
    assert min(counts.values()) >= 5
    assert max(Counter(row.case_id for row in world.expected).values()) == 1


def test_the_shallow_line_is_far_worse_than_the_deep_one(world: World) -> None:
    broken = {row.case_id for row in world.expected}
    rates = {
        line: sum(case.case_id in broken for case in cases) / len(cases)
        for line in ("retail", "flash_sale")
        if (cases := [case for case in world.cases if case.line.name == line])
    }
    assert rates["retail"] < 0.03
    assert rates["flash_sale"] > 0.25


def test_a_healthy_delay_is_never_late_by_the_default_contract(world: World) -> None:
    for case in world.cases:
        if case.variant not in ("", "received_in_two_parts"):
            continue
        booked_at, shipped_at = case.booked_at, case.shipped_at
        assert timedelta(0) < booked_at - case.paid_at < timedelta(minutes=30)
        assert all(
            timedelta(0) < receipt.at - booked_at < timedelta(hours=24) for receipt in case.receipts
        )
        assert timedelta(0) < shipped_at - booked_at < timedelta(hours=72)
        shown = [view.at for view in case.views if view.shown != "waiting"]
        reflowed_at = min([*shown, *([case.uploaded_at] if case.uploaded_at else [])])
        assert timedelta(0) < reflowed_at - shipped_at < timedelta(hours=2)
        assert [message.status for message in case.messages] == ["success", "success"]


def test_the_day_of_stock_taking_moves_no_money(company: Path) -> None:
    books = read_books(company / "systems" / "wechat")
    assert set(SMALL.business_days) - set(books.bill) == {SMALL.closed_day}


def test_events_bear_replays_and_stay_within_their_day(company: Path) -> None:
    repeats = 0
    for day in SMALL.business_days:
        path = company / "systems" / "events" / f"events-{day:%Y%m%d}.jsonl.gz"
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        repeats += len(lines) - len(set(lines))
        start = (day - date(1970, 1, 1)).days * 86_400_000 - 8 * 3_600_000
        assert all(start <= json.loads(line)["ts"] < start + 86_400_000 for line in lines)
        assert len({json.loads(line)["eid"] for line in lines}) == len(set(lines))
    assert repeats > 0


def test_nothing_in_the_systems_is_younger_than_the_last_day(company: Path) -> None:
    end = f"{SMALL.last_day + timedelta(days=1)} 00:00:00"
    with sqlite3.connect(company / "systems" / "erp.sqlite") as erp:
        for table, column in (
            ("t_sal_order", "FMODIFYDATE"),
            ("t_ar_receipt", "FDATE"),
            ("t_sal_outstock", "FMODIFYDATE"),
            ("t_ar_refund", "FDATE"),
        ):
            rows, latest = erp.execute(f"select count(*), max({column}) from {table}").fetchone()
            assert rows > 0
            assert latest < end


def test_the_member_export_is_gbk_with_remarks_over_two_lines(company: Path) -> None:
    path = company / "systems" / "crm" / f"会员_{SMALL.last_day:%Y%m%d}.csv"
    with pytest.raises(UnicodeDecodeError):
        path.read_bytes().decode("utf-8")
    with path.open(encoding="gbk", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 300
    assert any("\n" in row["备注"] for row in rows)


def test_the_simulated_company_loads_with_its_last_day(company: Path) -> None:
    loaded = load_company(company, environment={})
    assert loaded.last_day == SMALL.last_day
    assert loaded.secret("MINI_PROGRAM_SECRET").get_secret_value()
    assert loaded.secret("WECOM_ROBOT_KEY").get_secret_value()


# The truth is out of reach.


def test_only_the_scorer_and_the_simulation_name_the_truth() -> None:
    root = Path(pipeline.__file__).parent
    readers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "read_truth" in _names(path)
    }
    assert readers == {"simulation/truth.py", "simulation/score.py"}


def test_no_connection_of_the_company_leads_to_the_truth(company: Path) -> None:
    loaded = load_company(company, environment={})
    folders = [
        connection.folder
        for connection in loaded.sources.connections.values()
        if connection.folder is not None
    ]
    truth = (company / TRUTH).resolve()
    assert folders
    assert all(folder.resolve() not in truth.parents for folder in folders)
    assert "truth" not in (company / "sources.yml").read_text(encoding="utf-8")


def _names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return imported | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


# api.weixin.qq.com: every refusal comes as HTTP 200.


class Caller:
    """Calls the server as a client would, as the account that the company has."""

    def __init__(
        self, server: WechatServer, folder: Path, clock: Clock, line: httpx.Client
    ) -> None:
        self.server, self.clock, self.line = server, clock, line
        self.books = read_books(folder / "systems" / "wechat")
        self.account = self.books.account
        self.merchant_key = read_private_key(folder / "systems" / "wechat" / MERCHANT_KEY)
        public = (folder / "systems" / "wechat" / "platform_public_key.pem").read_bytes()
        self.platform_key = serialization.load_pem_public_key(public)

    def ask_token(self, **changed: Any) -> dict[str, Any]:
        body = {
            "grant_type": "client_credential",
            "appid": self.account.app_id,
            "secret": self.account.app_secret,
        } | changed
        return self._post("/cgi-bin/stable_token", body)

    def post(self, path: str, body: dict[str, Any], *, token: str | None = None) -> dict[str, Any]:
        value = self.ask_token()["access_token"] if token is None else token
        return self._post(f"{path}?access_token={value}", body)

    def get(self, asked: str, **changed: str) -> httpx.Response:
        """A signed call of WeChat Pay; `changed` are signed parts to be told wrongly."""
        said = {
            "method": "GET", "target": asked, "timestamp": str(int(self.clock())),
            "mchid": self.account.merchant_id, "serial": self.account.certificate_serial,
        } | changed  # fmt: skip
        nonce = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
        lines = (said["method"], said["target"], said["timestamp"], nonce, "")
        message = "".join(f"{line}\n" for line in lines).encode()
        signature = self.merchant_key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        authorization = (
            f'WECHATPAY2-SHA256-RSA2048 mchid="{said["mchid"]}",nonce_str="{nonce}",'
            f'signature="{base64.b64encode(signature).decode()}",'
            f'timestamp="{said["timestamp"]}",serial_no="{said["serial"]}"'
        )
        headers = {"Authorization": authorization, "Accept": "application/json"}
        return self.line.get(asked, headers=headers)

    def ask_bill(self, day: date) -> httpx.Response:
        return self.get(f"/v3/bill/tradebill?bill_date={day}&bill_type=ALL&tar_type=GZIP")

    def download(self, day: date) -> tuple[dict[str, str], bytes]:
        told = self.ask_bill(day).json()
        return told, self.get(told["download_url"].removeprefix(self.server.address)).content

    def tell_robot(self, content: str, *, key: str | None = None) -> dict[str, Any]:
        body = {"msgtype": "markdown", "markdown": {"content": content}}
        return self._post(f"/cgi-bin/webhook/send?key={key or self.account.robot_key}", body)

    def _post(self, target: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self.line.post(target, json=body)
        assert response.status_code == 200
        return response.json()


@pytest.fixture
def caller(server: WechatServer, company: Path, clock: Clock) -> Iterator[Caller]:
    with httpx.Client(base_url=server.address, trust_env=False) as line:
        yield Caller(server, company, clock, line)


def test_a_stable_token_stays_until_five_minutes_before_its_end(caller: Caller) -> None:
    first = caller.ask_token()
    assert first["expires_in"] == 7200
    caller.clock.seconds += 6800
    assert caller.ask_token() == {"access_token": first["access_token"], "expires_in": 400}
    caller.clock.seconds += 150
    renewed = caller.ask_token()["access_token"]
    assert renewed != first["access_token"]
    day = {"begin_date": "20261001", "end_date": "20261001"}
    assert "list" in caller.post(VISITS, day, token=first["access_token"])
    caller.clock.seconds += 251
    assert caller.post(VISITS, day, token=first["access_token"])["errcode"] in (40001, 42001)
    assert "list" in caller.post(VISITS, day, token=renewed)


def test_a_forced_refresh_kills_the_token_but_not_within_thirty_seconds(caller: Caller) -> None:
    first = caller.ask_token()["access_token"]
    forced = caller.ask_token(force_refresh=True)["access_token"]
    assert forced != first
    assert caller.post(VISITS, {}, token=first)["errcode"] == 40001
    caller.clock.seconds += 29
    assert caller.ask_token(force_refresh=True)["access_token"] == forced
    caller.clock.seconds += 1
    assert caller.ask_token(force_refresh=True)["access_token"] != forced


@pytest.mark.parametrize(
    ("changed", "errcode"),
    [
        ({"grant_type": "password"}, 40002),
        ({"appid": "wx0000000000000000"}, 40013),
        ({"secret": "not the secret"}, 40125),
        ({"appid": ""}, 41002),
        ({"secret": ""}, 41004),
    ],
)
def test_a_wrong_token_request_is_refused(
    caller: Caller, changed: dict[str, str], errcode: int
) -> None:
    assert caller.ask_token(**changed)["errcode"] == errcode


def test_wechat_counts_visits_that_the_tracker_missed_on_one_day(tmp_path: Path) -> None:
    options = Options(seed=3, days=12, orders=300)
    simulate(tmp_path, options)
    missed = {}
    for day in options.business_days:
        path = tmp_path / "systems" / "events" / f"events-{day:%Y%m%d}.jsonl.gz"
        events = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        launched = {row["sid"] for row in events if row["name"] == "launch"}
        tracked = sum(row["platform"] == "wxmp" for row in _first_of_each(events, launched))
        counted = read_books(tmp_path / "systems" / "wechat").sessions[day]
        missed[day] = sum(session.is_opened for session in counted) - tracked
    assert [day for day, count in missed.items() if count] == [options.untracked_day]


def _first_of_each(events: list[dict[str, Any]], sessions: set[str]) -> list[dict[str, Any]]:
    return [next(row for row in events if row["sid"] == each) for each in sorted(sessions)]


def test_messages_are_clicked_and_called_back(company: Path) -> None:
    messages = {}
    for path in (company / "systems" / "messages").iterdir():
        for line in path.read_text().splitlines():
            messages[json.loads(line)["msgid"]] = json.loads(line)
    clicked = {
        row["msgid"]
        for path in (company / "systems" / "events").iterdir()
        for line in gzip.decompress(path.read_bytes()).splitlines()
        if (row := json.loads(line))["name"] == "clickMessage"
    }
    assert clicked
    assert {messages[number]["result"] for number in clicked} == {"success"}
    called_back = {str(body["MsgID"]) for _, body in called(company) if "MsgID" in body}
    sent = {
        number for number, row in messages.items()
        if row["type"] == "template" and row["send_time"]
    }  # fmt: skip
    assert sent
    assert {str(number) for number in sent} <= called_back


def called(company: Path) -> list[tuple[str, Any]]:
    """The callbacks in the order in which they are stored: when each came, and what it says."""
    return [
        (told["received_at"], body)
        for path in sorted((company / "systems" / "callbacks").iterdir())
        for line in path.read_text().splitlines()
        for told in [json.loads(line)]
        for body in read_bodies(told["body"].encode())
    ]


def test_callbacks_come_in_every_form_some_twice_and_out_of_order(company: Path) -> None:
    lines = [
        json.loads(line)
        for path in (company / "systems" / "callbacks").iterdir()
        for line in path.read_text().splitlines()
    ]
    assert {line["body"][0] for line in lines} == {"{", "<"}
    assert len({line["body"] for line in lines}) < len(lines)
    stored = called(company)
    received = [at for at, _ in stored]
    assert received != sorted(received)
    popups = [body for _, body in stored if body["Event"] == "subscribe_msg_popup_event"]
    answers = [body.get("SubscribeMsgPopupEvent", body)["List"] for body in popups]
    assert {type(answer) for answer in answers} == {list, dict}


def test_visits_are_given_for_one_past_day_at_a_time(caller: Caller) -> None:
    def ask(begin: str, end: str) -> dict[str, Any]:
        return caller.post(VISITS, {"begin_date": begin, "end_date": end})

    (visits,) = ask("20261002", "20261002")["list"]
    assert visits["ref_date"] == "20261002"
    assert visits["visit_uv"] <= visits["session_cnt"] <= visits["visit_pv"]
    assert ask("20261002", "20261003")["errcode"] == 61501
    assert ask("2026-10-02", "2026-10-02")["errcode"] == 61500
    assert ask("20261011", "20261011")["errcode"] == 61501  # that is today
    assert ask("20260930", "20260930") == {"list": []}


def test_the_order_list_comes_in_pages_that_leave_nothing_out(caller: Caller) -> None:
    orders = caller.books.orders
    body: dict[str, Any] = {"page_size": 40, "pay_time_range": {"begin_time": 0, "end_time": 2**40}}
    listed: list[str] = []
    while True:
        reply = caller.post(ORDERS, body)
        listed += [order["transaction_id"] for order in reply["order_list"]]
        if not reply["has_more"]:
            break
        body["last_index"] = reply["last_index"]
    assert listed == [order["transaction_id"] for order in orders]
    assert caller.post(ORDERS, body | {"last_index": "no index"})["errcode"] == 10060011


# api.mch.weixin.qq.com: every refusal comes as its own HTTP status, signed.


def test_a_bill_ties_to_its_summary_and_to_its_digest(caller: Caller) -> None:
    for day in (date(2026, 10, 2), date(2026, 10, 3)):  # one day of either style
        told, content = caller.download(day)
        plain = gzip.decompress(content)
        assert told["hash_value"] == hashlib.sha1(plain).hexdigest()
        header, *rows, _, summary = plain.decode("utf-8-sig").splitlines()
        cells = [
            dict(zip(header.split(","), row.removeprefix("`").split(",`"), strict=True))
            for row in rows
        ]
        totals = summary.removeprefix("`").split(",`")
        assert len(header.split(",")) == 27
        assert float(totals[0]) == len(rows)
        assert Decimal(totals[5]) == sum(Decimal(row["订单金额"]) for row in cells)
        assert Decimal(totals[4]) == sum(Decimal(row["手续费"]) for row in cells)
        times = [row["交易时间"] for row in cells]
        assert times != sorted(times)


def test_bills_come_in_both_styles(caller: Caller) -> None:
    plain = [gzip.decompress(caller.download(date(2026, 10, day))[1]) for day in (2, 3)]
    assert {text.startswith(b"\xef\xbb\xbf") for text in plain} == {True, False}
    assert {b"\r\n" in text for text in plain} == {True, False}


def test_a_day_without_trade_has_no_bill_and_today_has_none_yet(caller: Caller) -> None:
    closed, today = SMALL.closed_day, SMALL.last_day + timedelta(days=1)
    assert closed is not None
    for day, code in ((closed, "NO_STATEMENT_EXIST"), (today, "STATEMENT_CREATING")):
        response = caller.ask_bill(day)
        assert (response.status_code, response.json()["code"]) == (400, code)


def test_a_download_address_lives_five_minutes(caller: Caller) -> None:
    told = caller.ask_bill(date(2026, 10, 2)).json()
    target = told["download_url"].removeprefix(caller.server.address)
    caller.clock.seconds += 301
    assert caller.get(target).json()["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize(
    "changed",
    [
        {"target": "/v3/bill/tradebill?bill_date=2026-10-03"},
        {"method": "POST"},
        {"timestamp": "1789999600"},
        {"mchid": "1900000001"},
        {"serial": "0000000000000000000000000000000000000000"},
    ],
)
def test_a_request_signed_for_something_else_is_refused(
    caller: Caller, changed: dict[str, str]
) -> None:
    response = caller.get("/v3/bill/tradebill?bill_date=2026-10-02", **changed)
    assert (response.status_code, response.json()["code"]) == (401, "SIGN_ERROR")


def test_a_request_signed_with_another_key_is_refused(caller: Caller) -> None:
    assert caller.ask_bill(date(2026, 10, 2)).status_code == 200
    caller.merchant_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    response = caller.ask_bill(date(2026, 10, 2))
    assert (response.status_code, response.json()["code"]) == (401, "SIGN_ERROR")


def test_replies_are_signed_by_the_platform_but_the_file_is_not(caller: Caller) -> None:
    response = caller.ask_bill(date(2026, 10, 2))
    told = response.headers
    message = f"{told['Wechatpay-Timestamp']}\n{told['Wechatpay-Nonce']}\n".encode()
    caller.platform_key.verify(
        base64.b64decode(told["Wechatpay-Signature"]),
        message + response.content + b"\n",
        padding.PKCS1v15(),
        hashes.SHA256(),
    )
    assert told["Wechatpay-Serial"] == caller.account.platform_key_id
    file = caller.get(response.json()["download_url"].removeprefix(caller.server.address))
    assert "Wechatpay-Signature" not in file.headers


# qyapi.weixin.qq.com.


def test_the_robot_keeps_twenty_messages_a_minute(caller: Caller) -> None:
    assert [caller.tell_robot(f"**{n}**")["errcode"] for n in range(21)] == [0] * 20 + [45009]
    caller.clock.seconds += 60
    assert caller.tell_robot("again")["errcode"] == 0
    kept = [body["markdown"]["content"] for body in caller.server.robot.messages]
    assert kept == [*(f"**{n}**" for n in range(20)), "again"]


def test_the_robot_refuses_a_wrong_key_and_a_long_message(caller: Caller) -> None:
    assert caller.tell_robot("hello", key="00000000-0000")["errcode"] == 93000
    assert caller.tell_robot("长" * 1366)["errcode"] == 40058
    assert caller.server.robot.messages == []


def test_running_systems_are_named_in_the_environment_while_they_run(
    company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SIMULATED_WECHAT_URL", raising=False)
    with running_systems(company) as systems:
        loaded = load_company(company)
        assert loaded.sources.connections["merchant"].base_url == systems.wechat_url
        assert loaded.alerts.channels[0].base_url == systems.wecom_url
        assert httpx.get(f"{systems.wechat_url}/no/such/path").status_code == 404
    assert "SIMULATED_WECHAT_URL" not in os.environ


# The score.


def test_a_finding_counts_only_where_case_leg_class_and_sub_class_agree() -> None:
    planted = [
        Expected("order:1", "booked", "late"),
        Expected("order:2", "booked", "amount_mismatch", "coupon"),
        Expected("order:3", "known", "not_known"),
    ]
    found = [
        Expected("order:1", "booked", "late", "ignored"),
        Expected("order:2", "booked", "amount_mismatch", "partial"),
        Expected("order:4", "known", "not_known"),
    ]
    compared = compare(planted, found)
    assert [row.case_id for row in compared.missed] == ["order:2", "order:3"]
    assert [row.case_id for row in compared.wrong] == ["order:2", "order:4"]
    assert (compared.total.precision, compared.total.recall) == (1 / 3, 1 / 3)
    assert not compared.is_perfect
    assert "missed: order:3 known: not_known" in compared.table()


def test_every_open_finding_scores_one_and_a_healed_one_does_not_count(
    company: Path, tmp_path: Path
) -> None:
    published = tmp_path / "bihuan.duckdb"
    rows = read_truth(company / TRUTH)
    with duckdb.connect(str(published)) as connection:
        connection.execute("create schema marts")
        connection.register("found", pa.Table.from_pylist([asdict(row) for row in rows]))
        connection.execute(
            "create table marts.fct_divergences as"
            " select case_id, leg, divergence, sub_class, null::timestamptz as healed_at from found"
            " union all select 'order:9', 'paid', 'late', null, now()"
        )
    scored = score(company, published)
    assert scored.is_perfect
    assert scored.total.planted == len(rows)


def test_a_score_of_nothing_is_not_perfect(company: Path, tmp_path: Path) -> None:
    assert not compare([], []).is_perfect
    with pytest.raises(FileNotFoundError, match="nothing was published"):
        score(company, tmp_path / "absent.duckdb")


# Hands and interfaces.


def _made_by_clerks(world: World) -> dict[str, list[tuple[datetime, datetime]]]:
    """Per fault: when each record was made, and when its case came into the clerk's list."""
    made: dict[str, list[tuple[datetime, datetime]]] = {}
    for case in world.cases:
        match case.variant:
            case "order_typed" | "order_imported":
                times = (case.booked_at, case.paid_at)
            case "receipt_typed" | "receipt_imported":
                times = (case.receipts[0].at, case.paid_at)
            case "shipment_typed" | "shipment_imported":
                assert case.shipment is not None
                times = (case.shipment.created_at, case.booked_at)
            case _:
                continue
        made.setdefault(case.variant, []).append(times)
    return {fault: sorted(times) for fault, times in made.items()}


def test_clerks_work_in_office_hours_hours_after_the_fact(world: World) -> None:
    made = _made_by_clerks(world)
    assert len(made) == 6
    for times in made.values():
        assert {at.astimezone(SHANGHAI).hour for at, _ in times} <= set(range(9, 18))
        assert all(at - listed_at >= timedelta(minutes=30) for at, listed_at in times)
    by_day = [at.astimezone(SHANGHAI).weekday() < 5 for times in made.values() for at, _ in times]
    assert sum(by_day) > 0.6 * len(by_day)


def test_a_sitting_goes_down_the_list_at_a_typists_pace(world: World) -> None:
    sittings = 0
    for fault, times in _made_by_clerks(world).items():
        pairs = [
            (later[0] - earlier[0], later[1] - earlier[1])
            for earlier, later in pairwise(times)
            if later[0] - earlier[0] < timedelta(minutes=15)
        ]
        sittings += len(times) - len(pairs)
        paces = [pace.total_seconds() for pace, _ in pairs]
        if fault.endswith("typed"):
            assert min(paces) >= 20
            assert sorted(paces)[len(paces) // 2] <= 90
            # Down the list or up, but not to and fro: few sittings, so few turns.
            ways = [listed > timedelta(0) for _, listed in pairs]
            turns = sum(one is not other for one, other in pairwise(ways))
            assert turns <= len(times) - len(pairs)
        else:
            assert max(paces) <= 2
    assert sittings >= 6


def test_a_mistyped_phone_is_nobodys_and_stands_only_where_a_clerk_typed(world: World) -> None:
    phones = {person.phone for person in world.people}
    typed = [
        (case, order.typed_phone)
        for case in world.cases
        for order in case.orders
        if order.typed_phone is not None
    ]
    assert typed
    for case, phone in typed:
        assert case.variant == "order_typed"
        assert phone not in phones
        assert sum(a != b for a, b in zip(phone, case.person.phone, strict=True)) == 1


def test_after_an_outage_what_waited_arrives_at_once_and_in_time(world: World) -> None:
    times = sorted(
        (case.booked_at, case.paid_at)
        for case in world.cases
        if case.variant == "" and case.payment is not None
    )
    flushed = [
        (earlier, later)
        for earlier, later in pairwise(times)
        if later[0] - earlier[0] <= timedelta(seconds=2)
        and min(later[0] - later[1], earlier[0] - earlier[1]) > timedelta(minutes=2)
    ]
    assert flushed
    assert all(later[1] >= earlier[1] for earlier, later in flushed)


def test_hidden_actors_change_nothing_but_the_actors(company: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "hidden", replace(SMALL, hide_actors=True))
    assert read_truth(tmp_path / "hidden" / TRUTH) == read_truth(company / TRUTH)
    for table in ("t_sal_order", "t_ar_receipt", "t_sal_outstock", "t_ar_refund"):
        rows = {}
        for name, folder in (("told", company), ("hidden", tmp_path / "hidden")):
            with sqlite3.connect(folder / "systems" / "erp.sqlite") as erp:
                erp.row_factory = sqlite3.Row
                rows[name] = [dict(row) for row in erp.execute(f"select * from {table}")]
        assert all(row["FCREATOR"] for row in rows["told"])
        silent = {"FCREATOR": None, "FSOURCE": None}
        assert rows["hidden"] == [row | silent for row in rows["told"]]
    path = tmp_path / "hidden" / "systems" / "crm" / f"会员_{SMALL.last_day:%Y%m%d}.csv"
    with path.open(encoding="gbk", newline="") as file:
        assert {(row["创建人"], row["创建方式"]) for row in csv.DictReader(file)} == {("", "")}


def test_hands_are_found_without_any_actor() -> None:
    with (
        landed(Options(seed=203, hide_actors=True)) as company,
        company.scratch(compile_models()) as connection,
    ):
        by_signs = company.score(read_found(connection)).of("manual_rekey")
    assert (by_signs.precision or 0) >= 0.99
    assert (by_signs.recall or 0) >= 0.95


def test_the_demonstration_judges_its_company_again_with_the_makers_hidden(
    tmp_path: Path,
) -> None:
    with landed(Options(seed=203, orders=600, days=14), is_built=True) as company:
        with company.warehouse.read() as published:
            told = company.score(read_found(published)).of("manual_rekey")
        assert told.planted == told.found == told.true_positives
        with judged_without_makers(company.company.data) as judged:
            by_signs = score(company.company.folder, judged).of("manual_rekey")
    assert by_signs.planted == told.planted
    assert 0 < by_signs.found < told.found  # no maker was told
