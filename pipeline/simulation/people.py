"""The people of the simulated company: their identifiers, and since when the CRM knows them.

Identifiers only, as every system of the company sees them; what people do lives in `cases.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Literal

from pipeline.landed import CHANNELS

MINI_PROGRAM_APP_ID = "wx5a1e0000000001"
SERVICE_ACCOUNT_APP_ID = "wx5a1e0000000002"
MOBILE_APP_ID = "wx5a1e0000000003"

APP_ID_OF_CHANNEL = {
    "mini_program": MINI_PROGRAM_APP_ID,
    "h5": SERVICE_ACCOUNT_APP_ID,
    "mobile_site": SERVICE_ACCOUNT_APP_ID,
    "app": MOBILE_APP_ID,
    "pc": SERVICE_ACCOUNT_APP_ID,
}
assert set(APP_ID_OF_CHANNEL) == set(CHANNELS)

# What the tracker of each channel knows about a visitor: a shop app signs members in, a page
# opened inside WeChat sees an openid, a browser outside it sees a member or nobody.
IDENTIFIERS_OF_CHANNEL = {
    "mini_program": ("openid", "unionid"),
    "h5": ("openid",),
    "mobile_site": ("member_no",),
    "app": ("unionid", "member_no"),
    "pc": ("member_no",),
}

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


@dataclass(frozen=True)
class Double:
    """A second contact of one person in the CRM, and the identifier by which both are theirs."""

    at: datetime
    shared: Literal["phone", "unionid"]


@dataclass
class Person:
    """One human being. `contact_at` is when the CRM came to know them; None where it never does."""

    number: int
    unionid: str
    openids: dict[str, str]
    member_no: str
    phone: str
    customer_code: str
    bound_at: datetime
    contact_at: datetime | None = None
    contact_made_by: str = "svc_crm_sync"
    contact_made_via: str = "接口"
    double: Double | None = None

    @property
    def contact_id(self) -> str:
        return f"HY{self.number:07d}"

    def is_known(self, at: datetime) -> bool:
        """Whether the CRM knew the person at an instant."""
        return self.contact_at is not None and self.contact_at <= at

    def openid(self, channel: str) -> str:
        """The openid under the app that serves a channel."""
        return self.openids[APP_ID_OF_CHANNEL[channel]]

    def identifiers(self, channel: str) -> dict[str, str]:
        """The identifiers that the tracker of a channel sends with every event."""
        everything = {
            "openid": self.openid(channel), "unionid": self.unionid, "member_no": self.member_no,
        }  # fmt: skip
        return {kind: everything[kind] for kind in IDENTIFIERS_OF_CHANNEL[channel]}


def meet_people(random: Random, *, before: datetime) -> Iterator[Person]:
    """People one after the other, without end, each with their own identifiers.

    Their WeChat and member accounts were bound some time in the two years before `before`.
    """
    for number in count(1):
        bound_at = before - timedelta(seconds=random.randrange(3_600, 2 * 365 * 86_400))
        yield Person(
            number=number,
            unionid="oU" + _code(random, 26),
            openids={
                app_id: "o" + _code(random, 27)
                for app_id in (MINI_PROGRAM_APP_ID, SERVICE_ACCOUNT_APP_ID, MOBILE_APP_ID)
            },
            member_no=f"M{100_000 + number}",
            phone=f"1{random.choice('35789')}{random.randrange(10):d}{number:08d}",
            customer_code=f"C{number:06d}",
            bound_at=bound_at.replace(microsecond=0),
        )


def enrol(person: Person, random: Random, at: datetime) -> None:
    """Make the CRM know a person. One contact in eight was typed in or imported: harmless."""
    person.contact_at = at.replace(microsecond=0)
    if random.random() < 0.125:
        person.contact_made_by, person.contact_made_via = random.choice(
            [("he.jing", "手工"), ("admin", "导入")]
        )


def enrol_again(person: Person, random: Random, at: datetime) -> None:
    """Make the CRM hold a second contact of a person, by the phone or by the union id."""
    shared: Literal["phone", "unionid"] = random.choice(("phone", "unionid"))
    person.double = Double(at.replace(microsecond=0), shared)


def _code(random: Random, length: int) -> str:
    return "".join(random.choices(_LETTERS, k=length))
