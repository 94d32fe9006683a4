"""Receives callbacks: proves that WeChat sent them, stores them, and only then answers.

What a callback means does not belong here: what can be read is stored, known or not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.company import Company, Connection
from pipeline.errors import ConfigurationError
from pipeline.sources.wechat.callbacks.body import UnreadableBodyError, read_bodies
from pipeline.sources.wechat.callbacks.journal import Journal
from pipeline.sources.wechat.callbacks.seal import Seal, SealError, is_signed

# WeChat tries again within seconds; what is older was sent by somebody who kept it.
OLDEST = timedelta(minutes=10)
ECHO_MOST = 256


class RefusedError(Exception):
    """A request that is not answered with success: HTTP status and reason, without its content."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Receiver:
    """One account's end of the line. With a `seal` only encrypted bodies are taken."""

    token: str
    seal: Seal | None
    app_id: str | None
    journal: Journal
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def prove(self, query: Mapping[str, str]) -> str:
        """The answer that proves to WeChat that this address knows the token."""
        self._require_signature(query, "signature")
        echo = query.get("echostr", "")
        if not echo or len(echo) > ECHO_MOST or not echo.isalnum():
            raise RefusedError(400, "echostr: allowed: letters and digits")
        return echo

    def take(self, query: Mapping[str, str], content: bytes) -> None:
        """Store a posted body. When this returns, it is on disk."""
        if self.seal is None:
            self._require_signature(query, "signature")
            body = content
        else:
            encrypted = _encrypted(content)
            self._require_signature(query, "msg_signature", encrypted)
            try:
                body = self.seal.open(encrypted)
            except SealError as error:
                raise RefusedError(403, f"encrypted body: {error}") from None
        read = _read(body)
        if self.seal is None and all(_is_sealed(part) for part in read):
            raise RefusedError(
                400, "body: encrypted, allowed: plain ones, where callback_key_env is not set"
            )
        try:
            told = body.decode("utf-8")
        except UnicodeDecodeError:
            raise RefusedError(400, "body: allowed: UTF-8") from None
        self.journal.append(told, app_id=self.app_id)

    def _require_signature(self, query: Mapping[str, str], name: str, *more: str) -> None:
        timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        if not is_signed(query.get(name, ""), self.token, timestamp, nonce, *more):
            raise RefusedError(403, f"{name}: not made with this account's token")
        is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 10
        seconds = abs(self.now().timestamp() - int(timestamp)) if is_number else float("inf")
        if seconds > OLDEST.total_seconds():
            raise RefusedError(403, f"timestamp: allowed: within {OLDEST} of this machine's clock")


def open_receivers(company: Company) -> dict[str, Receiver]:
    """Those of all connections that name a token, by the connection's name.

    Raises ConfigurationError where there is none, or one lacks what it needs.
    """
    receivers = {
        name: _open(name, connection, company)
        for name, connection in company.sources.connections.items()
        if connection.callback_token_env
    }
    if not receivers:
        raise ConfigurationError(
            "sources.yml: found no connection with callback_token_env",
            next_step="add folder, app_id and callback_token_env to a connection of"
            " connector wechat_callbacks",
        )
    return receivers


def _open(name: str, connection: Connection, company: Company) -> Receiver:
    if connection.folder is None:
        raise ConfigurationError(f"sources.yml: {name}: missing folder, where bodies are stored")
    key_name, app_id = connection.callback_key_env, connection.app_id
    if key_name and not app_id:
        raise ConfigurationError(
            f"sources.yml: {name}: missing app_id, which an encrypted body must bear"
        )
    key = company.secret(key_name).get_secret_value() if key_name else ""
    return Receiver(
        token=company.secret(connection.callback_token_env or "").get_secret_value(),
        seal=Seal(key, app_id or "") if key_name else None,
        app_id=app_id,
        journal=Journal(connection.folder),
    )


def _read(content: bytes) -> list[dict[str, object]]:
    try:
        return read_bodies(content)
    except UnreadableBodyError as error:
        raise RefusedError(400, f"body: {error}") from None


def _is_sealed(body: Mapping[str, object]) -> bool:
    """Whether all that a body says is sealed: without the key nobody could read it later."""
    return "Encrypt" in body and "MsgType" not in body


def _encrypted(content: bytes) -> str:
    """The sealed part of an XML or JSON envelope."""
    found = _read(content)[0].get("Encrypt")
    if not isinstance(found, str) or not found:
        raise RefusedError(400, "body: found no Encrypt, allowed: encrypted bodies only")
    return found
