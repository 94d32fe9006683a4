"""The CRM of the simulated company: members and appointments as GBK text, bindings and tickets
as workbooks.

Exports hold everything known up to the end of the day in their name; an older export lies beside
the newest, as in any drop folder.
"""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path

from openpyxl import Workbook

from pipeline.landing import SHANGHAI, day_end
from pipeline.simulation.bookings import FITTING, Appointment, Booking
from pipeline.simulation.cases import RETAIL, Attempt
from pipeline.simulation.people import SERVICE_ACCOUNT_APP_ID, Double, Person
from pipeline.simulation.tickets import Ticket, TicketRecord
from pipeline.simulation.world import World

Row = tuple[str, ...]

CONTACT_HEADERS = (
    "会员编号", "会员号", "客户编码", "UnionID", "手机号", "来源", "创建时间", "更新时间",
    "创建人", "创建方式", "备注",
)  # fmt: skip
BINDING_HEADERS = ("标识类型", "标识", "绑定类型", "绑定标识", "绑定时间", "来源")
BINDING_TITLE = "会员标识绑定表"
APPOINTMENT_HEADERS = (
    "预约编号", "线上预约号", "会员编号", "业务", "状态", "预约时间", "创建时间", "更新时间",
    "创建人", "创建方式",
)  # fmt: skip
APPOINTMENT_STATES = {
    "requested": "待确认", "confirmed": "已确认", "attended": "已到店", "no_show": "未到店",
    "cancelled": "已取消",
}  # fmt: skip
TICKET_HEADERS = (
    "工单编号", "线上单号", "会员编号", "业务", "状态", "受理时间", "完结时间", "创建人",
    "创建方式",
)  # fmt: skip
TICKET_TITLE = "售后工单明细"
TICKET_STATES = {
    "open": "待处理", "in_progress": "处理中", "resolved": "已解决", "cancelled": "已关闭",
}  # fmt: skip
LINES = {"fitting": "门店试穿", "retail": "零售"}
# How a record was made, in the words of the CRM for those of the ERP.
MADE_VIA = {"API": "接口", "MANUAL": "手工", "EXCEL": "导入", None: ""}


def write_crm(world: World, folder: Path) -> None:
    """Write the text exports of the middle day and the last, and the workbooks of the last."""
    folder.mkdir(parents=True, exist_ok=True)
    days = world.options.business_days
    for day in sorted({days[len(days) // 2], days[-1]}):
        (folder / f"会员_{day:%Y%m%d}.csv").write_bytes(_contacts(world, day))
        (folder / f"预约_{day:%Y%m%d}.csv").write_bytes(_appointments(world, day))
    (folder / f"会员标识_{days[-1]:%Y%m%d}.xlsx").write_bytes(_bindings(world, days[-1]))
    (folder / f"工单_{days[-1]:%Y%m%d}.xlsx").write_bytes(_tickets(world, days[-1]))


def _contacts(world: World, day: date) -> bytes:
    """The member export: GBK, CRLF, quoted where a remark holds a comma or a line break."""
    rows = []
    for person in world.people:
        if person.contact_at is not None and person.contact_at < day_end(day):
            rows.append(_told(world, CONTACT_HEADERS, _contact(person, person.contact_at)))
        if person.double is not None and person.double.at < day_end(day):
            rows.append(_told(world, CONTACT_HEADERS, _double(person, person.double)))
    return _gbk(CONTACT_HEADERS, rows)


def _contact(person: Person, at: datetime) -> Row:
    # Every member has a union id or a member number on file; most have both.
    kept = person.number % 7
    return (
        person.contact_id,
        "" if kept == 3 else person.member_no,
        person.customer_code,
        "" if kept == 5 else person.unionid,
        person.phone,
        "小程序" if person.number % 2 else "服务号",
        _local(at), _local(at),
        person.contact_made_by, person.contact_made_via,
        "老客户,常回购\n（门店登记）" if person.number % 97 == 0 else "",
    )  # fmt: skip


def _double(person: Person, double: Double) -> Row:
    """The second contact of a person: typed by a shop that asked for the phone, or synchronised."""
    number, at = f"HZ{person.number:07d}", _local(double.at)
    if double.shared == "phone":
        code = f"CZ{person.number:06d}"
        return number, "", code, "", person.phone, "门店", at, at, "he.jing", "手工", "门店登记"
    return number, "", "", person.unionid, "", "服务号", at, at, "svc_crm_sync", "接口", ""


def _appointments(world: World, day: date) -> bytes:
    """The appointments as they stood at the end of a day."""
    until = day_end(day)
    kept = [
        (appointment, booking) for booking in world.bookings for appointment in booking.appointments
    ]
    made = [*kept, *((walk_in, None) for walk_in in world.walk_ins)]
    return _gbk(
        APPOINTMENT_HEADERS,
        [
            _told(world, APPOINTMENT_HEADERS, _appointment(appointment, booking, until))
            for appointment, booking in sorted(made, key=lambda pair: pair[0].number)
            if appointment.created_at < until
        ],
    )


def _appointment(appointment: Appointment, booking: Booking | None, until: datetime) -> Row:
    reached = [
        ("requested", appointment.created_at),
        ("confirmed", appointment.confirmed_at),
        (appointment.closed_as, appointment.closed_at),
    ]
    state, updated_at = _latest(reached, until)
    return (
        appointment.number,
        booking.number if booking else "",
        _contact_id(booking, appointment.created_at),
        LINES[FITTING],
        APPOINTMENT_STATES[state],
        _local(booking.slot_at if booking else appointment.created_at),
        _local(appointment.created_at), _local(updated_at),
        appointment.made.actor, MADE_VIA[appointment.made.source],
    )  # fmt: skip


def _tickets(world: World, day: date) -> bytes:
    """The workbook of tickets, as they stood at the end of a day."""
    until = day_end(day)
    kept = [(record, ticket) for ticket in world.tickets for record in ticket.records]
    made = [*kept, *((call, None) for call in world.calls)]
    return _workbook(
        "工单", TICKET_TITLE, day, TICKET_HEADERS,
        [
            _told(world, TICKET_HEADERS, _ticket(record, ticket, until))
            for record, ticket in sorted(made, key=lambda pair: pair[0].number)
            if record.opened_at < until
        ],
    )  # fmt: skip


def _ticket(record: TicketRecord, ticket: Ticket | None, until: datetime) -> Row:
    reached = [
        ("open", record.opened_at),
        ("in_progress", record.worked_at),
        (record.closed_as, record.closed_at),
    ]
    state, _ = _latest(reached, until)
    is_closed = state == record.closed_as
    return (
        record.number,
        ticket.number if ticket else "",
        _contact_id(ticket, record.opened_at),
        LINES[RETAIL.name],
        TICKET_STATES[state],
        _local(record.opened_at),
        _local(record.closed_at) if is_closed and record.is_dated and record.closed_at else "",
        record.made.actor, MADE_VIA[record.made.source],
    )  # fmt: skip


def _contact_id(case: Attempt | None, at: datetime) -> str:
    """The contact that a record names: the one whom the CRM knew when the record was made."""
    return case.person.contact_id if case and case.person.is_known(at) else ""


def _latest(
    reached: Sequence[tuple[str, datetime | None]], until: datetime
) -> tuple[str, datetime]:
    """The last state of a record that it had reached, and when it had."""
    return [(state, at) for state, at in reached if at is not None and at < until][-1]


def _gbk(headers: Row, rows: Iterable[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(headers)
    writer.writerows(rows)
    return text.getvalue().encode("gbk")


def _bindings(world: World, day: date) -> bytes:
    """The workbook of bound pairs, one row each."""
    rows = [
        (left_kind, left_value, "UnionID", person.unionid, _local(person.bound_at), source)
        for person in world.people
        if person.bound_at < day_end(day)
        for left_kind, left_value, source in _pairs(person)
    ]
    return _workbook("绑定", BINDING_TITLE, day, BINDING_HEADERS, rows)


def _workbook(sheet_name: str, title: str, day: date, headers: Row, rows: Iterable[Row]) -> bytes:
    """A workbook of one sheet, with a title row above the header."""
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet(sheet_name)
    sheet.append([title, f"截至 {day:%Y-%m-%d}"])
    for row in (headers, *rows):
        sheet.append(list(row))
    return _without_clock(workbook)


def _pairs(person: Person) -> list[tuple[str, str, str]]:
    """What no tracker sends together; the mini-program sends openid and union id at once."""
    return [
        ("OpenID", person.openids[SERVICE_ACCOUNT_APP_ID], "服务号关注"),
        ("会员号", person.member_no, "会员绑定"),
    ]


def _without_clock(workbook: Workbook) -> bytes:
    """The workbook's bytes without the moment of writing, so that one seed gives one file."""
    written, fixed = io.BytesIO(), io.BytesIO()
    workbook.save(written)
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(fixed, "w") as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "docProps/core.xml":
                content = re.sub(
                    rb"\d{4}(-\d\d){2}T(\d\d:){2}\d\dZ", b"2026-01-01T00:00:00Z", content
                )
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, content)
    return fixed.getvalue()


def _local(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"


def _told(world: World, headers: Row, row: Row) -> Row:
    """The row as it is exported; a CRM may keep from its exports who made a record, and how."""
    if not world.options.hide_actors:
        return row
    hidden = ("创建人", "创建方式")
    return tuple("" if name in hidden else value for name, value in zip(headers, row, strict=True))
