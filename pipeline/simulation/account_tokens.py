"""The access tokens of one account at the simulated WeChat, and who may have them.

stable_token and /cgi-bin/token give tokens of two kinds, neither of which ends the other.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal

from pipeline.simulation.habits import Habits
from pipeline.simulation.http_call import Answer, Call, answer_json, refuse_with_rid

AccountKind = Literal["mini_program", "service_account"]

STABLE, PLAIN = "/cgi-bin/stable_token", "/cgi-bin/token"
TOKEN_SECONDS = 7200
# The platform renews a stable token five minutes before it ends; both are good for those minutes.
RENEWAL_SECONDS = 300
FORCED_APART_SECONDS = 30
FORCED_A_DAY = 20
STABLE_CALLS_A_MINUTE = 10_000


@dataclass(frozen=True)
class _Token:
    value: str
    expires_at: float


@dataclass
class AccountTokens:
    """One account's tokens. `now` gives epoch seconds."""

    kind: AccountKind
    app_id: str
    secret: str
    now: Callable[[], float]
    _stable: list[_Token] = field(default_factory=list)
    _plain: _Token | None = None
    _forced_at: list[float] = field(default_factory=list)
    _minute: tuple[int, int] = (0, 0)
    _lock: Lock = field(default_factory=Lock)

    def give_stable(self, *, is_forced: bool) -> Answer:
        """The token of the moment, in forced mode another one."""
        with self._lock:
            if self._is_over_the_minute():
                text = "api minute-quota reach limit, must slower, retry next minute"
                return refuse_with_rid(45011, text, self.now())
            if is_forced and not self._force():
                return refuse_with_rid(45009, "reach max api daily quota limit", self.now())
            return _told(self._current(), self.now())

    def give_plain(self) -> Answer:
        """A new token; the one that this call gave before dies."""
        with self._lock:
            self._plain = self._new()
            return _told(self._plain, self.now())

    def knows(self, value: str) -> _Token | None:
        """The token of that value, ended or not; None where it is none, or has been superseded."""
        with self._lock:
            tokens = [*self._stable, *([self._plain] if self._plain else [])]
        return next((token for token in tokens if token.value == value), None)

    def revoke(self) -> None:
        """End every token, as an owner does who renews the secret."""
        with self._lock:
            self._stable, self._plain = [], None

    def _force(self) -> bool:
        """Kill the old token, at most twenty times a day; within thirty seconds nothing changes.
        False where the day's limit is reached."""
        now = self.now()
        self._forced_at = [at for at in self._forced_at if now - at < 86_400]
        if self._forced_at and now - self._forced_at[-1] < FORCED_APART_SECONDS:
            return True
        if len(self._forced_at) >= FORCED_A_DAY:
            return False
        self._forced_at.append(now)
        self._stable = []
        return True

    def _current(self) -> _Token:
        """The same token until five minutes before its end."""
        now = self.now()
        # An ended token stays known for a while, so that it is told apart from one never given.
        self._stable = [token for token in self._stable if token.expires_at > now - TOKEN_SECONDS]
        if not self._stable or self._stable[-1].expires_at - now <= RENEWAL_SECONDS:
            self._stable.append(self._new())
        return self._stable[-1]

    def _new(self) -> _Token:
        return _Token(f"80_{secrets.token_urlsafe(96)}", self.now() + TOKEN_SECONDS)

    def _is_over_the_minute(self) -> bool:
        minute = int(self.now() // 60)
        count = self._minute[1] + 1 if self._minute[0] == minute else 1
        self._minute = (minute, count)
        return count > STABLE_CALLS_A_MINUTE


@dataclass(frozen=True)
class TokenDesk:
    """Gives out the tokens of several accounts, and tells whose a token is."""

    accounts: tuple[AccountTokens, ...]
    habits: Habits
    now: Callable[[], float]

    def answer(self, call: Call) -> Answer | None:
        """The reply; None where this desk has no such path."""
        if call.path == PLAIN:
            return self._give(call, dict(call.query))
        if call.path != STABLE:
            return None
        if call.method != "POST":
            return self._refuse(43002, "require POST method")
        body = call.json()
        return self._refuse(47001, "data format error") if body is None else self._give(call, body)

    def owner(self, value: str) -> AccountTokens | Answer:
        """The account that a token belongs to, or the refusal."""
        if not value:
            return self._refuse(41001, "access_token missing")
        for account in self.accounts:
            token = account.knows(value)
            if token is not None and token.expires_at <= self.now():
                return self._refuse(42001, "access_token expired")
            if token is not None:
                return account
        return self._refuse(40001, "invalid credential, access_token is invalid or not latest")

    def _give(self, call: Call, said: dict[str, Any]) -> Answer:
        for name, code in (("appid", 41002), ("secret", 41004)):
            if not said.get(name):
                return self._refuse(code, f"{name} missing")
        if said.get("grant_type") != "client_credential":
            return self._refuse(40002, "invalid grant_type")
        account = next((each for each in self.accounts if each.app_id == said["appid"]), None)
        if account is None:
            return self._refuse(40013, "invalid appid")
        if said["secret"] != account.secret:
            return self._refuse(40125, "invalid appsecret")
        if self.habits.whitelist and call.address not in self.habits.whitelist:
            text = f"invalid ip {call.address} ipv6 ::ffff:{call.address}, not in whitelist"
            return self._refuse(40164, text)
        if call.path == PLAIN:
            return account.give_plain()
        return account.give_stable(is_forced=bool(said.get("force_refresh")))

    def _refuse(self, errcode: int, errmsg: str) -> Answer:
        return refuse_with_rid(errcode, errmsg, self.now())


def _told(token: _Token, now: float) -> Answer:
    return answer_json({"access_token": token.value, "expires_in": int(token.expires_at - now)})
