"""A stand-in for 旺店通 企业版's open interface that enforces what its documentation demands.

Signature, timestamp, windows that include both their ends, page sizes, sixty calls a minute, states
of shipments, and archives with paths of their own. It answers HTTP 200 to everything.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx

from tests.turning_clock import TurningClock

SID, APP_KEY, APP_SECRET = "apidevnew2", "apidevnew2-test", "s3cr3t-of-wdt"
MINUTE = timedelta(minutes=1)
# Of each list: its name in the reply, its longest window, its largest page.
LISTS = {
    "trade_query.php": ("trades", 60 * MINUTE, 100),
    "stockout_order_query_trade.php": ("stockout_list", 30 * 24 * 60 * MINUTE, 100),
    "refund_query.php": ("refunds", 30 * 24 * 60 * MINUTE, 40),
}

Record = dict[str, Any]


class RefusedError(Exception):
    pass


class WangdianHost:
    def __init__(self, clock: TurningClock) -> None:
        self.lists: dict[str, list[Record]] = {
            archive + path: [] for path in LISTS for archive in ("", "his_")
        }
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.before_call: Callable[[int], None] = lambda count: None
        self._clock = clock
        self.called_at: list[datetime] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = dict(httpx.QueryParams(request.content.decode()))
        path = request.url.path.removeprefix("/openapi2/")
        try:
            return httpx.Response(200, json={"code": 0, "message": "ok"} | self._page(path, form))
        except RefusedError as refused:
            return httpx.Response(200, json={"code": 1000, "message": str(refused)})

    def _page(self, path: str, form: dict[str, str]) -> Record:
        self._check_call(form)
        self.before_call(len(self.calls))
        self.calls.append((path, form))
        name, longest, largest = LISTS[path.removeprefix("his_")]
        begin, end = form["start_time"], form["end_time"]
        asked = datetime.fromisoformat(end) - datetime.fromisoformat(begin)
        if not timedelta(0) <= asked < longest:
            raise RefusedError(f"start_time和end_time最大跨度为{longest}")
        size, number = int(form["page_size"]), int(form["page_no"])
        if not 1 <= size <= largest:
            raise RefusedError(f"page_size 1~{largest}")
        found = [
            of
            for of in self.lists[path]
            if begin <= of["modified"] and self._is_asked(of, end, form)
        ]
        found.sort(key=lambda of: of["modified"])
        page: Record = {name: found[number * size : (number + 1) * size]}
        if form.get("src") != "1":
            page[name] = [_without_payments(of) for of in page[name]]
        return page | ({"total_count": len(found)} if number == 0 else {})

    def _is_asked(self, record: Record, end: str, form: dict[str, str]) -> bool:
        # Ends count, as whole seconds: what is kept in finer steps lies behind them.
        if record["modified"] > end:
            return False
        return "is_by_modified" not in form or str(record["status"]) == form["status"]

    def _check_call(self, form: dict[str, str]) -> None:
        now = self._clock.at
        self.called_at.append(now)
        if sum(at > now - MINUTE for at in self.called_at) > 60:
            raise RefusedError("超过每分钟最大调用频率限制,请稍后重试")
        packed = [
            f"{len(key):02}-{key}:{len(form[key]):04}-{form[key]}"
            for key in sorted({*form} - {"sign"})
        ]
        expected = hashlib.md5((";".join(packed) + APP_SECRET).encode()).hexdigest()
        if (form.get("sid"), form.get("appkey"), form.get("sign")) != (SID, APP_KEY, expected):
            raise RefusedError("Invalid sign 签名错误")
        if abs(now.timestamp() - int(form["timestamp"])) > 300:
            raise RefusedError("时间戳超出允许误差")


def _without_payments(record: Record) -> Record:
    lines = [
        {name: value for name, value in line.items() if name != "pay_id"}
        for line in record.get("goods_list", ())
    ]
    return record | ({"goods_list": lines} if lines else {})
