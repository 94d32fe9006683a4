"""A stand-in for 聚水潭's open platform that enforces what its documentation demands.

Signature, timestamp, token, whitelisted permissions, seven days, fifty records, five calls a second
and a hundred a minute. It answers HTTP 200 to everything, as the platform does.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from tests.turning_clock import TurningClock

SHANGHAI = ZoneInfo("Asia/Shanghai")
APP_KEY, APP_SECRET = "1a2b3c4d", "s3cr3t-of-the-app"
NAMES = {
    "/open/orders/single/query": "orders",
    "/open/orders/out/simple/query": "datas",
    "/open/refund/single/query": "datas",
}

Record = dict[str, Any]


class RefusedError(Exception):
    def __init__(self, code: int, msg: str) -> None:
        super().__init__(msg)
        self.code, self.msg = code, msg


class JushuitanHost:
    def __init__(self, clock: TurningClock) -> None:
        self.lists: dict[str, list[Record]] = {path: [] for path in NAMES}
        self.token, self.refresh_token = "token-0", "refresh-0"
        self.lasts_seconds = 30 * 86400
        self.calls: list[tuple[str, Record]] = []
        self.before_call: Callable[[int], None] = lambda count: None
        self.forbidden: set[str] = set()
        self.largest_page = 50
        self._clock = clock
        self.called_at: list[datetime] = []
        self._pairs = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = dict(httpx.QueryParams(request.content.decode()))
        try:
            data = self._answer(request.url.path, form)
        except RefusedError as refused:
            return httpx.Response(200, json={"code": refused.code, "msg": refused.msg})
        return httpx.Response(200, json={"code": 0, "msg": "执行成功", "data": data})

    def _answer(self, path: str, form: dict[str, str]) -> Any:
        self._check_rate()
        self._check_signature(form)
        if path == "/openWeb/auth/getInitToken":
            return self._pair()
        if path == "/openWeb/auth/refreshToken":
            if form["refresh_token"] != self.refresh_token:
                raise RefusedError(100, "验证失败！无效的refresh_token")
            self._pairs += 1
            self.token, self.refresh_token = f"token-{self._pairs}", f"refresh-{self._pairs}"
            return self._pair()
        if form["access_token"] != self.token:
            raise RefusedError(100, "验证失败！无效的access_token或access_token已过期")
        if path in self.forbidden:
            raise RefusedError(190, "验证失败！无API权限，请申请API权限")
        return self._page(path, json.loads(form["biz"]))

    def _pair(self) -> Record:
        return {
            "access_token": self.token, "refresh_token": self.refresh_token,
            "expires_in": self.lasts_seconds, "scope": "all",
        }  # fmt: skip

    def _check_rate(self) -> None:
        now = self._clock.at
        self.called_at.append(now)
        for span, most, code in ((1, 5, 199), (60, 100, 200)):
            since = now - timedelta(seconds=span)
            if sum(at > since for at in self.called_at) > most:
                raise RefusedError(code, "调用频次超过限制!请稍后再试")

    def _check_signature(self, form: dict[str, str]) -> None:
        signed = APP_SECRET
        for name in sorted(set(form) - {"sign"}):
            signed += name + form[name]
        if form.get("app_key") != APP_KEY or (
            hashlib.md5(signed.encode()).hexdigest() != form.get("sign")
        ):
            raise RefusedError(10, "验证失败！无效签名")
        if abs(self._clock.at.timestamp() - int(form["timestamp"])) > 15 * 60:
            raise RefusedError(140, "验证失败！无效的timestamp，请求最大时间误差15分钟")

    def _page(self, path: str, biz: Record) -> Record:
        self.before_call(len(self.calls))
        self.calls.append((path, biz))
        begin, end = (biz[name] for name in ("modified_begin", "modified_end"))
        if _read(end) - _read(begin) > timedelta(days=7) or _read(end) < _read(begin):
            raise RefusedError(4, "时间间隔不能超过七天")
        if not 1 <= biz["page_size"] <= 50:
            raise RefusedError(4, "每页最大50")
        found = sorted(
            (of for of in self.lists[path] if begin <= of["modified"][:19] <= end),
            key=lambda of: of["modified"],
        )
        size, number = min(biz["page_size"], self.largest_page), biz["page_index"]
        return {
            "page_index": number, "page_size": size, "data_count": len(found),
            "page_count": -(-len(found) // size), "has_next": number * size < len(found),
            NAMES[path]: found[(number - 1) * size : number * size],
        }  # fmt: skip


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI)
