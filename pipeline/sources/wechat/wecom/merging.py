"""Entries of WeCom's contact lists, merged to one row per customer."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.conform import Rejected

# How a member came to know a customer. The set is open: WeCom adds to it.
ADD_WAYS = {
    0: "unknown", 1: "qr_scan", 2: "phone_search", 3: "name_card", 4: "group_chat",
    5: "phone_book", 6: "wechat_contact", 7: "friend_request", 8: "third_party_service",
    9: "mail_search", 10: "channels", 11: "calendar", 12: "meeting", 13: "wecom_of_wechat_friend",
    14: "smart_hardware", 15: "door_service", 16: "acquisition_link", 17: "custom_development",
    18: "demand_reply", 21: "third_party_presales", 22: "possible_partner",
    24: "friend_request_received", 201: "shared_inside", 202: "assigned_by_admin",
}  # fmt: skip
# The list begins with the year in which WeCom could add WeChat users; what is later than these
# eleven digits is no epoch second.
FIRST_SECOND, LAST_SECOND = 1_400_000_000, 9_999_999_999


class _UnreadableError(Exception):
    """An entry that does not say what a row needs; the text is the reason."""


@dataclass(frozen=True)
class _Follow:
    """One member's acquaintance with a customer."""

    added_at: datetime
    member: str
    source: str | None
    phone: str | None


@dataclass
class _Customer:
    unionid: str | None = None
    follows: list[_Follow] = field(default_factory=list)


@dataclass
class Merging:
    """Takes the entries as they come. `rejected` keeps nothing by which a person is known."""

    rejected: list[Rejected] = field(default_factory=list)
    _customers: dict[str, _Customer] = field(default_factory=dict)

    def add(self, entry: object, member: str) -> None:
        """An entry of `batch/get_by_user`, or one of `get`, which lists several members."""
        try:
            contact_id, unionid, follows = _read(entry, member)
        except _UnreadableError as error:
            self.rejected.append(_reject(entry, member, str(error)))
            return
        customer = self._customers.setdefault(contact_id, _Customer())
        customer.unionid = customer.unionid or unionid
        customer.follows += follows

    def rows(self) -> list[dict[str, Any]]:
        """One per customer. The member who added them first has made the contact."""
        return [_row(contact_id, customer) for contact_id, customer in self._customers.items()]


def _row(contact_id: str, customer: _Customer) -> dict[str, Any]:
    follows = sorted(customer.follows, key=lambda follow: (follow.added_at, follow.member))
    return {
        "contact_id": contact_id,
        "unionid": customer.unionid,
        "phone": next((follow.phone for follow in follows if follow.phone), None),
        "source": follows[0].source,
        "created_at": follows[0].added_at,
        "updated_at": follows[-1].added_at,
        "created_by": follows[0].member,
    }


def _read(entry: object, member: str) -> tuple[str, str | None, list[_Follow]]:
    contact = entry.get("external_contact") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(contact, dict):
        raise _UnreadableError("external_contact: found nothing, allowed: an object")
    contact_id = _text(contact.get("external_userid"))
    if contact_id is None:
        raise _UnreadableError("external_userid: found nothing, allowed: an identifier")
    told = entry.get("follow_info", entry.get("follow_user"))
    follows = told if isinstance(told, list) else [told]
    if not follows:
        raise _UnreadableError("follow_user: found no member, allowed: one or more")
    return contact_id, _text(contact.get("unionid")), [_follow(one, member) for one in follows]


def _follow(told: object, member: str) -> _Follow:
    if not isinstance(told, dict):
        raise _UnreadableError("follow_info: found nothing, allowed: an object")
    seconds = told.get("createtime")
    if type(seconds) is not int or not FIRST_SECOND <= seconds <= LAST_SECOND:
        raise _UnreadableError(f"createtime: found {str(seconds)[:20]!r}, allowed: epoch seconds")
    mobiles = told.get("remark_mobiles")
    return _Follow(
        added_at=datetime.fromtimestamp(seconds, UTC),
        member=_text(told.get("userid")) or member,
        source=_source(told.get("add_way")),
        phone=_text(mobiles[0]) if isinstance(mobiles, list) and mobiles else None,
    )


def _source(add_way: object) -> str | None:
    if type(add_way) is not int:
        return None
    return ADD_WAYS.get(add_way, f"add_way_{add_way}")


def _text(value: object) -> str | None:
    """Printable text; some samples write phone numbers as numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    told = str(value).strip()
    return told if told and told.isprintable() else None


def _reject(entry: object, member: str, reason: str) -> Rejected:
    contact = entry.get("external_contact") if isinstance(entry, dict) else None
    contact_id = contact.get("external_userid") if isinstance(contact, dict) else None
    kept = {"external_userid": _text(contact_id), "userid": member}
    return Rejected(f"customers of {member}", reason, json.dumps(kept, ensure_ascii=False))
