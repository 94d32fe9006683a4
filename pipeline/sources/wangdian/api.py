"""Calls to the open interface of 旺店通 企业版: signature, rate and refusals by class."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import httpx

from pipeline.company import Company, Connection
from pipeline.company.sources import WANGDIAN_URL
from pipeline.errors import (
    BrokenContentError,
    PermanentSourceError,
    SourceError,
    TransientSourceError,
)
from pipeline.sources.replies import concealed, exchange
from pipeline.sources.shared_pace import SharedPace
from pipeline.sources.wire import QuotaOfMinuteError, Wire

# Sixty a minute, for all that the company runs.
CALLS_PER_SECOND = 1.0
TOLD_CHARACTERS = 200

# Its codes are published nowhere that we could read, so what it says decides.
_BUSY_WORDS = ("频", "并发")
_PASSING_WORDS = ("稍后", "繁忙", "超时", "系统异常", "timeout")
_NEXT_STEPS = (
    (("sign", "签名"), "check sid, app_key and the secret that belongs to them"),
    (("timestamp", "时间戳"), "set this machine's clock: it is more than five minutes off"),
    (("权限", "授权"), "let 旺店通 permit this interface to the app_key"),
)


class Post(Protocol):
    """One call; `what` says in messages what was asked for."""

    def __call__(
        self, path: str, parameters: Mapping[str, str], *, what: str
    ) -> dict[str, Any]: ...


def sign(parameters: Mapping[str, str], app_secret: str) -> str:
    """MD5 of all names and values, each behind its length in characters, and of the secret."""
    packed = ";".join(
        f"{len(name):02d}-{name}:{len(parameters[name]):04d}-{parameters[name]}"
        for name in sorted(parameters)
    )
    return hashlib.md5(f"{packed}{app_secret}".encode(), usedforsecurity=False).hexdigest()


class WangdianApi:
    """The calls of one seller's account."""

    def __init__(self, connection: Connection, company: Company, wire: Wire) -> None:
        self.base_url = connection.base_url or WANGDIAN_URL
        self._connection = connection
        self._company = company
        self._wire = wire
        folder = company.data / "pace"
        self._pace = SharedPace(f"wangdian-{connection.sid}", CALLS_PER_SECOND, folder, wire)

    @contextmanager
    def open(self) -> Iterator[Post]:
        """A line to the host, closed at the end. Calls raise the subclasses of SourceError."""
        with self._wire.client(self.base_url) as client:
            yield partial(self._post, client)

    def _post(
        self, client: httpx.Client, path: str, parameters: Mapping[str, str], *, what: str
    ) -> dict[str, Any]:
        app_secret = self._company.secret(self._connection.app_secret_env or "").get_secret_value()
        sid, app_key = self._connection.sid or "", self._connection.app_key or ""

        def attempt() -> dict[str, Any]:
            self._pace.wait()
            # Signed anew at each try: a timestamp is good for five minutes.
            known = {
                **parameters,
                "sid": sid,
                "appkey": app_key,
                "timestamp": str(int(self._wire.now().timestamp())),
            }
            form = known | {"sign": sign(known, app_secret)}
            reply = exchange(lambda: client.post(path, data=form), what, conceal=(app_secret,))
            return _read_reply(reply, what, app_secret)

        return self._wire.persist(attempt)


def _read_reply(reply: Any, what: str, app_secret: str) -> dict[str, Any]:
    code = str(reply.get("code", "")) if isinstance(reply, dict) else ""
    if not code.lstrip("-").isdecimal():
        raise BrokenContentError(
            f"{what}: found a reply without a code, allowed: an object with code and message",
            next_step="check base_url: does 旺店通 企业版 answer there?",
        )
    if int(code) != 0:
        said = concealed(str(reply.get("message") or ""), (app_secret,))
        raise _refusal(what, code, said)
    return dict(reply)


def _refusal(what: str, code: str, said: str) -> SourceError:
    message = f"{what}: code {code}, it says '{said[:TOLD_CHARACTERS]}'"
    if any(word in said for word in _BUSY_WORDS):
        return QuotaOfMinuteError(message, next_step="nothing to mend: run again in a few minutes")
    if any(word in said for word in _PASSING_WORDS):
        return TransientSourceError(message, next_step="run again in a few minutes")
    for words, next_step in _NEXT_STEPS:
        if any(word in said.lower() for word in words):
            return PermanentSourceError(message, next_step=next_step)
    return PermanentSourceError(message, next_step="look the code up in 旺店通's documentation")
