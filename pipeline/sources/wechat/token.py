"""The access token of one application, by stable_token, kept in this process.

In its normal mode stable_token gives every caller the same token, so a process of its own cache
does no harm to the others. /cgi-bin/token would: each call ends the token before.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from pipeline.errors import BrokenContentError

PATH = "/cgi-bin/stable_token"
# A caller always sees about 300 s or more left; a call that takes long must not outlive its token.
MARGIN = timedelta(seconds=60)

Ask = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Posts a body to stable_token and returns the reply."""


class StableToken:
    """One application's token. `read_secret` is called only when a token must be asked for."""

    def __init__(
        self, app_id: str, read_secret: Callable[[], SecretStr], now: Callable[[], datetime]
    ) -> None:
        self._app_id = app_id
        self._read_secret = read_secret
        self._now = now
        self._value = ""
        self._good_until = datetime.min.replace(tzinfo=UTC)

    def current(self, ask: Ask) -> str:
        """The token kept, or a new one where that nears its end."""
        if self._now() >= self._good_until:
            self._fetch(ask, is_forced=False)
        return self._value

    def renew(self, refused: str, ask: Ask) -> str:
        """Another token than the one refused. WeChat allows 20 forced renewals a day, so it is
        forced only where the platform still hands out the refused one."""
        self._fetch(ask, is_forced=False)
        if self._value == refused:
            self._fetch(ask, is_forced=True)
        return self._value

    def _fetch(self, ask: Ask, *, is_forced: bool) -> None:
        asked_at = self._now()
        reply = ask(
            {
                "grant_type": "client_credential",
                "appid": self._app_id,
                "secret": self._read_secret().get_secret_value(),
                "force_refresh": is_forced,
            }
        )
        value, seconds = reply.get("access_token"), reply.get("expires_in")
        if not isinstance(value, str) or not value or not isinstance(seconds, int | float):
            raise BrokenContentError(
                f"stable_token of {self._app_id}: found {', '.join(reply) or 'nothing'},"
                " allowed: access_token and expires_in",
                next_step="check base_url: does WeChat answer there?",
            )
        self._value = value
        self._good_until = asked_at + timedelta(seconds=min(float(seconds), 7200.0)) - MARGIN
