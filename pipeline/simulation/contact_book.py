"""The simulated company's WeCom: its members and the customers whom they have added."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.simulation.people import Person
from pipeline.simulation.world import World

CORP_ID = "ww5a1e000000000001"
MEMBERS = ("he.jing", "lin.tao", "zhao.min", "wu.lei")
MEMBER_WITHOUT_CUSTOMERS = "sun.yue"
FILE = "wecom.json"
# 1 scanned a code, 3 name card, 4 group chat, 16 acquisition link.
ADD_WAYS = (1, 1, 3, 4, 16)


@dataclass(frozen=True)
class Acquaintance:
    """One member and one customer whom they have added: the contact and what the member noted."""

    member: str
    contact: dict[str, Any]
    follow: dict[str, Any]


@dataclass(frozen=True)
class ContactBook:
    """What WeCom keeps. Of `unlicensed` members it tells no customer."""

    corp_id: str
    secret: str
    members: tuple[str, ...]
    acquaintances: Sequence[Acquaintance]
    unlicensed: tuple[str, ...] = ()


def write_contact_book(world: World, seed: int, folder: Path) -> None:
    """Write the book as it stands at the end of the simulated period."""
    book = ContactBook(
        corp_id=CORP_ID,
        secret=sha256(f"simulated WeCom app {seed}".encode()).hexdigest()[:43],
        members=(*MEMBERS, MEMBER_WITHOUT_CUSTOMERS),
        acquaintances=[
            known
            for person in world.people
            if person.contact_at is not None and person.contact_at < world.end
            for known in _acquaintances(person, int(person.contact_at.timestamp()))
        ],
    )
    (folder / FILE).write_text(json.dumps(asdict(book), ensure_ascii=False) + "\n", "utf-8")


def read_contact_book(folder: Path) -> ContactBook:
    """Read the book back. Raises FileNotFoundError where no company was simulated."""
    told = json.loads((folder / FILE).read_text(encoding="utf-8"))
    known = [Acquaintance(**one) for one in told.pop("acquaintances")]
    for name in ("members", "unlicensed"):
        told[name] = tuple(told[name])
    return ContactBook(acquaintances=known, **told)


def _acquaintances(person: Person, added_at: int) -> list[Acquaintance]:
    """Every fifth customer knows two members; the second came a day later."""
    first = person.number % len(MEMBERS)
    members = [MEMBERS[first]]
    if person.number % 5 == 0:
        members.append(MEMBERS[(first + 1) % len(MEMBERS)])
    return [
        Acquaintance(member, _contact(person), _follow(person, member, added_at + 86_400 * later))
        for later, member in enumerate(members)
    ]


def _contact(person: Person) -> dict[str, Any]:
    """The union id is there only for WeChat users whose corp has bound its mini-program."""
    contact: dict[str, Any] = {
        "external_userid": f"wm{sha256(person.unionid.encode()).hexdigest()[:30]}",
        "name": f"客户{person.number}",
        "avatar": "http://wx.qlogo.cn/mmhead/0",
        "type": 2 if person.number % 11 == 0 else 1,
        "gender": person.number % 3,
    }
    if contact["type"] == 1 and person.number % 7 != 3:
        contact["unionid"] = person.unionid
    return contact


def _follow(person: Person, member: str, added_at: int) -> dict[str, Any]:
    return {
        "userid": member,
        "remark": f"客户{person.number} 回头客",
        "description": "",
        "createtime": added_at,
        "tag_id": [],
        "remark_mobiles": [person.phone] if person.number % 3 == 0 else [],
        "oper_userid": member,
        "add_way": ADD_WAYS[person.number % len(ADD_WAYS)],
    }
