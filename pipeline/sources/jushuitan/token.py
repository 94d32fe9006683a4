"""The access token of one application at 聚水潭, shared by all processes of a company.

A renewal hands out another pair of tokens, and the pair before it ends: it is kept before it is
used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from pipeline.errors import BrokenContentError
from pipeline.sources.jushuitan.codes import TokenRefusedError
from pipeline.sources.token_file import TokenFile

# A token lasts about a month; a backfill that begins with one must not outlive it.
MARGIN = timedelta(days=1)

Ask = Callable[[str], Mapping[str, Any]]
"""Asks for a pair of tokens with a refresh token; with an empty one, for the application's own."""


class _Kept(BaseModel):
    """What the file holds. It is ours only where it names our host and application."""

    base_url: str
    app_key: str
    access_token: SecretStr
    refresh_token: SecretStr
    good_until: datetime

    @property
    def token(self) -> str:
        return self.access_token.get_secret_value()


@dataclass(frozen=True)
class AccessToken:
    """One application's token at one host, kept in `folder`."""

    app_key: str
    base_url: str
    folder: Path
    now: Callable[[], datetime]

    def current(self, ask: Ask) -> str:
        """The token kept, or another where that nears its end."""
        kept = self._read()
        if kept is not None and self.now() < kept.good_until:
            return kept.token
        return self.renew("", ask)

    def renew(self, refused: str, ask: Ask) -> str:
        """Another token than the one refused: what another process has renewed, or a new one."""
        with self._file.locked():
            kept = self._read()
            if kept is None or self.now() >= kept.good_until or kept.token == refused:
                kept = self._read_reply(self._fetch(kept, ask))
                self._write(kept)
            return kept.token

    def _fetch(self, before: _Kept | None, ask: Ask) -> Mapping[str, Any]:
        if before is None:
            return ask("")
        try:
            return ask(before.refresh_token.get_secret_value())
        except TokenRefusedError:
            return ask("")  # renewed where we cannot see it, or ended long ago

    def _read_reply(self, reply: Mapping[str, Any]) -> _Kept:
        try:
            lasts = timedelta(seconds=int(reply["expires_in"]))
            return _Kept(
                base_url=self.base_url,
                app_key=self.app_key,
                access_token=SecretStr(reply["access_token"]),
                refresh_token=SecretStr(reply["refresh_token"]),
                good_until=self.now() + max(lasts - MARGIN, lasts / 2),
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            raise BrokenContentError(
                f"access token of {self.app_key}: found {', '.join(reply) or 'nothing'},"
                " allowed: access_token, refresh_token and expires_in",
                next_step="check base_url: does 聚水潭 answer there?",
            ) from None

    @cached_property
    def _file(self) -> TokenFile:
        what = f"access token of {self.app_key}"
        return TokenFile(self.folder, f"jushuitan-{self.app_key}", what)

    def _read(self) -> _Kept | None:
        """What is kept. A file that is broken, or of another host, counts as none."""
        try:
            kept = _Kept.model_validate_json(self._file.read())
        except ValidationError:
            return None
        is_ours = (kept.base_url, kept.app_key) == (self.base_url, self.app_key)
        return kept if is_ours and kept.good_until.tzinfo is not None else None

    def _write(self, kept: _Kept) -> None:
        self._file.write(
            kept.model_dump(mode="json")
            | {
                "access_token": kept.token,
                "refresh_token": kept.refresh_token.get_secret_value(),
            }
        )
