"""Stored callbacks as landed rows: words, lists, repetitions, days, and what does not fit."""

import json
import os
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.company import Company, load_company
from pipeline.conform import Rejected
from pipeline.errors import ConfigurationError, NotReadyError, PermanentSourceError
from pipeline.landed import TABLES
from pipeline.landing import Batch, Landing, day_end, day_start
from pipeline.sources.wechat.callbacks import Callbacks
from pipeline.sources.wechat.callbacks.body import UnreadableBodyError, read_bodies
from pipeline.sources.wechat.callbacks.journal import Journal

SAMPLES = Path(__file__).parent / "samples" / "wechat" / "callbacks"
BODIES = sorted(path for path in SAMPLES.iterdir() if path.suffix in (".xml", ".json"))
DAY = date(2026, 10, 3)
CREATED = 1791000000  # 2026-10-03T08:00:00+08:00 and some hours
CAME = datetime.fromtimestamp(CREATED, UTC) + timedelta(seconds=2)
LATER = datetime(2026, 10, 20, tzinfo=UTC)
OPENID = "oia2TjuEGTNoeX76QEjQNrcURxG8"

SOURCES = """
connections:
  account: {folder: stored, app_id: wx5a1e0000000002}
tables:
  message_results: {connector: wechat_callbacks, connection: account}
  callback_events: {connector: wechat_callbacks, connection: account}
  messages: {connector: wechat_callbacks, connection: account}
"""


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return write_company(tmp_path)


def write_company(folder: Path, *, first_day: str = "2026-10-01") -> Company:
    (folder / "company.yml").write_text(f"name: Small company\nfirst_day: {first_day}\n")
    (folder / "sources.yml").write_text(SOURCES)
    (folder / "stored").mkdir()
    return load_company(folder, environment={})


def source(company: Company, table: str, now: datetime = LATER) -> Callbacks:
    settings = company.sources.tables[table]
    connection = company.sources.connections["account"]
    return Callbacks(TABLES[table], settings, connection, company, now=lambda: now)


def stored(company: Company) -> Path:
    folder = company.sources.connections["account"].folder
    assert folder is not None
    return folder


def store(company: Company, *bodies: object, came: datetime = CAME) -> None:
    journal = Journal(stored(company), now=lambda: came)
    for body in bodies:
        journal.append(body if isinstance(body, str) else json.dumps(body), app_id="wx1")


def land(company: Company, table: str, day: date = DAY) -> tuple[list[dict[str, Any]], Batch]:
    landing = Landing(company.folder / "landing", hash_key=b"k" * 16)
    (extract,) = source(company, table).extract([day])
    batch = landing.land(TABLES[table], extract, connector="wechat_callbacks")
    rows: list[dict[str, Any]] = pq.read_table(batch.path).to_pylist()
    return rows, batch


def rejected(company: Company, batch: Batch) -> list[Rejected]:
    return Landing(company.folder / "landing", hash_key=b"k" * 16).rejected(batch)


def event(name: str, **fields: object) -> dict[str, Any]:
    return {
        "ToUserName": "gh_7f083739789a", "FromUserName": OPENID, "CreateTime": CREATED,
        "MsgType": "event", "Event": name, **fields,
    }  # fmt: skip


def result(status: str, number: int = 200163836, **fields: object) -> dict[str, Any]:
    return event("TEMPLATESENDJOBFINISH", MsgID=number, Status=status, **fields)


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("success", "success"),
        ("failed:user block", "user_block"),
        ("failed: user block", "user_block"),
        ("failed: system failed", "system_failed"),
        ("Failed:System Failed", "system_failed"),
        ("failed:freq limit", "freq_limit"),
    ],
)
def test_a_template_messages_status_is_read_with_any_spaces_and_case(
    company: Company, told: str, status: str
) -> None:
    store(company, result(told))
    ((row,), batch) = land(company, "message_results")
    assert (row["message_id"], row["kind"], row["status"]) == ("200163836", "template", status)
    assert (row["openid"], row["app_id"]) == (OPENID, "wx1")
    assert row["status_at"] == datetime.fromtimestamp(CREATED, UTC)
    assert batch.quarantined == 0


@pytest.mark.parametrize(
    ("told", "status", "reason"),
    [
        ("send success", "success", None),
        ("send fail", "system_failed", None),
        ("err(30003)", "not_sent", "err(30003): judged a reprint, and the sender chose not to"),
        ("err(20431)", "not_sent", "err(20431): a code that WeChat does not explain"),
    ],
)
def test_a_mass_sending_has_counts_and_no_recipient(
    company: Company, told: str, status: str, reason: str | None
) -> None:
    counts = {"TotalCount": "296", "FilterCount": "295", "SentCount": "295", "ErrorCount": "0"}
    store(company, event("MASSSENDJOBFINISH", MsgID="1000001625", Status=told, **counts))
    ((row,), _) = land(company, "message_results")
    assert (row["kind"], row["status"], row["openid"]) == ("mass", status, None)
    assert (row["total_count"], row["filter_count"], row["error_count"]) == (296, 295, 0)
    assert row["reason"] == reason or row["reason"].startswith(reason)


@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (0, "success", None),
        ("0", "success", None),
        (43101, "not_sent", "43101 'user refuse'"),
        ("-1", "system_failed", "-1 'user refuse'"),
        ("none", None, None),
        (20001, "system_failed", "20001 'user refuse'"),
    ],
)
def test_a_subscription_messages_result_is_an_object_or_a_list(
    company: Company, as_list: bool, code: object, status: str | None, reason: str | None
) -> None:
    entry = {"TemplateId": "T1", "MsgID": "18643", "ErrorCode": code, "ErrorStatus": "user refuse"}
    store(company, event("subscribe_msg_sent_event", List=[entry] if as_list else entry))
    rows, batch = land(company, "message_results")
    if status is None:
        assert (rows, batch.quarantined) == ([], 1)
        return
    found = [(row["message_id"], row["template_id"], row["status"], row["reason"]) for row in rows]
    assert found == [("18643", "T1", status, reason)]


def test_messages_are_told_by_their_results_where_nothing_else_tells_them(
    company: Company,
) -> None:
    store(company, result("failed:user block"))
    ((row,), _) = land(company, "messages")
    assert (row["message_id"], row["kind"], row["status"]) == (
        "200163836",
        "template",
        "user_block",
    )
    assert (row["sent_at"], row["openid"]) == (None, OPENID)


def test_each_template_of_a_popup_is_an_answer_of_its_own(company: Company) -> None:
    entries = [
        {"TemplateId": "T1", "SubscribeStatusString": "accept", "PopupScene": "2"},
        {"TemplateId": "T2", "SubscribeStatusString": "reject", "PopupScene": 2},
        {"TemplateId": "T3", "SubscribeStatusString": "perhaps", "PopupScene": 2},
    ]
    store(company, event("subscribe_msg_popup_event", List=entries))
    withdrawn = {"TemplateId": "T1", "SubscribeStatusString": "reject"}
    store(company, event("subscribe_msg_change_event", List=withdrawn, CreateTime=CREATED + 1))
    rows, batch = land(company, "callback_events")
    assert sorted((row["template_id"], row["event"], row["popup_scene"]) for row in rows) == [
        ("T1", "subscription_accepted", "2"),
        ("T1", "subscription_withdrawn", None),
        ("T2", "subscription_rejected", "2"),
    ]
    (odd,) = rejected(company, batch)
    assert odd.reason == "SubscribeStatusString: found 'perhaps', allowed: accept, reject"


@pytest.mark.parametrize(
    ("body", "told", "key"),
    [
        (event("subscribe", EventKey="qrscene_7", Ticket="T"), "subscribe", "qrscene_7"),
        (event("unsubscribe", EventKey=""), "unsubscribe", None),
        (event("SCAN", EventKey="7"), "scan", "7"),
        (event("CLICK", EventKey="menu_orders"), "click", "menu_orders"),
        (event("scancode_push", EventKey="menu_scan"), "click", "menu_scan"),
        (event("pic_weixin", EventKey="menu_photo"), "click", "menu_photo"),
        (event("VIEW", EventKey="https://shop.test/a?b=c"), "view", "https://shop.test/a?b=c"),
        (event("view_miniprogram", EventKey="pages/a", MenuId="5"), "view_miniprogram", "pages/a"),
        (event("LOCATION", Latitude="23.1", Longitude="113.3"), "location", None),
        (event("trade_manage_remind_shipping", transaction_id="42"), "shipping_reminded", "42"),
        (event("trade_manage_remind_access_api", msg="x"), "access_reminded", None),
        (event("wxa_trade_controlled", msg="x"), "trade_controlled", None),
        (
            event("trade_manage_order_settlement", transaction_id="42", settlement_time=1),
            "order_settled",
            "42",
        ),
        (
            event(
                "trade_manage_order_settlement", transaction_id="42", estimated_settlement_time=1
            ),
            "settlement_estimated",
            "42",
        ),
        (
            event(
                "FREEPUBLISHJOBFINISH", PublishEventInfo={"publish_status": 0, "article_id": "a"}
            ),
            "published",
            "a",
        ),
        (
            event("FREEPUBLISHJOBFINISH", PublishEventInfo={"publish_status": 2, "publish_id": 9}),
            "publication_failed",
            "9",
        ),
    ],
)
def test_every_known_event_is_named(
    company: Company, body: dict[str, Any], told: str, key: str | None
) -> None:
    store(company, body)
    ((row,), batch) = land(company, "callback_events")
    assert (row["event"], row["event_key"], batch.quarantined) == (told, key, 0)
    assert row["occurred_at"] == datetime.fromtimestamp(CREATED, UTC)


def test_where_a_follower_stands_is_not_landed(company: Company) -> None:
    store(company, event("LOCATION", Latitude="23.137466", Longitude="113.352425"))
    rows, _ = land(company, "callback_events")
    assert "23.137" not in str(rows)


def test_an_unknown_event_is_set_aside_once_and_what_customers_write_is_left_alone(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    store(company, event("user_enter_tempsession", SessionFrom="13800000001"))
    store(company, event("", MsgType="text", Content="call me: 13800000001"))
    _, of_results = land(company, "message_results")
    rows, of_events = land(company, "callback_events")
    assert (rows, of_results.quarantined) == ([], 0)
    assert [row.reason for row in rejected(company, of_events)] == [
        "unknown event: user_enter_tempsession"
    ]
    assert "13800000001" not in str(rejected(company, of_events)) + caplog.text
    assert "1 messages of customers left alone" in caplog.text


def test_repetitions_count_once_and_contradictions_are_set_aside(company: Company) -> None:
    store(company, result("success"), event("CLICK", EventKey="a"))
    again = CAME + timedelta(seconds=5)
    store(company, result("success"), event("CLICK", EventKey="a"), came=again)
    store(company, result("failed:user block"), event("CLICK", EventKey="b"), came=again)
    for table, first in (("message_results", "success"), ("callback_events", "click")):
        ((row,), batch) = land(company, table)
        assert first in (row.get("status"), row.get("event"))
        (odd,) = rejected(company, batch)
        assert odd.reason.endswith(
            "came again with other content, after callbacks-2026-10-03.jsonl:"
            + ("1" if table == "message_results" else "2")
        )


def test_a_repetition_of_the_next_days_file_counts_once(company: Company) -> None:
    late = int(day_end(DAY).timestamp()) - 1
    store(company, result("success", CreateTime=late), came=day_end(DAY) - timedelta(seconds=1))
    store(company, result("success", CreateTime=late), came=day_end(DAY) + timedelta(seconds=4))
    assert len(land(company, "message_results")[0]) == 1
    assert sorted(path.name for path in stored(company).iterdir()) == [
        "callbacks-2026-10-03.jsonl",
        "callbacks-2026-10-04.jsonl",
    ]
    (following,) = source(company, "message_results").extract([DAY + timedelta(days=1)])
    assert following.rows.num_rows == 0


def test_bodies_out_of_order_fall_on_their_own_days(company: Company) -> None:
    early = int(day_start(DAY).timestamp())
    store(company, result("success", 2), result("success", 1, CreateTime=early - 1))
    store(company, result("success", 3, CreateTime=early))
    assert [row["message_id"] for row in land(company, "message_results")[0]] == ["2", "3"]
    before = land(company, "message_results", DAY - timedelta(days=1))[0]
    assert [row["message_id"] for row in before] == ["1"]


def test_a_day_is_complete_once_a_body_of_the_next_has_come(company: Company) -> None:
    store(company, result("success"))
    (half,) = source(company, "message_results").extract([DAY])
    assert half.complete_until == CAME
    store(company, event("CLICK"), came=day_end(DAY) + timedelta(hours=1))
    (whole,) = source(company, "message_results").extract([DAY])
    assert whole.complete_until == day_end(DAY)


def test_a_day_before_which_the_last_body_came_is_not_ready_and_no_zero(company: Company) -> None:
    with pytest.raises(NotReadyError, match="found no stored body"):
        list(source(company, "message_results").extract([DAY]))
    store(company, result("success"))
    callbacks = source(company, "message_results")
    assert callbacks.last_day() == DAY
    with pytest.raises(NotReadyError, match="the newest body came 2026-10-03"):
        list(callbacks.extract([DAY + timedelta(days=1)]))


def test_a_receipt_dated_into_the_future_completes_nothing(company: Company) -> None:
    store(company, result("success"), came=LATER + timedelta(days=400))
    assert source(company, "message_results").last_day() == LATER.date() + timedelta(days=0)


def test_bare_bodies_lie_one_per_file_or_one_per_line(company: Company) -> None:
    folder = stored(company)
    (folder / "2026-10-03.ndjson").write_text(
        "\n".join(json.dumps(result("success", number)) for number in (1, 2)) + "\n\n"
    )
    xml = f"<xml><FromUserName>{OPENID}</FromUserName><CreateTime>{CREATED}</CreateTime>"
    xml += "<MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event><MsgID>3</MsgID>"
    single = folder / "deep" / "one.xml"
    single.parent.mkdir()
    single.write_text(f"{xml}<Status>success</Status></xml>")
    os.utime(single, (CREATED + 9, CREATED + 9))
    (folder / "4.json").write_text(json.dumps([result("success", 4), result("success", 5)]))
    os.utime(folder / "4.json", (CREATED + 9, CREATED + 9))
    rows, batch = land(company, "message_results")
    assert [row["message_id"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert {row["app_id"] for row in rows} == {"wx5a1e0000000002"}
    assert batch.complete_until == day_end(DAY)


def test_a_body_far_from_the_day_of_its_file_is_set_aside_there(company: Company) -> None:
    store(company, result("success", CreateTime=CREATED - 3 * 86_400))
    rows, batch = land(company, "message_results")
    assert rows == []
    (odd,) = rejected(company, batch)
    assert odd.reason == "CreateTime: found 2026-09-30, allowed: about the file's 2026-10-03"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Status": "failed: who knows"}, "Status: found 'failed: who knows', allowed: success,"),
        ({"Status": None}, "Status: found nothing"),
        ({"MsgID": None}, "MsgID: found nothing, allowed: an identifier"),
        ({"MsgID": "12 34"}, "MsgID: found other signs"),
        ({"MsgID": True}, "MsgID: found nothing"),
        ({"FromUserName": ""}, "FromUserName: found nothing"),
        ({"CreateTime": "soon"}, "CreateTime: found 'soon', allowed: epoch seconds"),
        ({"CreateTime": CREATED * 1000}, "CreateTime: found '1791000000000', allowed: epoch"),
        (
            {"CreateTime": CREATED + 3600},
            f"CreateTime: found {CREATED + 3600}, allowed: no instant",
        ),
    ],
)
def test_a_result_that_does_not_fit_is_set_aside_with_its_reason(
    company: Company, changes: dict[str, object], reason: str
) -> None:
    store(company, result("success") | changes, result("success", 2))
    rows, batch = land(company, "message_results")
    assert [row["message_id"] for row in rows] == ["2"]
    (odd,) = rejected(company, batch)
    assert odd.reason.startswith(reason.replace("'failed: who knows'", "17 other signs"))
    assert odd.place == "callbacks-2026-10-03.jsonl:1"


DECLARED = '<!DOCTYPE xml [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
HOSTILE = {
    "an entity": f"{DECLARED}<xml><Event>&b;</Event></xml>",
    "an external entity": '<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml>&a;</xml>',
    "an external document type": '<!DOCTYPE xml SYSTEM "http://127.0.0.1:1/a.dtd"><xml>a</xml>',
    "deep XML": "<xml>" + "<a>" * 20_000 + "</a>" * 20_000 + "</xml>",
    "deep JSON": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "rather deep JSON": '{"a":' * 500 + "1" + "}" * 500,
    "an unknown encoding": '<?xml version="1.0" encoding="none"?><xml><a/></xml>',
    "half a character": '{"Event": "\\ud800"}',
    "a number without end": '{"CreateTime": ' + "9" * 5000 + "}",
    "another document": "<html><body/></html>",
    "a list of numbers": "[1, 2]",
    "nothing": " ",
    "too much": '{"a": "' + "a" * 300_000 + '"}',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_is_refused_and_nothing_of_it_is_told(body: str) -> None:
    with pytest.raises(UnreadableBodyError) as refused:
        read_bodies(body.encode())
    assert "passwd" not in str(refused.value)
    assert len(str(refused.value)) < 100


def test_a_hostile_body_is_set_aside_and_the_others_land(company: Company) -> None:
    store(company, HOSTILE["an entity"], result("success"))
    for table, count in (("message_results", 1), ("callback_events", 0)):
        rows, batch = land(company, table)
        assert (len(rows), batch.quarantined) == (count, 1)
        assert rejected(company, batch)[0].reason == ("found no well-formed XML (DTDForbidden)")


def test_only_days_beside_a_newer_file_may_have_changed(company: Company) -> None:
    store(company, result("success"))
    known = {date(2026, 10, day): "sha" for day in range(1, 8)}
    callbacks = source(company, "message_results", now=datetime.now(UTC) + timedelta(days=1))
    near = {date(2026, 10, day) for day in (2, 3, 4)}
    assert callbacks.changed_days(None, known) == near
    landed_at = datetime.now(UTC) + timedelta(seconds=5)
    assert callbacks.changed_days(landed_at, known) == set()
    assert callbacks.changed_days(landed_at - timedelta(hours=1), known) == near
    (stored(company) / "bare.xml").write_text("<xml/>")
    assert callbacks.changed_days(None, known) == set(known)


def test_the_probe_tells_what_the_newest_file_holds(company: Company) -> None:
    with pytest.raises(NotReadyError):
        source(company, "message_results").probe()
    store(company, result("success"), "<broken")
    told = source(company, "message_results").probe()
    assert told.startswith("1 files, the newest body of 2026-10-03")
    assert told.endswith("the newest file has 1 rows for message_results, 1 set aside")


def test_a_missing_folder_is_told(company: Company) -> None:
    stored(company).rmdir()
    with pytest.raises(PermanentSourceError, match="found no folder"):
        source(company, "message_results").last_day()


def test_a_table_that_callbacks_cannot_deliver_is_a_mistake(tmp_path: Path) -> None:
    write_company(tmp_path)
    text = (tmp_path / "sources.yml").read_text().replace("  messages:", "  erp_orders:")
    (tmp_path / "sources.yml").write_text(text)
    with pytest.raises(ConfigurationError, match="erp_orders"):
        load_company(tmp_path, environment={})


def test_every_public_sample_is_read(tmp_path: Path) -> None:
    company = write_company(tmp_path, first_day="1973-11-29")
    for path in BODIES:
        (stored(company) / path.name).write_bytes(path.read_bytes())
    told: dict[str, list[str]] = {}
    for table in ("message_results", "callback_events"):
        callbacks = source(company, table, now=datetime.now(UTC) + timedelta(days=1))
        days = [day for read in callbacks._undated for day, _ in (*read.rows, *read.rejected)]
        for extract in callbacks.extract(days):
            rows = extract.rows.to_pylist()
            told.setdefault(table, []).extend(row.get("kind") or row["event"] for row in rows)
            told.setdefault("rejected", []).extend(row.reason for row in extract.rejected)
    assert sorted(told["message_results"]) == ["mass", "subscribe", "subscribe", "template"]
    once = ["click", "location", "published", "scan", "subscribe", "subscription_rejected"]
    once += ["unsubscribe", "view", "view_miniprogram"]
    # The popup's object and list tell the same answer; changes are there as XML and as JSON.
    twice = ["subscription_accepted", "subscription_withdrawn"]
    assert sorted(told["callback_events"]) == sorted(once + 2 * twice)
    assert told["rejected"] == ["unknown event: user_authorization_revoke"]


def rows_of(company: Company, content: bytes) -> list[dict[str, Any]]:
    """What both tables make of a body; a crash would be the test's."""
    path = stored(company) / "body.xml"
    path.write_bytes(content)
    found: list[dict[str, Any]] = []
    is_lost = True
    for table in ("message_results", "callback_events"):
        callbacks = source(company, table)
        read = callbacks._read_file(callbacks._shelf.files()[0])
        is_lost = is_lost and not read.rows and not read.rejected
        for _, row in read.rows:
            found.append({name: str(value) for name, value in row.items()} | {"table": table})
            for column in TABLES[table].columns:
                assert not column.allowed or row[column.name] in column.allowed
                assert not column.is_required or row.get(column.name)
    assert not is_lost
    return found


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.name)
def test_a_body_cut_off_anywhere_is_refused_and_makes_no_row(tmp_path: Path, path: Path) -> None:
    company = write_company(tmp_path, first_day="1973-11-29")
    whole = path.read_bytes()
    expected = rows_of(company, whole)
    for length in range(len(whole)):
        found = rows_of(company, whole[:length])
        # Behind the last sign there is but white space to lose.
        assert found == (expected if length >= len(whole.rstrip()) else [])


def test_random_damage_is_refused_or_leaves_a_row_that_fits(tmp_path: Path) -> None:
    company = write_company(tmp_path, first_day="1973-11-29")
    chance = random.Random(20261125)
    for number in range(2500):
        content = bytearray(BODIES[number % len(BODIES)].read_bytes())
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(content))
            match chance.randrange(3):
                case 0:
                    content[place] = chance.randrange(256)
                case 1:
                    del content[place : place + chance.randint(1, 30)]
                case _:
                    content[place:place] = content[place : place + chance.randint(1, 30)]
            content = content or bytearray(b" ")
        rows_of(company, bytes(content))
