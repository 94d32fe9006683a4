"""The daily quota of each call at the simulated WeChat: counted, told and reset."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from pipeline.landing import business_day
from pipeline.simulation.http_call import Answer, answer_json, refuse_with_rid

GET, CLEAR = "/cgi-bin/openapi/quota/get", "/cgi-bin/clear_quota"
CLEARED_A_MONTH = 10


@dataclass
class CallQuotas:
    """What the accounts have used of their quotas today. `now` gives epoch seconds."""

    calls_a_day: int
    paths: frozenset[str]
    now: Callable[[], float]
    _used: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _cleared: Counter[tuple[str, str]] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def take(self, app_id: str, path: str) -> Answer | None:
        """Count a call; the refusal where the day's quota is gone."""
        key = self._key(app_id, path)
        with self._lock:
            if self._used[key] >= self.calls_a_day:
                return self._refuse(45009, "reach max api daily quota limit")
            self._used[key] += 1
        return None

    def tell(self, app_id: str, body: dict[str, Any]) -> Answer:
        path = body.get("cgi_path")
        if path not in self.paths:
            return self._refuse(76021, "cgi_path not found, please check")
        with self._lock:
            used = self._used[self._key(app_id, str(path))]
        left = self.calls_a_day - used
        quota = {"daily_limit": self.calls_a_day, "used": used, "remain": left}
        rate = {"call_count": 0, "refresh_second": 60}
        told: dict[str, Any] = {"errcode": 0, "errmsg": "ok", "quota": quota}
        # Calls of the datacube have no limit of this kind.
        is_rated = not str(path).startswith("/datacube/")
        return answer_json(told | {"rate_limit": rate} if is_rated else told)

    def clear(self, app_id: str, body: dict[str, Any]) -> Answer:
        """Reset an account's own quotas, ten times a month."""
        if body.get("appid") != app_id:
            return self._refuse(40013, "invalid appid")
        with self._lock:
            month = (app_id, self._today()[:7])
            if self._cleared[month] >= CLEARED_A_MONTH:
                return self._refuse(48006, "forbid to clear quota because of reaching the limit")
            self._cleared[month] += 1
            for key in [key for key in self._used if key[0] == app_id]:
                del self._used[key]
        return answer_json({"errcode": 0, "errmsg": "ok"})

    def _key(self, app_id: str, path: str) -> tuple[str, str, str]:
        return app_id, path, self._today()

    def _today(self) -> str:
        return business_day(datetime.fromtimestamp(self.now(), UTC)).isoformat()

    def _refuse(self, errcode: int, errmsg: str) -> Answer:
        return refuse_with_rid(errcode, errmsg, self.now())
