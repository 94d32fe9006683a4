"""Calls to the open platform of 聚水潭: signature, token, rate and refusals by class."""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import httpx

from pipeline.company import Company, Connection
from pipeline.company.sources import JUSHUITAN_URL
from pipeline.errors import BrokenContentError
from pipeline.sources.jushuitan.codes import SUCCESS, TokenRefusedError, refusal
from pipeline.sources.jushuitan.token import AccessToken
from pipeline.sources.replies import exchange
from pipeline.sources.shared_pace import SharedPace
from pipeline.sources.wire import Wire

FIRST_PAIR = "/openWeb/auth/getInitToken"
NEXT_PAIR = "/openWeb/auth/refreshToken"
# Allowed are five a second and a hundred a minute, for all that the company runs.
CALLS_PER_SECOND = 1.5
CODE_BYTES = 3


class Post(Protocol):
    """One call; `what` says in messages what was asked for."""

    def __call__(self, path: str, biz: Mapping[str, Any], *, what: str) -> dict[str, Any]: ...


def sign(parameters: Mapping[str, str], app_secret: str) -> str:
    """MD5 of the secret and of all names with their values, in the order of the names."""
    joined = "".join(f"{name}{parameters[name]}" for name in sorted(parameters))
    return hashlib.md5(f"{app_secret}{joined}".encode(), usedforsecurity=False).hexdigest()


class JushuitanApi:
    """The calls of one application. Its token is shared with every process of the company,
    unless the company renews it elsewhere and hands it over in a variable."""

    def __init__(self, connection: Connection, company: Company, wire: Wire) -> None:
        self.app_key = connection.app_key or ""
        self.base_url = connection.base_url or JUSHUITAN_URL
        self._connection = connection
        self._company = company
        self._wire = wire
        folder = company.data / "pace"
        self._pace = SharedPace(f"jushuitan-{self.app_key}", CALLS_PER_SECOND, folder, wire)
        self._token = AccessToken(
            app_key=self.app_key,
            base_url=self.base_url,
            folder=company.data / "tokens",
            now=wire.now,
        )

    @contextmanager
    def open(self) -> Iterator[Post]:
        """A line to the host, closed at the end. Calls raise the subclasses of SourceError."""
        with self._wire.client(self.base_url) as client:
            yield partial(self._post, client)

    def _post(
        self, client: httpx.Client, path: str, biz: Mapping[str, Any], *, what: str
    ) -> dict[str, Any]:
        if self._connection.access_token_env:
            token = self._company.secret(self._connection.access_token_env).get_secret_value()
            return self._call(client, path, biz, what, token)
        ask = partial(self._ask_token, client)
        token = self._token.current(ask)
        try:
            return self._call(client, path, biz, what, token)
        except TokenRefusedError:
            return self._call(client, path, biz, what, self._token.renew(token, ask))

    def _call(
        self, client: httpx.Client, path: str, biz: Mapping[str, Any], what: str, token: str
    ) -> dict[str, Any]:
        written = json.dumps(biz, ensure_ascii=False, separators=(",", ":"))
        return self._send(
            client,
            path,
            lambda: {"access_token": token, "version": "2", "biz": written},
            what,
            conceal=(token,),
        )

    def _ask_token(self, client: httpx.Client, refresh_token: str) -> dict[str, Any]:
        what = f"access token of {self.app_key}"
        if not refresh_token:
            # The code only tells one request from another.
            return self._send(
                client,
                FIRST_PAIR,
                lambda: {
                    "grant_type": "authorization_code",
                    "code": secrets.token_hex(CODE_BYTES),
                },
                what,
            )
        return self._send(
            client,
            NEXT_PAIR,
            lambda: {
                "grant_type": "refresh_token",
                "refresh_token": refresh_token,
                "scope": "all",
            },
            what,
            conceal=(refresh_token,),
        )

    def _send(
        self,
        client: httpx.Client,
        path: str,
        fill: Callable[[], dict[str, str]],
        what: str,
        *,
        conceal: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """The `data` of one reply. Each try is signed anew: a signature is good for 15 minutes."""
        app_secret = self._company.secret(self._connection.app_secret_env or "").get_secret_value()
        hidden = (app_secret, *conceal)

        def attempt() -> dict[str, Any]:
            self._pace.wait()
            parameters = fill() | {
                "app_key": self.app_key,
                "timestamp": str(int(self._wire.now().timestamp())),
                "charset": "utf-8",
            }
            form = parameters | {"sign": sign(parameters, app_secret)}
            reply = exchange(lambda: client.post(path, data=form), what, conceal=hidden)
            return _read_reply(reply, what, hidden)

        return self._wire.persist(attempt)


def _read_reply(reply: Any, what: str, conceal: tuple[str, ...]) -> dict[str, Any]:
    code = reply.get("code") if isinstance(reply, dict) else None
    if isinstance(code, str) and code.lstrip("-").isdecimal():
        code = int(code)
    if not isinstance(code, int):
        raise BrokenContentError(
            f"{what}: found a reply without a code, allowed: an object with code, msg and data",
            next_step="check base_url: does 聚水潭 answer there?",
        )
    if code != SUCCESS:
        raise refusal(what, code, str(reply.get("msg") or ""), conceal)
    data = reply.get("data")
    if not isinstance(data, dict):
        raise BrokenContentError(
            f"{what}: found {type(data).__name__} as data, allowed: an object",
            next_step="run again; if it repeats, check base_url of the connection",
        )
    return data
