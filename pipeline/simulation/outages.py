"""What goes wrong on WeChat's side: a schedule of faults laid over the hosts' own answers.

Every error code that the client has a policy for, and the ways in which a line fails. What the
hosts know and answer by themselves stands in their own modules.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from threading import Lock

from pipeline.landing import SHANGHAI
from pipeline.simulation.http_call import Answer, Call, answer_json, refuse

Host = Callable[[Call], Answer]
"""What the host answers when nothing goes wrong."""

TOKEN_PATHS = ("/cgi-bin/stable_token", "/cgi-bin/gettoken")
DATACUBE, ORDERS, PAY, BILL_FILE = "/datacube/", "/wxa/sec/order/", "/v3/", "/v3/billdownload/"
CALLS_OF_A_BURST = 3
MINUTE_SECONDS = 60
# Longer than a client of this schedule is told to wait for a reply.
SLOW_SECONDS = 2.0
# One answer in so many is struck, by path: where few calls are made more often, so that each fault
# comes to pass.
CALLS_PER_FAULT = {
    "/cgi-bin/": 2, "/datacube/": 12, "/wxa/sec/order/": 5, "/v3/bill/": 6, "/v3/billdownload/": 8,
}  # fmt: skip
CLOCK_SKEW_SECONDS = 400


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong: where, what is answered instead, and for how many calls or until.

    `until` gives the epoch second at which it ends by itself, from the one at which it began.
    """

    name: str
    paths: tuple[str, ...]
    answer: Callable[[Call, Host], Answer]
    calls: int = 1
    until: Callable[[float], float] | None = None

    def strikes(self, call: Call) -> bool:
        """Whether a call can be met by it."""
        if call.path.startswith(BILL_FILE):
            return BILL_FILE in self.paths
        return call.path.startswith(self.paths)


@dataclass(frozen=True)
class Struck:
    """A fault that met a call. `calls` counts the calls that it spoilt so far; `unavoidable`, how
    many it spoils at least: each of a burst, the first of what lasts for a time."""

    fault: str
    path: str
    asked: str
    at: float
    unavoidable: int = 1
    calls: int = 1


@dataclass
class Outages:
    """The schedule: faults dealt in an order that follows from the seed, each about as often.

    Without `is_on`, calls are only counted. `revoke` ends the tokens that were given out, as an
    owner does who renews his secret. `latest` is the number of the fault that spoilt a call last.
    """

    seed: int
    now: Callable[[], float]
    revoke: Callable[[], None] = lambda: None
    is_on: bool = True
    latest: int | None = None
    calls_count: int = 0
    struck: list[Struck] = field(default_factory=list)
    _open: dict[str, tuple[Fault, int, int]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._random = Random(f"outages {self.seed}")
        faults = [*every_fault(), Fault("tokens revoked", (DATACUBE, ORDERS), self._revoke)]
        self._decks = {path: self._random.sample(faults, len(faults)) for path in CALLS_PER_FAULT}

    def answer(self, call: Call, host: Host) -> Answer:
        """The host's answer, or what the fault of the moment makes of it."""
        with self._lock:
            self.calls_count += 1
            fault = self._fault_of(call) if self.is_on else None
        return fault.answer(call, host) if fault else host(call)

    def _fault_of(self, call: Call) -> Fault | None:
        """One that goes on, or now and then the next of the deck that can meet the call."""
        if call.path in self._open:
            fault, calls, number = self._open[call.path]
            begun = self.struck[number]
            ended = fault.until is not None and self.now() >= fault.until(begun.at)
            if not ended and (fault.until is not None or calls < fault.calls):
                self._open[call.path] = (fault, calls + 1, number)
                self.struck[number] = replace(begun, calls=calls + 1)
                self.latest = number
                return fault
            del self._open[call.path]
        host = next((path for path in CALLS_PER_FAULT if call.path.startswith(path)), None)
        if host is None or self._random.randrange(CALLS_PER_FAULT[host]):
            return None
        deck = self._decks[host]
        for position, fault in enumerate(deck):
            if fault.strikes(call):
                deck.append(deck.pop(position))
                self.latest = len(self.struck)
                self._open[call.path] = (fault, 1, self.latest)
                met = Struck(fault.name, call.path, _asked(call), self.now(), fault.calls)
                self.struck.append(met)
                return fault
        return None

    def _revoke(self, call: Call, host: Host) -> Answer:
        self.revoke()
        return host(call)


def every_fault() -> list[Fault]:
    """One fault of each kind, in the order of the documentation."""
    return [*_errcodes(), *_paycodes(), *_lines()]


# What WeChat says of each code, and how the fault goes on: a burst, a minute, a day.
_TOKEN_CODES = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40013: "invalid appid",
    40125: "invalid appsecret",
    40164: "invalid ip 127.0.0.1, not in whitelist",
    40243: "AppSecret has been frozen",
    41002: "appid missing",
    41004: "appsecret missing",
    43002: "require POST method",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit  must slower  retry next minute",
    50004: "forbid to get access_token",
    50007: "account is frozen",
    89503: "this ip awaits the administrator's consent",
    89506: "this ip was refused twice, forbidden for 24 hours",
    89507: "this ip was refused, forbidden for one hour",
}
_API_CODES = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40003: "invalid openid",
    40014: "invalid access_token",
    40037: "invalid template_id",
    41001: "access_token missing",
    42001: "access_token expired",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit  must slower  retry next minute",
    43101: "user refuse to accept the msg",
    44002: "empty post data",
    47001: "data format error",
    48001: "api unauthorized",
    48004: "api forbidden",
    48006: "forbid to clear quota because of reaching the limit",
    50002: "user limited",
    61004: "access clientip is not registered",
    61007: "api is unauthorized to component",
}
_DATACUBE_CODES = {
    61500: "date format error",
    61501: "date range error",
    61502: "not support game",
    61503: "data not ready, please try later",
    61504: "system busy now , please try later",
}
_ORDER_CODES = {
    10060001: "pay order not exist",
    10060011: "last_index error",
    10060012: "system busy",
    10060019: "system busy, please try again",
}


def _errcodes() -> list[Fault]:
    told = [
        *((TOKEN_PATHS[:1], code, text) for code, text in _TOKEN_CODES.items()),
        *(((DATACUBE, ORDERS), code, text) for code, text in _API_CODES.items()),
        *(((DATACUBE,), code, text) for code, text in _DATACUBE_CODES.items()),
        *(((ORDERS,), code, text) for code, text in _ORDER_CODES.items()),
    ]
    return [
        Fault(
            f"errcode {code}{' to the token' if paths == TOKEN_PATHS[:1] else ''}",
            paths,
            _refusing(code, text),
            calls=CALLS_OF_A_BURST if code in (-1, 61504) else 1,
            until={45009: _next_midnight, 45011: _a_minute_later, 61503: _half_an_hour_later}.get(
                code
            ),
        )
        for paths, code, text in told
    ]


def _paycodes() -> list[Fault]:
    bills = ("/v3/bill/",)
    told = [
        (400, "STATEMENT_CREATING", "请求的账单正在生成中", _half_an_hour_later),
        (400, "INVALID_REQUEST", "无效请求", None),
        (400, "PARAM_ERROR", "参数错误", None),
        (401, "SIGN_ERROR", "签名错误", None),
        (403, "NO_AUTH", "商户无权限", None),
        (429, "FREQUENCY_LIMITED", "频率超限", _a_minute_later),
        (429, "RATELIMIT_EXCEEDED", "频率超限", _a_minute_later),
        (500, "SYSTEM_ERROR", "系统异常，请稍后重试", None),
        (502, "SYSTEM_ERROR", "系统异常，请稍后重试", None),
        (503, "SYSTEM_ERROR", "系统异常，请稍后重试", None),
    ]
    refused = [
        Fault(f"HTTP {status} {code}", bills, _answering(status, code, text), until=until)
        for status, code, text, until in told
    ]
    return [
        *refused,
        Fault("the reply bears no signature", bills, _unsigned),
        Fault("the reply is signed by somebody else", bills, _forged),
        Fault("their clock is 400 s off", bills, _skewed),
        Fault("the address of a bill has aged", (BILL_FILE,), _answering(
            400, "INVALID_REQUEST", "下载地址已失效")),
        Fault("a bill is damaged", (BILL_FILE,), _damaged),
    ]  # fmt: skip


def _lines() -> list[Fault]:
    everywhere = (*TOKEN_PATHS, DATACUBE, ORDERS, PAY, BILL_FILE)
    # A bill's address comes in a signed reply, so a page in its place is a line's fault, too.
    return [
        Fault("HTTP 502 of a gateway", everywhere, lambda _call, _host: _page(502)),
        Fault("a page instead of JSON", (DATACUBE, ORDERS), lambda _call, _host: _page(200)),
        Fault("no reply at all", everywhere, _cut(lambda _body: -1)),
        Fault("half a reply", everywhere, _cut(lambda body: len(body) // 2)),
        Fault("a length that is too great", everywhere, _lengthened),
        Fault("a reply that comes too late", everywhere, _slowly),
    ]


def _refusing(code: int, text: str) -> Callable[[Call, Host], Answer]:
    return lambda _call, _host: refuse(code, f"{text} rid: 6a000000-0badcafe-0badcafe")


def _answering(status: int, code: str, text: str) -> Callable[[Call, Host], Answer]:
    return lambda _call, _host: answer_json({"code": code, "message": text}, status=status)


def _page(status: int) -> Answer:
    return Answer(status, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})


def _unsigned(call: Call, host: Host) -> Answer:
    answer = host(call)
    kept = {name: text for name, text in answer.headers.items() if "Wechatpay" not in name}
    return replace(answer, headers=kept)


def _forged(call: Call, host: Host) -> Answer:
    answer = host(call)
    signature = answer.headers.get("Wechatpay-Signature", "")
    return replace(answer, headers={**answer.headers, "Wechatpay-Signature": signature[::-1]})


def _skewed(call: Call, host: Host) -> Answer:
    return host(replace(call, clock_offset_seconds=-CLOCK_SKEW_SECONDS))


def _damaged(call: Call, host: Host) -> Answer:
    answer = host(call)
    middle = len(answer.body) // 2
    spoilt = bytes([answer.body[middle] ^ 1]) if answer.body else b""
    return replace(answer, body=answer.body[:middle] + spoilt + answer.body[middle + 1 :])


def _cut(after: Callable[[bytes], int]) -> Callable[[Call, Host], Answer]:
    def answer(call: Call, host: Host) -> Answer:
        whole = host(call)
        return replace(whole, hangs_up_after=after(whole.body))

    return answer


def _lengthened(call: Call, host: Host) -> Answer:
    whole = host(call)
    return replace(whole, declared_length=len(whole.body) + 7)


def _slowly(call: Call, host: Host) -> Answer:
    return replace(host(call), waits_seconds=SLOW_SECONDS)


def _a_minute_later(begun: float) -> float:
    """Limits of a minute are counted over calendar minutes."""
    return (begun // MINUTE_SECONDS + 1) * MINUTE_SECONDS


def _half_an_hour_later(begun: float) -> float:
    return begun + 1800


def _next_midnight(begun: float) -> float:
    local = datetime.fromtimestamp(begun, SHANGHAI)
    return begun + 86_400 - (local.hour * 3600 + local.minute * 60 + local.second)


def _asked(call: Call) -> str:
    """The day or span that a call is about, as far as it says."""
    body = call.json() or {}
    told = body.get("begin_date") or call.query.get("bill_date") or ""
    return re.sub(r"[^0-9-]", "", str(told)) or json.dumps(body.get("pay_time_range", ""))
