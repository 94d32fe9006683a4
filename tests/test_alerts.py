"""Alerts: what opens one, what closes it, and that it is told once, whatever is killed when."""

import io
import json
import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pytest
from rich.console import Console

from expectations.words import DIVERGENCES
from pipeline.alerts import (
    acknowledge,
    decide,
    list_alerts,
    list_unsent,
    retry_failed,
    rules,
    send,
    show,
    silence,
    try_channels,
)
from pipeline.alerts.message import split_text, write_digest
from pipeline.alerts.records import Subject, Transition
from pipeline.alerts.state import AlertState
from pipeline.company import Company, load_company
from pipeline.errors import ConfigurationError, WarehouseError
from pipeline.landing import day_end, day_start
from pipeline.terminal import print_alert

KEY = "0b8e6f5c-1111-2222-3333-444455556666"
FIRST = date(2026, 10, 1)
LAST = date(2026, 10, 20)  # the newest entry day of the usual world
CASES_A_DAY = 60
TABLES = ("tracking_events", "pay_bill", "erp_orders", "erp_receipts", "erp_shipments", "messages")
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Fault:
    """The first `a_day` cases of each entry day in `first..last` diverge."""

    first: date = date(2026, 10, 10)
    last: date = LAST
    a_day: int = 4
    leg: str = "booked"
    divergence: str = "paid_not_booked"
    amount_fen: int | None = 30_000
    is_healed: bool = False


@dataclass
class World:
    """A data folder with a published file of one line, and a company that has one robot."""

    folder: Path
    data: Path
    company: Company
    posted: list[str] = field(default_factory=list)
    clock: "FakeClock" = field(default_factory=lambda: FakeClock())

    @property
    def state(self) -> Path:
        return self.data / "alerts.sqlite"

    def publish(
        self,
        *faults: Fault,
        last: date = LAST,
        pending_from: date | None = None,
        behind: dict[str, date | None] | None = None,
        a_day: int = CASES_A_DAY,
    ) -> None:
        """Write the published file as it stands when `last` is the newest complete day."""
        until = {table: day_end(last) for table in TABLES}
        until |= {t: day and day_end(day) for t, day in (behind or {}).items()}
        known = [instant for instant in until.values() if instant]
        as_of = min(known) if len(known) == len(until) else None
        cases, legs, divergences = [], [], []
        for day in _days(FIRST, last):
            for number in range(a_day):
                case = _case(day, number)
                found = {
                    fault.leg: fault
                    for fault in faults
                    if fault.first <= day <= fault.last and number < fault.a_day
                }
                cases.append(case)
                for rank, leg in enumerate(("submitted", "paid", "booked", "notified"), start=1):
                    fault = found.get(leg)
                    is_pending = leg == "booked" and pending_from and day >= pending_from
                    is_open = fault is not None and not fault.is_healed
                    truth = "pending" if is_pending else "refuted" if is_open else "verified"
                    legs.append(
                        {
                            "case_id": case["case_id"],
                            "business_line": "retail",
                            "leg": leg,
                            "leg_rank": rank,
                            "truth": truth,
                            "divergence": fault.divergence if fault and is_open else "none",
                        }
                    )
                    if fault and not is_pending:
                        divergences.append(_divergence(case, fault, day_end(last)))
        marks = [
            {"table_name": t, "is_connected": True, "complete_until": u, "as_of": as_of}
            for t, u in until.items()
        ]
        _write_marts(self.data, cases, legs, divergences, marks)

    def decide(self) -> list[str]:
        """Decide, and return the kinds of the new transitions."""
        decision = decide(self.data / "bihuan.duckdb", self.state, self.company.alerts.channels)
        return [transition.kind for transition in decision.transitions]

    def send(self, *answers: dict[str, Any] | BaseException) -> Any:
        """Send through a robot that gives `answers` in turn, then `ok`; clock and sleep agree."""
        with httpx.Client(transport=httpx.MockTransport(self._answer(list(answers)))) as client:
            return send(
                self.state,
                self.company,
                client=client,
                clock=self.clock.now,
                sleep=self.clock.sleep,
            )

    def _answer(
        self, answers: list[dict[str, Any] | BaseException]
    ) -> Callable[[httpx.Request], httpx.Response]:
        def answer(request: httpx.Request) -> httpx.Response:
            given = answers.pop(0) if answers else {"errcode": 0, "errmsg": "ok"}
            if isinstance(given, BaseException):
                raise given
            if given["errcode"] == 0:
                self.posted.append(json.loads(request.content)["markdown"]["content"])
            return httpx.Response(200, json=given)

        return answer


class FakeClock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 1, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return _make_world(tmp_path)


def _make_world(folder: Path, base_url: str = "http://127.0.0.1:9", key: str = KEY) -> World:
    (folder / "company.yml").write_text(
        "name: 测试公司\nfirst_day: 2026-10-01\nalerts:\n  channels:\n    - name: operators\n"
        f"      transport: wecom\n      base_url: {base_url}\n      key_env: WECOM_ROBOT_KEY\n",
        encoding="utf-8",
    )
    (folder / "sources.yml").write_text("connections: {}\ntables: {}\n", encoding="utf-8")
    data = folder / "data"
    data.mkdir(exist_ok=True)
    environment = {"WECOM_ROBOT_KEY": key} if key else {}
    return World(folder, data, load_company(folder, data=data, environment=environment))


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _case(day: date, number: int) -> dict[str, Any]:
    case_id = f"order:{day:%Y%m%d}{number:06d}"
    return {"case_id": case_id, "business_day": day, "is_abandoned": False}


def _divergence(case: dict[str, Any], fault: Fault, as_of: datetime) -> dict[str, Any]:
    return {
        "case_id": case["case_id"],
        "business_line": "retail",
        "leg": fault.leg,
        "divergence": fault.divergence,
        "claim_at": day_start(case["business_day"]) + timedelta(hours=9),
        "evidence_at": None,
        "amount_at_stake_fen": fault.amount_fen,
        "owner": "erp_interface",
        "healed_at": as_of if fault.is_healed else None,
    }


COLUMNS = {
    "fct_cases": "case_id varchar, business_day date, is_abandoned boolean",
    "fct_case_legs": "case_id varchar, business_line varchar, leg varchar, leg_rank integer,"
    " truth varchar, divergence varchar",
    "fct_divergences": "case_id varchar, business_line varchar, leg varchar, divergence varchar,"
    " claim_at timestamptz, evidence_at timestamptz, amount_at_stake_fen bigint, owner varchar,"
    " healed_at timestamptz",
    "source_watermarks": "table_name varchar, is_connected boolean, complete_until timestamptz,"
    " as_of timestamptz",
}


def _write_marts(data: Path, *rows: Sequence[dict[str, Any]]) -> None:
    path = data / "bihuan.duckdb"
    path.unlink(missing_ok=True)
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create schema marts")
        for (table, columns), records in zip(COLUMNS.items(), rows, strict=True):
            connection.execute(f"create table marts.{table} ({columns})")
            if records:
                frame = pa.Table.from_pylist(list(records))
                connection.register("frame", frame)
                connection.execute(f"insert into marts.{table} by name from frame")
                connection.unregister("frame")


# When an alert opens


def test_a_class_above_its_threshold_three_days_running_opens_one_alert(world: World) -> None:
    world.publish(Fault())
    assert world.decide() == ["opened"]
    (alert,) = list_alerts(world.state)
    assert alert.subject == Subject("divergence_share", "retail", "booked", "paid_not_booked")
    assert (alert.state, alert.severity, alert.owner) == ("open", "critical", "erp_interface")
    assert (alert.facts["found_count"], alert.facts["judged_count"]) == (28, 420)
    assert alert.facts["since_day"] == "2026-10-10"


def test_two_bad_days_are_not_enough(world: World) -> None:
    world.publish(Fault(first=LAST - timedelta(days=1), a_day=10))
    assert world.decide() == []
    world.publish(Fault(first=LAST - timedelta(days=2), a_day=10))
    assert world.decide() == ["opened"]


def test_a_share_whose_lower_bound_is_under_the_threshold_stays_quiet(world: World) -> None:
    # 7 of 420 is 1.7 %, thrice the threshold of 0.5 %; 7 of 4,200 is below it.
    world.publish(Fault(a_day=1), a_day=600)
    assert world.decide() == []
    world.publish(Fault(a_day=1), a_day=60)
    assert world.decide() == ["opened"]


def test_little_money_stays_quiet(world: World) -> None:
    world.publish(Fault(amount_fen=100))
    assert world.decide() == []


def test_two_cases_are_their_owners_matter_and_nobodys_alarm(world: World) -> None:
    world.publish(Fault(first=LAST - timedelta(days=3), last=LAST - timedelta(days=3), a_day=2,
                        amount_fen=900_000), a_day=5)  # fmt: skip
    assert world.decide() == []
    world.publish(Fault(first=LAST - timedelta(days=3), last=LAST - timedelta(days=3), a_day=3,
                        amount_fen=900_000), a_day=5)  # fmt: skip
    assert world.decide() == ["opened"]


def test_a_class_that_carries_no_money_needs_none(world: World) -> None:
    world.publish(Fault(leg="notified", divergence="not_notified", amount_fen=None, a_day=10))
    assert world.decide() == ["opened"]
    world.send()
    assert "此类不计金额" in world.posted[0]


def test_days_that_wait_for_their_verdict_are_not_judged(world: World) -> None:
    world.publish(Fault(first=date(2026, 10, 17), a_day=10), pending_from=date(2026, 10, 19))
    assert world.decide() == []  # two judged bad days; the others are pending
    world.publish(Fault(first=date(2026, 10, 17), a_day=10))
    assert world.decide() == ["opened"]


def test_a_company_without_divergences_hears_nothing(world: World) -> None:
    world.publish()
    assert world.decide() == []
    assert world.send().messages_count == 0


def test_no_published_file_is_an_error_that_says_what_to_do(world: World) -> None:
    with pytest.raises(WarehouseError, match="bihuan build"):
        world.decide()


# When it ends


def test_cases_that_healed_resolve_an_alert(world: World) -> None:
    world.publish(Fault())
    world.decide()
    world.publish(Fault(is_healed=True), last=LAST + timedelta(days=1))
    assert world.decide() == ["resolved"]
    world.send()
    assert "恢复" in world.posted[-1]
    assert "全部愈合" in world.posted[-1]


def test_good_cases_after_the_last_bad_day_resolve_an_alert_once_they_are_enough(
    world: World,
) -> None:
    world.publish(Fault())
    assert world.decide() == ["opened"]
    steps = {}
    for n in (5, 19, 20):
        world.publish(Fault(), last=LAST + timedelta(days=n))
        steps[n] = world.decide()
    # The window is bad until day 5. Zero of n has its upper bound below 0.5 % from n = 765 on: 13
    # days of 60 cases, and then three days running.
    assert steps == {5: ["escalated"], 19: [], 20: ["resolved"]}


def test_time_alone_never_resolves(world: World) -> None:
    world.publish(Fault())
    world.decide()
    cut = date(2026, 10, 20)
    for n in (30, 60):
        world.publish(Fault(last=cut), last=cut)  # no case has come in since
        with closing(duckdb.connect(str(world.data / "bihuan.duckdb"))) as connection:
            connection.execute(
                "update marts.source_watermarks set as_of = ?, complete_until = ?",
                [day_end(cut + timedelta(days=n))] * 2,
            )
        assert "resolved" not in world.decide()
    assert list_alerts(world.state)


def test_what_comes_back_is_a_new_episode(world: World) -> None:
    world.publish(Fault())
    world.decide()
    world.publish(Fault(is_healed=True), last=LAST + timedelta(days=1))
    world.decide()
    world.publish(Fault(last=LAST + timedelta(days=2)), last=LAST + timedelta(days=2))
    assert world.decide() == ["reopened"]
    (alert,) = list_alerts(world.state)
    assert alert.episode == 2


def test_a_share_that_grows_beyond_what_was_told_is_told_again(world: World) -> None:
    world.publish(Fault())
    world.decide()
    day = LAST + timedelta(days=1)
    world.publish(Fault(last=day), last=day)
    assert world.decide() == []
    world.publish(Fault(last=day, a_day=20), last=day + timedelta(days=1))
    assert world.decide() == ["worsened"]


# Sources


def test_a_late_source_is_one_alert_and_mutes_the_legs_that_read_it(world: World) -> None:
    late = {"erp_orders": LAST - timedelta(days=2)}
    world.publish(Fault(), behind=late)
    decision = decide(world.data / "bihuan.duckdb", world.state, world.company.alerts.channels)
    (transition,) = decision.transitions
    assert transition.subject == Subject("source_not_ready", source_table="erp_orders")
    assert decision.muted_legs == ("submitted", "paid", "booked", "fulfilled")
    evaluations = show(world.state, transition.fingerprint).evaluations
    assert [evaluation.value for evaluation in evaluations] == [48.0]
    world.send()
    assert "落后 48 小时" in world.posted[0]

    world.publish(Fault(), last=LAST + timedelta(days=1))
    assert sorted(world.decide()) == ["opened", "resolved"]


def test_a_late_source_leaves_an_open_alert_as_it_is(world: World) -> None:
    world.publish(Fault())
    world.decide()
    day = LAST + timedelta(days=2)
    world.publish(Fault(is_healed=True), last=day, behind={"erp_orders": LAST})
    assert world.decide() == ["opened"]  # the source; what seems healed may be merely unread
    assert [alert.state for alert in list_alerts(world.state)] == ["open", "open"]


def test_a_source_a_few_hours_behind_is_ready() -> None:
    newest = day_end(LAST)
    within = {"pay_bill": newest, "erp_orders": newest - timedelta(hours=23)}
    assert rules.find_unready(within) == {}
    beyond = {"pay_bill": newest, "erp_orders": newest - timedelta(hours=24)}
    assert list(rules.find_unready(beyond)) == ["erp_orders"]


def test_a_connected_source_that_never_delivered_is_told(world: World) -> None:
    world.publish(Fault(), behind={"messages": None})
    assert world.decide() == ["opened"]
    world.send()
    assert "尚未交付任何数据" in world.posted[0]


# Once, and only once


def test_the_same_file_judged_again_sends_nothing(world: World) -> None:
    world.publish(Fault())
    assert world.decide() == ["opened"]
    assert world.send().messages_count == 1
    assert world.decide() == []
    assert world.send().messages_count == 0


def test_an_older_file_is_judged_and_written_down_as_suppressed(world: World) -> None:
    world.publish(last=LAST + timedelta(days=5))
    world.decide()
    world.publish(Fault())
    decision = decide(world.data / "bihuan.duckdb", world.state, world.company.alerts.channels)
    assert decision.is_suppressed
    assert decision.transitions == ()
    assert list_alerts(world.state) == []
    with closing(sqlite3.connect(world.state)) as state:
        kept = state.execute("select distinct verdict, is_suppressed from alert_evaluations")
        assert kept.fetchall() == [("bad", 1)]


def test_killed_between_deciding_and_sending_the_next_run_sends(world: World) -> None:
    world.publish(Fault())
    code = (
        "import os, sys; from pathlib import Path; from types import SimpleNamespace as N;"
        "from pipeline.alerts import decide; data = Path(sys.argv[1]);"
        "decide(data / 'bihuan.duckdb', data / 'alerts.sqlite', [N(name='operators')]);"
        "os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(world.data)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert world.decide() == []
    assert world.send().sent_count == 1
    assert world.send().sent_count == 0


def test_killed_in_the_middle_of_deciding_nothing_is_decided(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(Fault())
    killed = "decision.AlertState.note_decision"  # the last thing written before the commit
    with monkeypatch.context() as patch:
        patch.setattr(f"pipeline.alerts.{killed}", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            world.decide()
    assert list_alerts(world.state) == []
    assert world.decide() == ["opened"]


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_killed_while_the_robot_answers_the_message_goes_out_again(world: World) -> None:
    world.publish(Fault())
    world.decide()
    with pytest.raises(KeyboardInterrupt):
        world.send(KeyboardInterrupt())
    (left,) = list_unsent(world.state)
    assert left.attempts == 1  # the attempt was counted before it was made
    assert world.send().sent_count == 1


def test_two_processes_do_not_send_at_once(world: World) -> None:
    world.publish(Fault())
    world.decide()
    inner: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        inner.append(world.send())
        return httpx.Response(200, json={"errcode": 0})

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        assert send(world.state, world.company, client=client).sent_count == 1
    assert inner[0].sent_count == 0
    assert "another process" in inner[0].errors[0]


def test_transitions_can_only_be_appended(world: World) -> None:
    world.publish(Fault())
    world.decide()
    with closing(sqlite3.connect(world.state)) as state:
        for change in ("update alert_transitions set note = 'x'", "delete from alert_transitions"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                state.execute(change)


# The robot


def test_a_robot_over_its_rate_is_given_a_minute(world: World) -> None:
    world.publish(Fault())
    world.decide()
    sent = world.send({"errcode": 45009, "errmsg": "api freq out of limit"})
    assert sent.sent_count == 1
    assert world.clock.slept == [60.0]


def test_a_robot_that_stays_over_its_rate_is_left_to_the_next_run(world: World) -> None:
    world.publish(Fault())
    world.decide()
    sent = world.send(*[{"errcode": 45009, "errmsg": "api freq out of limit"}] * 9)
    assert (sent.sent_count, sent.pending_count, sent.failed_count) == (0, 1, 0)
    (left,) = list_unsent(world.state)
    assert left.next_try_at == world.clock.now() + timedelta(seconds=60)
    world.clock.sleep(61)
    assert world.send().sent_count == 1


def test_a_bad_key_fails_for_good_and_is_never_shown(world: World) -> None:
    world.publish(Fault())
    world.decide()
    sent = world.send({"errcode": 93000, "errmsg": f"invalid webhook url, key={KEY}"})
    assert (sent.sent_count, sent.pending_count, sent.failed_count) == (0, 0, 1)
    assert "93000" in sent.errors[0]
    assert world.send().messages_count == 0  # not tried again by itself
    (left,) = list_unsent(world.state)
    assert KEY not in str(left) + str(sent)
    assert KEY.encode() not in world.state.read_bytes()
    assert retry_failed(world.state) == 1
    assert world.send().sent_count == 1


def test_an_unknown_refusal_is_tried_again_and_given_up_in_the_end(world: World) -> None:
    world.publish(Fault())
    world.decide()
    attempts = []
    while list_unsent(world.state)[0].status == "pending":
        world.send(*[{"errcode": 40058, "errmsg": "bad parameter"}] * 99)
        attempts.append(list_unsent(world.state)[0].attempts)
    assert attempts == list(range(3, 31, 3))
    assert "40058" in str(list_unsent(world.state)[0].last_error)


def test_a_channel_whose_key_is_not_set_keeps_its_messages(tmp_path: Path) -> None:
    world = _make_world(tmp_path, key="")
    world.publish(Fault())
    world.decide()
    sent = world.send()
    assert (sent.pending_count, world.posted) == (1, [])
    assert "WECOM_ROBOT_KEY is not set" in sent.errors[0]
    assert "WECOM_ROBOT_KEY" in try_channels(world.company)["operators"]
    assert _make_world(tmp_path).send().sent_count == 1


def test_a_robot_out_of_reach_keeps_its_messages_and_the_key_to_itself(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.publish(Fault())
    world.decide()
    with caplog.at_level(logging.DEBUG):
        sent = world.send(*[httpx.ConnectError(f"no route to host?key={KEY}")] * 99)
    assert sent.pending_count == 1
    assert "ConnectError" in sent.errors[0]
    assert sum(world.clock.slept) < 10  # a build does not hang on a chat
    assert KEY not in str(sent) + str(list_unsent(world.state)) + caplog.text


@contextmanager
def _robot() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A robot on a loopback port, and what arrived there."""
    arrived: list[dict[str, Any]] = []

    class Robot(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            arrived.append({"path": self.path, **body})
            answer = json.dumps({"errcode": 0, "errmsg": "ok"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Robot)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", arrived
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_robot_on_the_wire_gets_markdown_under_its_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with _robot() as (base_url, arrived), caplog.at_level(logging.DEBUG):
        world = _make_world(tmp_path, base_url)
        world.publish(Fault())
        world.decide()
        assert send(world.state, world.company).errors == ()
        assert try_channels(world.company) == {"operators": "ok"}
    first, test = arrived
    assert first["path"] == f"/cgi-bin/webhook/send?key={KEY}"
    assert first["msgtype"] == "markdown"
    assert "paid_not_booked" in first["markdown"]["content"]
    assert "测试消息" in test["markdown"]["content"]
    assert "HTTP Request: POST" in caplog.text
    assert KEY not in caplog.text


# The message


def test_a_message_tells_what_how_many_how_much_since_when_and_who(world: World) -> None:
    world.publish(Fault())
    world.decide()
    world.send()
    (text,) = world.posted
    for told in (
        "测试公司", "新开 1", "数据截至 2026-10-21 00:00", "retail / booked / paid_not_booked",
        "**28** 单不一致，占已判 420 单的 6.7%", "阈值 0.5%", "未愈 44 单，涉及金额 **¥13,200.00**",
        "最早 2026-10-10 进入", "¥300.00", "erp_interface",
        "docs/runbooks/divergences.md#paid_not_booked", "编号",
    ):  # fmt: skip
        assert told in text
    assert text.count("¥300.00") == 3
    assert "20261010000000" not in text  # keys are masked


def test_a_digest_fits_the_robot_and_tells_everything_once(world: World) -> None:
    world.publish(Fault())
    world.decide()
    (alert,) = list_alerts(world.state)
    transitions = [
        Transition(
            fingerprint=f"{n:012d}",
            subject=Subject("divergence_share", f"线路{n}", "booked", "paid_not_booked"),
            severity="critical",
            as_of=alert.opened_at,
            kind="opened",
            episode=1,
            from_state=None,
            to_state="open",
            facts=alert.facts,
        )
        for n in range(25)
    ]
    parts = write_digest("测试公司", transitions, limit_bytes=4096)
    assert len(parts) < 8
    assert all(len(part.text.encode()) <= 4096 for part in parts)
    told = [transition_id for part in parts for transition_id in part.transition_ids]
    assert sorted(told) == sorted(transition.transition_id for transition in transitions)
    for part in parts:
        assert part.text.count("编号：") == len(part.transition_ids)


def test_a_digest_cut_off_half_way_goes_on_where_it_stopped(world: World) -> None:
    world.publish(
        *(
            Fault(leg=leg, divergence=divergence, a_day=12)
            for leg, divergence in (
                ("submitted", "surface_only"), ("paid", "booked_not_paid"),
                ("booked", "paid_not_booked"), ("notified", "not_notified"),
            )
        )
    )  # fmt: skip
    assert len(world.decide()) == 4
    with AlertState(world.state) as store, store.transaction():
        # Sixteen more of the same, so that one message cannot hold them.
        for row in store.outbox("pending"):
            for n in range(4):
                copy = Transition(
                    **{**vars(row.transition), "fingerprint": f"{row.transition.fingerprint}{n}"}
                )
                store.append(copy, ["operators"])
    busy = {"errcode": 45009, "errmsg": "api freq out of limit"}
    sent = world.send({"errcode": 0}, *[busy] * 9)
    assert 0 < sent.sent_count < 20
    world.clock.sleep(61)
    assert world.send().sent_count == 20 - sent.sent_count
    assert sum(text.count("编号：") for text in world.posted) == 20


@pytest.mark.parametrize("text", ["单" * 4000, "a单" * 3000, "行\n" * 3000, "x" * 4096, ""])
def test_text_is_split_between_characters_within_the_bytes(text: str) -> None:
    pieces = split_text(text, 4096)
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= 4096 for piece in pieces)
    assert len(pieces) <= len(text.encode()) // 2048 + 1


def test_names_from_the_data_cannot_call_everybody(world: World) -> None:
    world.publish(Fault())
    with closing(duckdb.connect(str(world.data / "bihuan.duckdb"))) as connection:
        for table in ("fct_case_legs", "fct_divergences"):
            connection.execute(f"update marts.{table} set business_line = '<@all>\n# x'")
    world.decide()
    world.send()
    assert "<@all>" not in world.posted[0]
    assert "@all x / booked" in " ".join(world.posted[0].split())


# What the operator says


def test_an_alert_nobody_acknowledges_is_told_once_more(world: World) -> None:
    world.publish(Fault())
    world.decide()
    steps = []
    for n in (2, 3, 4):
        day = LAST + timedelta(days=n)
        world.publish(Fault(last=day), last=day)
        steps.append(world.decide())
    assert steps == [[], ["escalated"], []]


def test_an_acknowledged_alert_is_not_told_again(world: World) -> None:
    world.publish(Fault())
    world.decide()
    (alert,) = list_alerts(world.state)
    assert acknowledge(world.state, alert.fingerprint[:6], "值班").state == "acknowledged"
    for n in (1, 4):
        day = LAST + timedelta(days=n)
        world.publish(Fault(last=day), last=day)
        assert world.decide() == []
    story = show(world.state, alert.fingerprint)
    assert [step.kind for step in story.transitions] == ["opened", "acknowledged"]


def test_a_silenced_alert_is_quiet_until_its_day_and_then_told(world: World) -> None:
    world.publish(Fault())
    world.decide()
    (alert,) = list_alerts(world.state)
    silence(world.state, alert.fingerprint, "接口升级", date(2026, 10, 24))
    steps = {}
    for n in range(1, 5):
        day = LAST + timedelta(days=n)
        world.publish(Fault(last=day, a_day=min(4 + 5 * n, 19)), last=day)
        steps[day] = world.decide()
    assert [day for day, kinds in steps.items() if kinds] == [date(2026, 10, 23)]
    assert steps[date(2026, 10, 23)] == ["silence_ended"]


def test_a_silence_needs_a_reason_an_end_and_an_alert(world: World) -> None:
    world.publish(Fault())
    world.decide()
    (alert,) = list_alerts(world.state)
    with pytest.raises(ConfigurationError, match="reason"):
        silence(world.state, alert.fingerprint, " ", date(2026, 11, 1))
    with pytest.raises(ConfigurationError, match="allowed: a day that begins after"):
        silence(world.state, alert.fingerprint, "x", LAST)
    with pytest.raises(ConfigurationError, match=f"allowed: one of {alert.fingerprint}"):
        silence(world.state, "ffff00000000", "x", date(2026, 11, 1))


def test_asking_before_the_first_run_finds_nothing(world: World) -> None:
    assert list_alerts(world.state) == []
    assert list_unsent(world.state) == []
    assert not world.state.exists()


def test_showing_an_alert_gives_its_days_and_its_cases_by_full_key(world: World) -> None:
    world.publish(Fault())
    world.decide()
    (alert,) = list_alerts(world.state)
    console = Console(width=200, record=True, file=io.StringIO())
    print_alert(console, show(world.state, alert.fingerprint))
    shown = console.export_text()
    assert "2026-10-20  bad: 28 of 420, 0.06667 against 0.005" in shown
    assert "bihuan explain order:20261010000000" in shown


# The runbook


def test_every_class_has_its_runbook_section() -> None:
    text = (ROOT / "docs/runbooks/divergences.md").read_text(encoding="utf-8")
    sections = {line[3:].strip() for line in text.splitlines() if line.startswith("## ")}
    assert {*DIVERGENCES, "source_not_ready"} <= sections
    assert set(rules.THRESHOLDS) <= sections
