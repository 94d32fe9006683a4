"""api.weixin.qq.com of the simulated company: stable token, daily visits, order list.

The present is the day after the company's last day: its figures are not built yet.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from threading import Lock
from typing import Any

from pipeline.simulation.http_call import Answer, Call, answer_json, refuse
from pipeline.simulation.wechat_books import Books

TOKEN_SECONDS = 7200
# The platform renews a token five minutes before it ends; both are good for those minutes.
RENEWAL_SECONDS = 300
FORCED_APART_SECONDS = 30
FORCED_A_DAY = 20
PAGE_SIZE_MOST = 100


@dataclass
class _Token:
    value: str
    expires_at: float


@dataclass
class OpenPlatform:
    """The calls of one mini-program. `now` gives epoch seconds."""

    books: Books
    now: Callable[[], float]
    _tokens: list[_Token] = field(default_factory=list)
    _forced_at: list[float] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def answer(self, call: Call) -> Answer | None:
        """The reply; None where this host has no such path."""
        if call.path == "/cgi-bin/stable_token":
            return self._give_token(call)
        calls = {
            "/datacube/getweanalysisappiddailyvisittrend": self._daily_visits,
            "/wxa/sec/order/get_order_list": self._order_list,
        }
        if call.path not in calls:
            return None
        if call.method != "POST":
            return self._refuse(43002, "require POST method")
        refusal = self._check_token(call.query.get("access_token", ""))
        if refusal is not None:
            return refusal
        body = call.json()
        if body is None:
            return self._refuse(47001, "data format error")
        return calls[call.path](body)

    def _give_token(self, call: Call) -> Answer:
        account = self.books.account
        if call.method != "POST":
            return self._refuse(43002, "require POST method")
        body = call.json()
        if body is None:
            return self._refuse(47001, "data format error")
        for name, code in (("appid", 41002), ("secret", 41004)):
            if not body.get(name):
                return self._refuse(code, f"{name} missing")
        if body.get("grant_type") != "client_credential":
            return self._refuse(40002, "invalid grant_type")
        if body["appid"] != account.app_id:
            return self._refuse(40013, "invalid appid")
        if body["secret"] != account.app_secret:
            return self._refuse(40125, "invalid appsecret")
        with self._lock:
            if body.get("force_refresh"):
                return self._force()
            token = self._current()
        return answer_json(_told(token, self.now()))

    def _force(self) -> Answer:
        """Kill the old token, at most twenty times a day and thirty seconds apart."""
        now = self.now()
        self._forced_at = [at for at in self._forced_at if now - at < 86_400]
        if self._forced_at and now - self._forced_at[-1] < FORCED_APART_SECONDS:
            return answer_json(_told(self._current(), now))
        if len(self._forced_at) >= FORCED_A_DAY:
            return self._refuse(45009, "reach max api daily quota limit")
        self._forced_at.append(now)
        self._tokens = []
        return answer_json(_told(self._current(), now))

    def _current(self) -> _Token:
        """The token of the moment: the same until five minutes before its end."""
        now = self.now()
        self._tokens = [token for token in self._tokens if token.expires_at > now]
        if not self._tokens or self._tokens[-1].expires_at - now <= RENEWAL_SECONDS:
            self._tokens.append(_Token(f"80_{secrets.token_urlsafe(96)}", now + TOKEN_SECONDS))
        return self._tokens[-1]

    def _check_token(self, value: str) -> Answer | None:
        if not value:
            return self._refuse(41001, "access_token missing")
        with self._lock:
            now = self.now()
            known = {token.value: token for token in self._tokens}
        if value not in known:
            return self._refuse(40001, "invalid credential, access_token is invalid or not latest")
        if known[value].expires_at <= now:
            return self._refuse(42001, "access_token expired")
        return None

    def _daily_visits(self, body: dict[str, Any]) -> Answer:
        try:
            begin, end = (_read_day(body.get(name)) for name in ("begin_date", "end_date"))
        except ValueError:
            return self._refuse(61500, "date format error")
        yesterday = self.books.account.last_day
        if begin != end or begin > yesterday + timedelta(days=1):
            return self._refuse(61501, "date range error")
        if begin == yesterday + timedelta(days=1):
            return self._refuse(61503, "data not ready, please try later")
        return answer_json({"list": self._visits(begin)})

    def _visits(self, day: date) -> list[dict[str, Any]]:
        visits = self.books.visits.get(day)
        return [{"ref_date": f"{day:%Y%m%d}", **visits}] if visits else []

    def _order_list(self, body: dict[str, Any]) -> Answer:
        """A page of the orders paid in a span of epoch seconds, both ends included."""
        span = body.get("pay_time_range") or {}
        first, last = span.get("begin_time", 0), span.get("end_time", 2**40)
        size = body.get("page_size", PAGE_SIZE_MOST)
        if not all(isinstance(number, int) for number in (first, last, size)) or size < 1:
            return self._refuse(10060014, "parameter error")
        found = [
            order
            for order in self.books.orders
            if first <= order["pay_time"] <= last
            and body.get("order_state") in (None, order["order_state"])
            and body.get("openid") in (None, order["openid"])
        ]
        try:
            start = int(body.get("last_index") or "0", 16)
        except (TypeError, ValueError):
            return self._refuse(10060011, "invalid last_index")
        until = start + min(size, PAGE_SIZE_MOST)
        return answer_json(
            {
                "errcode": 0,
                "errmsg": "ok",
                "order_list": found[start:until],
                "last_index": f"{until:016x}",
                "has_more": until < len(found),
            }
        )

    def _refuse(self, errcode: int, errmsg: str) -> Answer:
        rid = f"{int(self.now()):08x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
        return refuse(errcode, f"{errmsg} rid: {rid}")


def _read_day(written: object) -> date:
    """A day as the datacube writes it; days with dashes are those of the service account's."""
    if not isinstance(written, str) or len(written) != len("yyyymmdd"):
        raise ValueError(written)
    return date.fromisoformat(written)


def _told(token: _Token, now: float) -> dict[str, Any]:
    return {"access_token": token.value, "expires_in": int(token.expires_at - now)}
