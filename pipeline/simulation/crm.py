"""The CRM of the simulated company: a member export in GBK, and a workbook of bound identifiers.

Exports hold everything known up to the end of the day in their name; an older export lies beside
the newest, as in any drop folder.
"""

import csv
import io
import re
import zipfile
from datetime import date, datetime
from pathlib import Path

from openpyxl import Workbook

from pipeline.landing import SHANGHAI, day_end
from pipeline.simulation.people import SERVICE_ACCOUNT_APP_ID, Person
from pipeline.simulation.world import World

CONTACT_HEADERS = (
    "会员编号", "会员号", "客户编码", "UnionID", "手机号", "来源", "创建时间", "更新时间",
    "创建人", "创建方式", "备注",
)  # fmt: skip
BINDING_HEADERS = ("标识类型", "标识", "绑定类型", "绑定标识", "绑定时间", "来源")
BINDING_TITLE = "会员标识绑定表"


def write_crm(world: World, folder: Path) -> None:
    """Write the member exports of the middle day and the last, and the bindings of the last."""
    folder.mkdir(parents=True, exist_ok=True)
    days = world.options.business_days
    for day in sorted({days[len(days) // 2], days[-1]}):
        (folder / f"会员_{day:%Y%m%d}.csv").write_bytes(_contacts(world, day))
    (folder / f"会员标识_{days[-1]:%Y%m%d}.xlsx").write_bytes(_bindings(world, days[-1]))


def _contacts(world: World, day: date) -> bytes:
    """The member export: GBK, CRLF, quoted where a remark holds a comma or a line break."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(CONTACT_HEADERS)
    for person in world.people:
        at = person.contact_at
        if at is None or at >= day_end(day):
            continue
        # Every member has a union id or a member number on file; most have both.
        kept = person.number % 7
        writer.writerow((
            person.contact_id,
            "" if kept == 3 else person.member_no,
            person.customer_code,
            "" if kept == 5 else person.unionid,
            person.phone,
            "小程序" if person.number % 2 else "服务号",
            _local(at), _local(at),
            *_made(world, person),
            "老客户,常回购\n（门店登记）" if person.number % 97 == 0 else "",
        ))  # fmt: skip
    return text.getvalue().encode("gbk")


def _made(world: World, person: Person) -> tuple[str, str]:
    """The account and the way in; a CRM may keep both from its exports."""
    if world.options.hide_actors:
        return "", ""
    return person.contact_made_by, person.contact_made_via


def _bindings(world: World, day: date) -> bytes:
    """The workbook: a title row above the header, one row per bound pair."""
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet("绑定")
    sheet.append([BINDING_TITLE, f"截至 {day:%Y-%m-%d}"])
    sheet.append(list(BINDING_HEADERS))
    for person in world.people:
        if person.bound_at < day_end(day):
            for left_kind, left_value, source in _pairs(person):
                sheet.append([
                    left_kind, left_value, "UnionID", person.unionid, _local(person.bound_at),
                    source,
                ])  # fmt: skip
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
