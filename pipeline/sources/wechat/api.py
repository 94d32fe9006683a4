"""Calls to api.weixin.qq.com on behalf of one application: token, error policy, tries.

Its errors come as HTTP 200 with an `errcode`; a reply without one is a success.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import httpx

from pipeline.company import Company, Connection
from pipeline.company.sources import WECHAT_URL
from pipeline.errors import BrokenContentError, PermanentSourceError, TransientSourceError
from pipeline.sources.wechat.errcodes import (
    ERRCODES,
    RETIRED,
    TOKEN_ERRCODES,
    Errcode,
    TokenRefusedError,
    refusal,
)
from pipeline.sources.wechat.token import PATH as TOKEN_PATH
from pipeline.sources.wechat.token import StableToken
from pipeline.sources.wire import QuotaOfMinuteError, Wire

Reply = dict[str, Any]


class Post(Protocol):
    """One call: `subject` says in messages what was asked for."""

    def __call__(self, path: str, body: dict[str, Any], *, subject: str) -> Reply: ...


class WechatApi:
    """The calls of one application. Its token is shared with every process of the company."""

    def __init__(self, connection: Connection, company: Company, wire: Wire) -> None:
        self.app_id = connection.app_id or ""
        self.base_url = connection.base_url or WECHAT_URL
        self._wire = wire
        secret_name = connection.app_secret_env or ""
        self._token = StableToken(
            app_id=self.app_id,
            base_url=self.base_url,
            folder=company.data / "tokens",
            read_secret=lambda: company.secret(secret_name),
            now=wire.now,
        )

    @contextmanager
    def open(self, *, is_proving: bool = False) -> Iterator[Post]:
        """A line to the host, closed at the end. Calls raise the subclasses of SourceError.

        `is_proving` asks for the token although one is kept: it says nothing of today's secret.
        """
        with self._wire.client(self.base_url) as client:
            if is_proving:
                self._token.ask_again(partial(self._ask_token, client))
            yield partial(self._post, client)

    def _post(
        self, client: httpx.Client, path: str, body: dict[str, Any], *, subject: str
    ) -> Reply:
        ask = partial(self._ask_token, client)
        token = self._token.current(ask)
        try:
            return self._call(client, path, body, subject, token)
        except TokenRefusedError as refused:
            renewed = self._token.renew(token, ask)
            if renewed == token:  # WeChat forces no other so soon after the last
                raise TransientSourceError(
                    refused.message, next_step=refused.next_step
                ) from refused
            return self._call(client, path, body, subject, renewed)

    def _call(
        self, client: httpx.Client, path: str, body: dict[str, Any], subject: str, token: str
    ) -> Reply:
        def attempt() -> Reply:
            reply = exchange(
                lambda: client.post(path, params={"access_token": token}, json=body), subject
            )
            successor = RETIRED.get(path)
            told = f"{subject}, in whose place came {successor}" if successor else subject
            return refuse_errors(reply, told, ERRCODES, conceal=(token,))

        return self._wire.persist(attempt)

    def _ask_token(self, client: httpx.Client, body: dict[str, Any]) -> Reply:
        subject = f"access token of {self.app_id}"

        def attempt() -> Reply:
            reply = exchange(lambda: client.post(TOKEN_PATH, json=body), subject)
            return refuse_errors(reply, subject, TOKEN_ERRCODES, conceal=(body["secret"],))

        return self._wire.persist(attempt)


def exchange(send: Callable[[], httpx.Response], subject: str) -> Reply:
    """The JSON object of one reply, error codes and all. Raises subclasses of SourceError."""
    try:
        response = send()
    except httpx.RequestError as error:
        raise TransientSourceError(
            f"{subject}: {type(error).__name__}, {error}",
            next_step="check base_url of the connection, the network and the proxy",
        ) from error
    if response.status_code != httpx.codes.OK:
        raise _http_error(response, subject)
    try:
        reply = json.loads(response.content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BrokenContentError(
            f"{subject}: found {len(response.content)} bytes that are not JSON"
            f" ({type(error).__name__})",
            next_step="run again; if it repeats, check base_url and the proxy",
        ) from error
    if not isinstance(reply, dict):
        raise BrokenContentError(
            f"{subject}: found a JSON {type(reply).__name__}, allowed: an object",
            next_step="run again; if it repeats, check base_url and the proxy",
        )
    return reply


def _http_error(response: httpx.Response, subject: str) -> Exception:
    message = f"{subject}: HTTP {response.status_code}"
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return QuotaOfMinuteError(message, next_step="nothing to mend: run again in a few minutes")
    if response.is_server_error:
        return TransientSourceError(message, next_step="run again in a few minutes")
    return PermanentSourceError(
        message,
        next_step="check base_url of the connection: WeChat answers HTTP 200 even to errors",
    )


def refuse_errors(
    reply: Reply, subject: str, known: dict[int, Errcode], conceal: tuple[str, ...]
) -> Reply:
    """The reply itself where it bears no error code; else raises what `known` makes of the code."""
    found = reply.get("errcode", 0)
    try:
        code = int(found)
    except (TypeError, ValueError, OverflowError):
        raise BrokenContentError(
            f"{subject}: errcode: found a {type(found).__name__}, allowed: a whole number",
            next_step="run again; if it repeats, check base_url and the proxy",
        ) from None
    if code != 0:
        raise refusal(subject, code, str(reply.get("errmsg", "")), known=known, conceal=conceal)
    return reply
