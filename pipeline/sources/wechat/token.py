"""The access token of one application, shared by all processes of a company.

stable_token in its normal mode gives every caller the same token; /cgi-bin/token would end the
token before with each call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from pipeline.errors import BrokenContentError
from pipeline.sources.token_file import TokenFile

PATH = "/cgi-bin/stable_token"
# A caller always sees about 300 s or more left; a call that takes long must not outlive its token.
MARGIN = timedelta(seconds=60)
LONGEST_SECONDS = 7200.0
# WeChat's limits of forced renewals: within 30 s it answers with the token it has.
FORCED_APART = timedelta(seconds=30)
FORCED_A_DAY = 20

Ask = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Posts a body to stable_token and returns the reply."""


class _Kept(BaseModel):
    """What a cache file holds. It is ours only where it names our host and application."""

    base_url: str
    app_id: str
    access_token: SecretStr
    good_until: datetime
    forced_at: tuple[datetime, ...] = ()

    @property
    def token(self) -> str:
        return self.access_token.get_secret_value()


@dataclass(frozen=True)
class StableToken:
    """One application's token at one host, cached in `folder`.

    `read_secret` is called only when a token must be asked for.
    """

    app_id: str
    base_url: str
    folder: Path
    read_secret: Callable[[], SecretStr]
    now: Callable[[], datetime]

    def current(self, ask: Ask) -> str:
        """The token kept, or a new one where that nears its end."""
        kept = self._read()
        if kept is not None and self._is_good(kept):
            return kept.token
        with self._file.locked():
            kept = self._read()
            if kept is None or not self._is_good(kept):
                kept = self._fetch(ask, kept, is_forced=False)
            return kept.token

    def ask_again(self, ask: Ask) -> None:
        """Ask for the token whatever is kept: in normal mode that ends no other."""
        with self._file.locked():
            self._fetch(ask, self._read(), is_forced=False)

    def renew(self, refused: str, ask: Ask) -> str:
        """Another token than the one refused: one that another process has renewed meanwhile, or
        the platform's; it is forced only where the platform still hands out the refused one.
        Where WeChat allows no forced renewal now, the refused token comes back."""
        with self._file.locked():
            kept = self._read()
            if kept is not None and kept.token != refused and self._is_good(kept):
                return kept.token
            kept = self._fetch(ask, kept, is_forced=False)
            if kept.token == refused and self._may_force(kept):
                kept = self._fetch(ask, kept, is_forced=True)
            return kept.token

    def _is_good(self, kept: _Kept) -> bool:
        # A file whose token outlives the longest that WeChat gives was written by a wrong clock.
        return self.now() < kept.good_until <= self.now() + timedelta(seconds=LONGEST_SECONDS)

    def _may_force(self, kept: _Kept) -> bool:
        forced = self._forced_lately(kept)
        return len(forced) < FORCED_A_DAY and all(self.now() - at >= FORCED_APART for at in forced)

    def _forced_lately(self, kept: _Kept | None) -> tuple[datetime, ...]:
        since = self.now() - timedelta(days=1)
        return tuple(at for at in kept.forced_at if at > since) if kept else ()

    def _fetch(self, ask: Ask, before: _Kept | None, *, is_forced: bool) -> _Kept:
        asked_at = self.now()
        reply = ask(
            {
                "grant_type": "client_credential",
                "appid": self.app_id,
                "secret": self.read_secret().get_secret_value(),
                "force_refresh": is_forced,
            }
        )
        value, seconds = reply.get("access_token"), reply.get("expires_in")
        if not isinstance(value, str) or not value or not isinstance(seconds, int | float):
            raise BrokenContentError(
                f"stable_token of {self.app_id}: found {', '.join(reply) or 'nothing'},"
                " allowed: access_token and expires_in",
                next_step="check base_url: does WeChat answer there?",
            )
        lasts = timedelta(seconds=min(float(seconds), LONGEST_SECONDS))
        kept = _Kept(
            base_url=self.base_url,
            app_id=self.app_id,
            access_token=SecretStr(value),
            good_until=asked_at + lasts - MARGIN,
            forced_at=(*self._forced_lately(before), *((asked_at,) if is_forced else ())),
        )
        self._write(kept)
        return kept

    @cached_property
    def _file(self) -> TokenFile:
        return TokenFile(self.folder, self.app_id, f"access token of {self.app_id}")

    def _read(self) -> _Kept | None:
        """What is kept. A file that is broken, or of another host, counts as none."""
        try:
            kept = _Kept.model_validate_json(self._file.read())
        except ValidationError:
            return None
        is_zoned = all(at.tzinfo is not None for at in (kept.good_until, *kept.forced_at))
        is_ours = (kept.base_url, kept.app_id) == (self.base_url, self.app_id)
        return kept if is_ours and is_zoned else None

    def _write(self, kept: _Kept) -> None:
        self._file.write(kept.model_dump(mode="json") | {"access_token": kept.token})
