"""One Tryton database spoken to by JSON-RPC: session, calls, and what its errors mean.

Errors come as HTTP 200 with an `error`; a session that has ended, and a wrong password, as 401.
"""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx

from pipeline.company import Company, Connection
from pipeline.errors import (
    BrokenContentError,
    PermanentSourceError,
    SourceError,
    TransientSourceError,
)
from pipeline.sources.replies import concealed, exchange
from pipeline.sources.tryton.values import decode, encode
from pipeline.sources.wire import Wire

# What databases say when the same call may work in a moment.
_BUSY = re.compile(r"locked|timeout|timed out|deadlock|connection|serializ", re.IGNORECASE)


class _SessionEndedError(Exception):
    """HTTP 401: the session has ended, or the password is wrong."""


class TrytonServer:
    """One database of one server, as one user sees it. The session outlives a line."""

    def __init__(self, connection: Connection, company: Company, wire: Wire) -> None:
        self._base_url = connection.base_url or ""
        self._database = connection.database or ""
        self._user = connection.user or ""
        self._password_env = connection.password_env or ""
        self._company = company
        self._wire = wire
        self._session: str | None = None
        self._context: dict[str, Any] = {}

    @property
    def address(self) -> str:
        return f"{self._base_url.rstrip('/')}/{self._database}"

    @contextmanager
    def open(self) -> Iterator["Line"]:
        """A line to the server, closed at the end. Raises subclasses of BihuanError."""
        with self._wire.client(self._base_url) as client:
            yield Line(self, client)

    def call(self, client: httpx.Client, method: str, params: list[Any], what: str) -> Any:
        """The result of one call with the user's context behind its parameters."""
        if self._session is None:
            self._log_in(client)
        try:
            return self._call(client, method, [*params, self._context], what)
        except _SessionEndedError:
            self._log_in(client)
        try:
            return self._call(client, method, [*params, self._context], what)
        except _SessionEndedError:
            raise PermanentSourceError(
                f"{what}: HTTP 401 to a session that has just begun",
                next_step="check the proxy before Tryton: it must pass the header Authorization",
            ) from None

    def _log_in(self, client: httpx.Client) -> None:
        self._session = None
        what = f"login of {self._user} at {self.address}"
        password = self._company.secret(self._password_env).get_secret_value()
        params = [self._user, {"password": password}, "en"]
        try:
            told = self._call(client, "common.db.login", params, what, conceal=(password,))
        except _SessionEndedError:
            raise PermanentSourceError(
                f"{what}: refused, the user is unknown or the password is wrong",
                next_step=f"check user in sources.yml and {self._password_env} in the environment",
            ) from None
        if not isinstance(told, list) or len(told) < 2:
            raise BrokenContentError(f"{what}: found no session in the reply")
        written = f"{self._user}:{told[0]}:{told[1]}"
        self._session = base64.b64encode(written.encode()).decode()
        # As Tryton's clients do: company and language of the user decide what he may see.
        self._context = self._call(
            client, "model.res.user.get_preferences", [True, {}], f"preferences of {self._user}"
        )

    def _call(
        self,
        client: httpx.Client,
        method: str,
        params: list[Any],
        what: str,
        *,
        conceal: tuple[str, ...] = (),
    ) -> Any:
        body = {"id": 1, "method": method, "params": encode(params)}
        conceal = (*conceal, self._session or "")

        def attempt() -> Any:
            reply = exchange(partial(self._send, client, body), what, conceal=conceal)
            return _result(reply, what, conceal)

        return self._wire.persist(attempt)

    def _send(self, client: httpx.Client, body: dict[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Session {self._session}"} if self._session else {}
        response = client.post(f"/{self._database}/rpc/", json=body, headers=headers)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise _SessionEndedError
        return response


class Line:
    """An open line to the server."""

    def __init__(self, server: TrytonServer, client: httpx.Client) -> None:
        self._server = server
        self._client = client

    def call(self, model: str, method: str, *params: Any) -> Any:
        """The result of a method of a model. Raises subclasses of SourceError."""
        what = f"{model} at {self._server.address}"
        return self._server.call(self._client, f"model.{model}.{method}", list(params), what)


def _result(reply: Any, what: str, conceal: tuple[str, ...]) -> Any:
    if not isinstance(reply, dict) or not {"result", "error"} & set(reply):
        raise BrokenContentError(
            f"{what}: found JSON that is no reply to a call",
            next_step="check base_url and database: they name the server, not its web client",
        )
    if "error" in reply:
        raise _refusal(reply["error"], what, conceal)
    try:
        return decode(reply["result"])
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise BrokenContentError(
            f"{what}: found a value that cannot be read ({type(error).__name__})"
        ) from None


def _refusal(error: Any, what: str, conceal: tuple[str, ...]) -> SourceError:
    """What Tryton raises. Of an error of its own only the words are told, not the traceback."""
    parts = error if isinstance(error, list) and error else [error]
    kind = str(parts[0])
    if kind not in ("UserError", "UserWarning", "LoginException", "ConcurrencyException"):
        message = f"{what}: Tryton says {_told(kind, conceal)}"
        if _BUSY.search(kind):
            return TransientSourceError(message, next_step="run again in a few minutes")
        return PermanentSourceError(
            message,
            next_step="check object, fields and `where` in sources.yml, and that the module is"
            " activated",
        )
    details = parts[1] if len(parts) > 1 and isinstance(parts[1], list) else parts[1:]
    said = " ".join(str(detail) for detail in details[:2] if detail)
    message = f"{what}: refused, {_told(said, conceal)}"
    if kind == "ConcurrencyException":
        return TransientSourceError(message, next_step="run again in a few minutes")
    if kind == "LoginException":
        return PermanentSourceError(
            message, next_step="give the user a login by password alone: nobody is there to answer"
        )
    return PermanentSourceError(message, next_step="give the user's group the right to read this")


def _told(text: str, conceal: tuple[str, ...]) -> str:
    return f"'{concealed(text, conceal)}'"
