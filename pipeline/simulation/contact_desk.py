"""qyapi.weixin.qq.com of the simulated company: customer contact."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from pipeline.simulation.contact_book import ContactBook
from pipeline.simulation.http_call import Answer, Call, answer_json, refuse

TOKEN_SECONDS = 7200
PAGE_SIZE_MOST, PAGE_SIZE_USUAL = 100, 50
MEMBERS_MOST = 100
_TOKEN_PATH = "/cgi-bin/gettoken"  # noqa: S105 - an address
_MORE = "from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query?e="


@dataclass
class ContactDesk:
    """The calls of one self-built app. `now` gives epoch seconds."""

    book: ContactBook
    now: Callable[[], float]
    calls_a_minute: int = 600
    _token: str = ""
    _expires_at: float = 0.0
    _called_at: list[float] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def answer(self, call: Call) -> Answer | None:
        """The reply; None where this host has no such path."""
        if call.path == _TOKEN_PATH:
            return self._give_token(call)
        calls = {
            "/cgi-bin/externalcontact/get_follow_user_list": self._members,
            "/cgi-bin/externalcontact/list": self._customers,
            "/cgi-bin/externalcontact/get": self._customer,
            "/cgi-bin/externalcontact/batch/get_by_user": self._batch,
        }
        if call.path not in calls:
            return None
        with self._lock:
            refusal = self._check(call.query.get("access_token", ""))
        return refusal or calls[call.path](call)

    def revoke(self) -> None:
        """Let the token die early, as WeCom does when the secret is renewed."""
        with self._lock:
            self._expires_at = 0.0

    def _give_token(self, call: Call) -> Answer:
        """The same token for every caller until its end."""
        if call.query.get("corpid") != self.book.corp_id:
            return _refuse(40013, "invalid corpid")
        if call.query.get("corpsecret") != self.book.secret:
            return _refuse(40001, "invalid credential")
        with self._lock:
            now = self.now()
            if self._expires_at <= now:
                self._token, self._expires_at = secrets.token_urlsafe(96), now + TOKEN_SECONDS
            seconds = int(self._expires_at - now)
            return _ok({"access_token": self._token, "expires_in": seconds})

    def _check(self, token: str) -> Answer | None:
        now = self.now()
        if not token:
            return _refuse(41001, "access_token missing")
        if token != self._token:
            return _refuse(40014, "invalid access_token")
        if self._expires_at <= now:
            return _refuse(42001, "access_token expired")
        self._called_at = [at for at in self._called_at if now - at < 60]
        if len(self._called_at) >= self.calls_a_minute:
            return _refuse(45009, "api freq out of limit")
        self._called_at.append(now)
        return None

    def _members(self, call: Call) -> Answer:  # noqa: ARG002 - as the others
        return _ok({"follow_user": list(self.book.members)})

    def _customers(self, call: Call) -> Answer:
        known = [
            one.contact["external_userid"]
            for one in self.book.acquaintances
            if one.member == call.query.get("userid")
        ]
        return _ok({"external_userid": known}) if known else _refuse(84061, "not external contact")

    def _customer(self, call: Call) -> Answer:
        """One customer with an array of all members who know them."""
        asked = call.query.get("external_userid")
        known = [one for one in self.book.acquaintances if one.contact["external_userid"] == asked]
        if not known:
            return _refuse(84061, "not external contact")
        follows = [one.follow for one in known]
        return _ok({"external_contact": known[0].contact, "follow_user": follows})

    def _batch(self, call: Call) -> Answer:
        """A page of the customers of some members, each with one object `follow_info`."""
        body = call.json() if call.method == "POST" else None
        if body is None:
            return _refuse(43002, "require POST method with a JSON body")
        members, limit = body.get("userid_list"), body.get("limit", PAGE_SIZE_USUAL)
        if not isinstance(members, list) or not 1 <= len(members) <= MEMBERS_MOST:
            return _refuse(40058, "userid_list: missing or exceed max length 100")
        if not isinstance(limit, int) or not 1 <= limit <= PAGE_SIZE_MOST:
            return _refuse(40058, "limit: out of range")
        start = _read_cursor(body.get("cursor") or "")
        if start is None:
            return _refuse(40058, "cursor: invalid")
        licensed = [member for member in members if member not in self.book.unlicensed]
        known = [one for one in self.book.acquaintances if one.member in licensed]
        if not known and licensed:
            return _refuse(84061, "not external contact")
        page: dict[str, Any] = {
            "external_contact_list": [
                {"external_contact": one.contact, "follow_info": one.follow}
                for one in known[start : start + limit]
            ],
            "next_cursor": f"cursor-{start + limit}" if start + limit < len(known) else "",
        }
        if len(licensed) < len(members):
            unlicensed = [member for member in members if member not in licensed]
            page["fail_info"] = {"unlicensed_userid_list": unlicensed}
        return _ok(page)


def _read_cursor(written: str) -> int | None:
    number = written.removeprefix("cursor-") if written else "0"
    return int(number) if number.isdecimal() else None


def _ok(content: dict[str, Any]) -> Answer:
    return answer_json({"errcode": 0, "errmsg": "ok", **content})


def _refuse(errcode: int, errmsg: str) -> Answer:
    return refuse(errcode, f"{errmsg}, hint: [1708397705], {_MORE}{errcode}")
