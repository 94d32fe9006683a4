"""WeCom's external contacts as `crm_contacts`: one row per customer, whoever added them.

Names, avatars, remarks and tags are never read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import cached_property
from typing import Any

import pyarrow as pa

from pipeline.errors import BrokenContentError, NotReadyError, PermanentSourceError
from pipeline.landing import Extract, Rejected, business_day, day_end
from pipeline.sources.days import DailySource
from pipeline.sources.wechat.wecom.api import Ask, WecomApi
from pipeline.sources.wechat.wecom.errcodes import ALLOW_APP
from pipeline.sources.wechat.wecom.merging import Merging

MEMBERS = "/cgi-bin/externalcontact/get_follow_user_list"
OF_MEMBER = "/cgi-bin/externalcontact/batch/get_by_user"
PAGE_SIZE = 100  # the most that WeCom gives


@dataclass
class _Listing:
    """All customers as of the asking, and the members whom WeCom does not tell about."""

    merging: Merging = field(default_factory=Merging)
    unlicensed: list[str] = field(default_factory=list)


class ExternalContacts(DailySource):
    """`crm_contacts`: one row per customer, on the day on which a member first added them.

    The list has no history: every reading is of all customers as they are now, and a customer whom
    all members have removed is gone from it.
    """

    connector = "wecom_contacts"
    ready_at = time(0)

    @cached_property
    def _api(self) -> WecomApi:
        return WecomApi(self._connection, self._company, self._wire)

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per day, in order, all out of one reading; what fits no row comes with the
        last day. Raises NotReadyError for a day that is not over."""
        asked = sorted(set(days))
        if not asked:
            return
        if asked[-1] > self.last_day():
            raise NotReadyError(
                f"contacts of {asked[-1]}: the day is not over",
                next_step=f"ask for {self.last_day()} or earlier",
            )
        listing = self._read_all()
        rows = self._by_day(listing.merging.rows())
        for day in asked:
            rejected = _rejected(listing) if day == asked[-1] else ()
            yield Extract(day, self._typed(rows.get(day, [])), day_end(day), rejected=rejected)

    def changed_days(
        self,
        since: datetime | None,
        known: Mapping[date, str],
    ) -> set[date]:
        """All: the whole list is read anyway, and landing finds out what has changed.

        Only the trailing days where sources.yml says how many.
        """
        if "trailing_days" in self._settings.model_fields_set:
            return super().changed_days(since, known)
        return set(known)

    def probe(self) -> str:
        """Ask for the members: proves address, secret, trusted address and permission."""
        with self._api.open() as ask:
            count = len(_members(ask))
        return f"{self._api.base_url} answers {self._api.corp_id}; {count} members have customers"

    def _read_all(self) -> _Listing:
        listing = _Listing()
        with self._api.open() as ask:
            members = _members(ask)
            # One by one: a member without customers is refused, and would hide the others.
            for member in members:
                for page in _pages(ask, member):
                    listing.unlicensed += _unlicensed(page)
                    for entry in page.get("external_contact_list", []):
                        listing.merging.add(entry, member)
        if members and set(listing.unlicensed) >= set(members):
            raise PermanentSourceError(
                f"contacts of {self._api.corp_id}: none of {len(members)} members has a licence,"
                " so WeCom tells no customer",
                next_step="buy and activate 接口许可 for the members in the WeCom console",
            )
        return listing

    def _by_day(self, rows: list[dict[str, Any]]) -> dict[date, list[dict[str, Any]]]:
        """Customers older than the company's first day are landed with it."""
        first, last = self._company.first_day, self._company.last_day
        by_day: dict[date, list[dict[str, Any]]] = {}
        for row in rows:
            day = max(first, business_day(row["created_at"]))
            by_day.setdefault(min(day, last) if last else day, []).append(row)
        return by_day

    def _typed(self, rows: list[dict[str, Any]]) -> pa.Table:
        return pa.Table.from_pylist(rows, schema=self.table.schema)


def _members(ask: Ask) -> list[str]:
    subject = "members with customers"
    members = ask(MEMBERS, subject=subject).get("follow_user", [])
    if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
        raise _broken(subject, "follow_user", "a list of userids")
    if not members:
        raise PermanentSourceError(
            f"{subject}: found none, and so no customer can be read", next_step=ALLOW_APP
        )
    return members


def _pages(ask: Ask, member: str) -> Iterator[dict[str, Any]]:
    subject, cursor, seen = f"customers of {member}", "", {""}
    while True:
        body = {"userid_list": [member], "cursor": cursor, "limit": PAGE_SIZE}
        page = ask(OF_MEMBER, body, subject=subject)
        if not isinstance(page.get("external_contact_list", []), list):
            raise _broken(subject, "external_contact_list", "a list")
        yield page
        cursor = page.get("next_cursor") or ""
        if not cursor:
            return
        if not isinstance(cursor, str) or cursor in seen:
            raise _broken(subject, "next_cursor", "one that did not come before")
        seen.add(cursor)


def _unlicensed(page: dict[str, Any]) -> list[str]:
    told = page.get("fail_info")
    listed = told.get("unlicensed_userid_list") if isinstance(told, dict) else None
    return [str(member) for member in listed] if isinstance(listed, list) else []


def _rejected(listing: _Listing) -> tuple[Rejected, ...]:
    reason = "the member has no licence, so WeCom does not tell their customers"
    unlicensed = (
        Rejected(f"member {member}", reason, "{}") for member in sorted(set(listing.unlicensed))
    )
    return (*listing.merging.rejected, *unlicensed)


def _broken(subject: str, name: str, allowed: str) -> BrokenContentError:
    return BrokenContentError(
        f"{subject}: {name}: allowed: {allowed}",
        next_step="run again: the list is read from its start; if it repeats, check base_url",
    )
