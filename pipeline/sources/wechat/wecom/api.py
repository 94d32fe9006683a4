"""Calls to qyapi.weixin.qq.com on behalf of one self-built app: token, error policy, tries."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

import httpx
from pydantic import SecretStr

from pipeline.company import Company, Connection
from pipeline.company.sources import WECOM_URL
from pipeline.errors import BrokenContentError
from pipeline.sources.wechat.api import Reply, exchange, refuse_errors
from pipeline.sources.wechat.errcodes import TokenRefusedError
from pipeline.sources.wechat.wecom.errcodes import NO_CUSTOMER, WECOM_ERRCODES
from pipeline.sources.wire import Wire

TOKEN_PATH = "/cgi-bin/gettoken"  # noqa: S105 - an address
# A call that takes long must not outlive its token.
MARGIN = timedelta(seconds=60)


class Ask(Protocol):
    """One call, a POST where it has a body: `subject` says in messages what was asked for."""

    def __call__(self, path: str, body: dict[str, Any] | None = None, *, subject: str) -> Reply: ...


class CorpToken:
    """One app's token, kept in this process: gettoken gives every caller the same one."""

    def __init__(self, corp_id: str, now: Callable[[], datetime]) -> None:
        self._corp_id = corp_id
        self._now = now
        self._value = ""
        self._good_until = datetime.min.replace(tzinfo=UTC)

    def current(self, fetch: Callable[[], Reply]) -> str:
        """The token kept, or a new one where that nears its end."""
        return self.renew(fetch) if self._now() >= self._good_until else self._value

    def renew(self, fetch: Callable[[], Reply]) -> str:
        """The token that the platform gives now."""
        asked_at = self._now()
        reply = fetch()
        value, seconds = reply.get("access_token"), reply.get("expires_in")
        if not isinstance(value, str) or not value or not isinstance(seconds, int | float):
            raise BrokenContentError(
                f"gettoken of {self._corp_id}: found {', '.join(reply) or 'nothing'},"
                " allowed: access_token and expires_in",
                next_step="check base_url: does WeCom answer there?",
            )
        self._value = value
        self._good_until = asked_at + timedelta(seconds=min(float(seconds), 7200.0)) - MARGIN
        return value


class WecomApi:
    """The calls of one app. The token outlives the lines that `open` gives."""

    def __init__(self, connection: Connection, company: Company, wire: Wire) -> None:
        self.corp_id = connection.corp_id or ""
        self.base_url = connection.base_url or WECOM_URL
        self._wire = wire
        self._secret: Callable[[], SecretStr] = partial(
            company.secret, connection.corp_secret_env or ""
        )
        self._token = CorpToken(self.corp_id, wire.now)

    @contextmanager
    def open(self) -> Iterator[Ask]:
        """A line to the host, closed at the end. Calls raise the subclasses of SourceError."""
        with self._wire.client(self.base_url) as client:
            yield partial(self._ask, client)

    def _ask(
        self, client: httpx.Client, path: str, body: dict[str, Any] | None = None, *, subject: str
    ) -> Reply:
        fetch = partial(self._fetch_token, client)
        token = self._token.current(fetch)
        try:
            return self._call(client, path, body, subject, token)
        except TokenRefusedError:
            return self._call(client, path, body, subject, self._token.renew(fetch))

    def _call(
        self,
        client: httpx.Client,
        path: str,
        body: dict[str, Any] | None,
        subject: str,
        token: str,
    ) -> Reply:
        params = {"access_token": token}

        def send() -> httpx.Response:
            if body is None:
                return client.get(path, params=params)
            return client.post(path, params=params, json=body)

        def attempt() -> Reply:
            reply = exchange(send, subject)
            if reply.get("errcode") == NO_CUSTOMER:
                return {}
            return refuse_errors(reply, subject, WECOM_ERRCODES, conceal=(token,))

        return self._wire.persist(attempt)

    def _fetch_token(self, client: httpx.Client) -> Reply:
        subject = f"access token of {self.corp_id}"
        secret = self._secret().get_secret_value()
        params = {"corpid": self.corp_id, "corpsecret": secret}

        def attempt() -> Reply:
            reply = exchange(lambda: client.get(TOKEN_PATH, params=params), subject)
            return refuse_errors(reply, subject, WECOM_ERRCODES, conceal=(secret,))

        return self._wire.persist(attempt)
