"""A reader of the simulated company's files that judges its bookings, tickets and registrations.

It knows nothing of the simulation but its files, and applies the rules of the loops one case at a
time, where the period is long over or has not begun.
"""

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from openpyxl import load_workbook

SHANGHAI = ZoneInfo("Asia/Shanghai")
SKEW = timedelta(seconds=120)
MINUTES_30, HOUR, DAY, WEEK = (timedelta(minutes=minutes) for minutes in (30, 60, 1440, 10080))
SUBMITS = {"submitBooking": "booking", "submitService": "aftersale", "register": "member"}
ACCEPTED = ("已确认", "已到店", "未到店")
CLOSED_APPOINTMENT = ("已到店", "未到店", "已取消")
CLOSED_TICKET = ("已解决", "已关闭")
INTERFACES = ("svc_booking_bridge", "svc_service_desk")

Finding = tuple[str, str]
Row = Mapping[str, str]


@dataclass
class Files:
    """What the systems of a simulated company hold of the three loops, by case."""

    end: datetime
    submits: dict[str, list[Row]]
    records: dict[str, list[Row]]
    messages: dict[str, list[Row]]
    contacts: dict[str, list[Row]]
    """The contacts of a person, by every identifier that leads to them."""


def read_files(company: Path, end: datetime) -> Files:
    systems = company / "systems"
    day = f"{(end - timedelta(hours=1)).astimezone(SHANGHAI):%Y%m%d}"
    events = [event for path in _files(systems / "events") for event in _events(path)]
    submits: dict[str, list[Row]] = defaultdict(list)
    for event in events:
        if event["name"] in SUBMITS:
            number = event.get("order_no") or event["unionid"]
            submits[f"{SUBMITS[event['name']]}:{number}"].append(event)
    records: dict[str, list[Row]] = defaultdict(list)
    for row in read_export(systems / "crm" / f"预约_{day}.csv"):
        records[f"booking:{row['线上预约号']}"].append(row)
    for row in read_sheet(systems / "crm" / f"工单_{day}.xlsx"):
        records[f"aftersale:{row['线上单号']}"].append(row)
    # Made in the shop or on the phone: no front end issued a number, so they are no case.
    walk_ins, calls = records.pop("booking:"), records.pop("aftersale:")
    assert walk_ins
    assert calls
    messages: dict[str, list[Row]] = defaultdict(list)
    for path in _files(systems / "messages"):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            messages[row["order_no"]].append(row)
    people = _people(
        events,
        read_export(systems / "crm" / f"会员_{day}.csv"),
        read_sheet(systems / "crm" / f"会员标识_{day}.xlsx"),
    )
    return Files(end, submits, records, messages, people)


def diagnose(files: Files) -> Iterator[tuple[str, set[Finding]]]:
    """Every case of the three loops that the files know, with what is wrong about it."""
    judges = {"booking": _booking, "aftersale": _ticket, "member": _registration}
    for case_id in sorted({*files.submits, *files.records}):
        loop, _, number = case_id.partition(":")
        yield case_id, set(judges[loop](files, case_id, number))


def _booking(files: Files, case_id: str, number: str) -> Iterator[Finding]:
    submits, records = files.submits[case_id], files.records[case_id]
    if not submits and all(row["状态"] not in ACCEPTED for row in records):
        return
    yield from _submitted(files, case_id, number, "confirmed")
    if submits:
        yield from _known(files, submits, "not_known")
    if not records:
        return
    yield from _kept(submits, records, "confirmed", "创建时间")
    first = min(records, key=lambda row: row["创建时间"])
    slot, updated = _instant(first["预约时间"]), _instant(first["更新时间"])
    if first["状态"] not in CLOSED_APPOINTMENT:
        if slot + DAY <= files.end:
            yield "served", "not_served"
    elif first["状态"] == "已到店" and updated < slot - SKEW:
        yield "served", "state_conflict"
    elif updated >= slot + DAY:
        yield "served", "late"
    if first["状态"] != "已取消":
        due = [row for row in files.messages[number] if row["node"] == "service_confirm"]
        yield from _notified(files, due, _instant(first["创建时间"]))


def _ticket(files: Files, case_id: str, number: str) -> Iterator[Finding]:
    submits, records = files.submits[case_id], files.records[case_id]
    if not submits and all(row["状态"] == "已关闭" for row in records):
        return
    yield from _submitted(files, case_id, number, "ticketed")
    if not records:
        return
    yield from _kept(submits, records, "ticketed", "受理时间")
    first = min(records, key=lambda row: row["受理时间"])
    opened = _instant(first["受理时间"])
    if first["状态"] not in CLOSED_TICKET:
        if opened + WEEK <= files.end:
            yield "resolved", "not_resolved"
        return
    if not first["完结时间"]:
        assert first["状态"] == "已关闭", "a resolved ticket says when"
        return
    closed = _instant(first["完结时间"])
    if closed < opened:
        yield "resolved", "state_conflict"
    elif closed - opened > 3 * DAY:
        yield "resolved", "late"
    if first["状态"] == "已解决":
        due = [
            row
            for row in files.messages[number]
            if _instant(row["send_time"] or row["plan_time"]) >= closed - SKEW
        ]
        yield from _notified(files, due, max(opened, closed))


def _registration(files: Files, case_id: str, number: str) -> Iterator[Finding]:
    yield from _known(files, files.submits[case_id], "surface_only", late_after=MINUTES_30)


def _submitted(files: Files, case_id: str, number: str, leg: str) -> Iterator[Finding]:
    submits, records = files.submits[case_id], files.records[case_id]
    if submits and not records and _submitted_at(submits) + DAY <= files.end:
        told = any(row["result"] == "success" for row in files.messages[number])
        yield (leg, f"not_{leg}") if told else ("submitted", "surface_only")
    if records and not submits:
        yield "submitted", "backend_only"


def _kept(
    submits: Sequence[Row], records: Sequence[Row], leg: str, column: str
) -> Iterator[Finding]:
    first = min(records, key=lambda row: row[column])
    if len(records) > 1:
        yield leg, "duplicate"
    elif first["创建方式"] in ("手工", "导入") or first["创建人"] not in INTERFACES:
        yield leg, "manual_rekey"
    elif submits and _instant(first[column]) - _submitted_at(submits) > MINUTES_30:
        yield leg, "late"


def _known(
    files: Files, submits: Sequence[Row], missing: str, *, late_after: timedelta = DAY
) -> Iterator[Finding]:
    at = _submitted_at(submits)
    reached = {
        row["会员编号"]: _instant(row["创建时间"])
        for kind, value in _identifiers(submits[0])
        for row in files.contacts.get(f"{kind}:{value}", [])
    }
    in_time = [created for created in reached.values() if created < at + DAY]
    if len(in_time) > 1:
        yield "known", "identity_conflict"
    elif not reached and at + DAY <= files.end:
        yield "known" if missing == "not_known" else "submitted", missing
    elif reached and min(reached.values()) - at > late_after:
        yield "known", "late"


def _notified(files: Files, due: Sequence[Row], anchor: datetime) -> Iterator[Finding]:
    sent = [_instant(row["send_time"]) for row in due if row["result"] == "success"]
    if sent:
        if min(sent) - anchor > HOUR:
            yield "notified", "late"
    elif anchor + DAY <= files.end:
        has_failed = any(str(row["result"]).startswith("failed") for row in due)
        yield "notified", "notify_failed" if has_failed else "not_notified"


def _submitted_at(submits: Sequence[Row]) -> datetime:
    return min(datetime.fromtimestamp(int(row["ts"]) // 1000, UTC) for row in submits)


def _instant(written: str) -> datetime:
    at = datetime.fromisoformat(written)
    return at if at.tzinfo else at.replace(tzinfo=SHANGHAI)


def _identifiers(event: Row) -> list[tuple[str, str]]:
    kinds = {"openid": "openid", "unionid": "unionid", "member": "member_no"}
    return [(kind, event[name]) for name, kind in kinds.items() if event.get(name)]


def _people(
    events: Sequence[Row], contacts: Sequence[Row], bindings: Sequence[Row]
) -> dict[str, list[Row]]:
    """The contacts that each identifier leads to, through whatever links there are."""
    links: dict[str, set[str]] = defaultdict(set)

    def link(names: Sequence[str]) -> None:
        for name in names[1:]:
            links[names[0]].add(name)
            links[name].add(names[0])

    for event in events:
        link([f"{kind}:{value}" for kind, value in _identifiers(event)])
    words = {"OpenID": "openid", "会员号": "member_no"}
    for row in bindings:
        link([f"{words[row['标识类型']]}:{row['标识']}", f"unionid:{row['绑定标识']}"])
    columns = {"UnionID": "unionid", "会员号": "member_no", "手机号": "phone", "客户编码": "code"}
    rows = {f"contact:{row['会员编号']}": row for row in contacts}
    for name, row in rows.items():
        link([name, *(f"{kind}:{row[c]}" for c, kind in columns.items() if row[c])])
    found: dict[str, list[Row]] = {}
    for start in links:
        if start in found:
            continue
        person, edge = {start}, [start]
        while edge:
            edge = [far for near in edge for far in links[near] if far not in person]
            person.update(edge)
        theirs = [rows[name] for name in person if name in rows]
        found |= dict.fromkeys(person, theirs)
    return found


def read_export(path: Path) -> list[Row]:
    with path.open(encoding="gbk", newline="") as file:
        return list(csv.DictReader(file))


def read_sheet(path: Path) -> list[Row]:
    """A workbook whose header stands under a title."""
    sheet = load_workbook(path, read_only=True).active
    assert sheet is not None
    _, header, *rows = sheet.iter_rows(values_only=True)
    return [
        {str(name): str(value or "") for name, value in zip(header, row, strict=True)}
        for row in rows
    ]


def _events(path: Path) -> list[Row]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())
