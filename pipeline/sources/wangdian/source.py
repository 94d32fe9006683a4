"""Orders, lines, shipments and refunds of 旺店通 企业版 as landed tables."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cached_property, partial
from typing import Any, ClassVar

from pipeline.landing import SHANGHAI
from pipeline.sources.sliced import (
    AskPage,
    ChangeList,
    Page,
    SlicedSource,
    count_of,
    local_text,
    records_of,
)
from pipeline.sources.slices import Window
from pipeline.sources.wangdian.api import Post, WangdianApi

# Both ends count: its example of sixty minutes ends with the second 59:59.
LONGEST_OF_ORDERS = timedelta(minutes=60) - timedelta(seconds=1)
LONGEST = timedelta(days=30) - timedelta(seconds=1)
ARCHIVE = "his_"
# Without a state only what was sent is given, and by the time of sending instead of change.
# Cancelled; approved; sent; partly paid out; finished; sent with a problem.
SHIPMENT_STATES = ("5", "55", "95", "105", "110", "113")

_ORDERS = ChangeList(
    "/trade_query.php",
    "trades",
    "trade_no",
    LONGEST_OF_ORDERS,
    100,
    {"src": "1"},  # tells the payment of each line
)
_SHIPMENTS = ChangeList(
    "/stockout_order_query_trade.php", "stockout_list", "order_no", LONGEST, 100
)
_REFUNDS = ChangeList("/refund_query.php", "refunds", "refund_no", LONGEST, 40, {"time_type": "0"})
_OF_TABLES = {
    "erp_orders": (_ORDERS,),
    "erp_order_lines": (_ORDERS,),
    "erp_shipments": tuple(
        replace(_SHIPMENTS, parameters={"status": state, "is_by_modified": "1"})
        for state in SHIPMENT_STATES
    ),
    "erp_refunds": (_REFUNDS,),
}


def with_archive(lists: Sequence[ChangeList]) -> tuple[ChangeList, ...]:
    """The lists, and after them their archives: what is archived meanwhile is found there."""
    archives = (replace(of, path=f"/{ARCHIVE}{of.path.lstrip('/')}") for of in lists)
    return (*lists, *archives)


class WangdianRecords(SlicedSource):
    """One landed table as the lists of 旺店通 that hold it, by time of change."""

    connector = "wangdian"
    parts: ClassVar[Mapping[str, str]] = {"erp_order_lines": "goods_list"}
    day_fields: ClassVar[Mapping[str, str]] = {"erp_order_lines": "trade_time"}

    @cached_property
    def _api(self) -> WangdianApi:
        return WangdianApi(self._connection, self._company, self._wire)

    @property
    def _what(self) -> str:
        return f"{self._lists[0].path.lstrip('/')} at {self._api.base_url}"

    @property
    def _lists(self) -> Sequence[ChangeList]:
        return with_archive(_OF_TABLES[self.table.name])

    @contextmanager
    def _line(self) -> Iterator[AskPage]:
        with self._api.open() as post:
            yield partial(self._ask, post)

    def _ask(self, post: Post, listed: ChangeList, window: Window, number: int) -> Page:
        parameters: dict[str, str] = {
            **{name: str(value) for name, value in self._settings.parameters.items()},
            **listed.parameters,
            "start_time": local_text(window.since, SHANGHAI),
            "end_time": local_text(window.until, SHANGHAI),
            "page_no": str(number),
            "page_size": str(listed.page_size),
        }
        what = f"{listed.path.lstrip('/')} at {self._api.base_url}"
        reply = post(listed.path, parameters, what=what)
        return Page(
            records_of(reply.get(listed.list_name) or [], what, listed.list_name),
            self._total(reply, what, number),
        )

    def _total(self, reply: dict[str, Any], what: str, number: int) -> int:
        """How many records the window has; told on the first page only."""
        return count_of(reply.get("total_count"), what, "total_count") if number == 0 else 0
