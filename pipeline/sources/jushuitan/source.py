"""Orders, lines, payments, shipments and refunds of 聚水潭 as landed tables."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property, partial
from typing import Any, ClassVar

from pipeline.errors import BrokenContentError
from pipeline.landing import SHANGHAI
from pipeline.sources.jushuitan.api import JushuitanApi, Post
from pipeline.sources.jushuitan.payments import PAID_AMOUNT, PAYS, allocate
from pipeline.sources.records import Record
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

# Allowed are seven days. Whether both ends count among them is not said: a second less is safe.
LONGEST = timedelta(days=7) - timedelta(seconds=1)
PAGE_SIZE = 50

_ORDERS = ChangeList("/open/orders/single/query", "orders", "o_id", LONGEST, PAGE_SIZE)
LISTS = {
    "erp_orders": _ORDERS,
    "erp_order_lines": _ORDERS,
    "erp_receipts": _ORDERS,
    "erp_shipments": ChangeList(
        "/open/orders/out/simple/query", "datas", "io_id", LONGEST, PAGE_SIZE
    ),
    "erp_refunds": ChangeList("/open/refund/single/query", "datas", "as_id", LONGEST, PAGE_SIZE),
}


class JushuitanRecords(SlicedSource):
    """One landed table as the list of 聚水潭 that holds it, by time of change."""

    connector = "jushuitan"
    parts: ClassVar[Mapping[str, str]] = {"erp_order_lines": "items", "erp_receipts": PAYS}
    day_fields: ClassVar[Mapping[str, str]] = {"erp_order_lines": "order_date"}

    @cached_property
    def _api(self) -> JushuitanApi:
        return JushuitanApi(self._connection, self._company, self._wire)

    @property
    def _what(self) -> str:
        return f"{self._lists[0].path} at {self._api.base_url}"

    @property
    def _lists(self) -> Sequence[ChangeList]:
        return (LISTS[self.table.name],)

    @property
    def _kept(self) -> Sequence[str]:
        return ("o_id", PAID_AMOUNT) if self.table.name == "erp_receipts" else ()

    def _complete(self, records: list[dict[str, Any]]) -> Sequence[Record]:
        return allocate(records) if self.table.name == "erp_receipts" else records

    @contextmanager
    def _line(self) -> Iterator[AskPage]:
        with self._api.open() as post:
            yield partial(self._ask, post)

    def _ask(self, post: Post, listed: ChangeList, window: Window, number: int) -> Page:
        biz: dict[str, Any] = {
            **self._settings.parameters,
            "modified_begin": local_text(window.since, SHANGHAI),
            "modified_end": local_text(window.until, SHANGHAI),
            "page_index": number + 1,
            "page_size": listed.page_size,
            "is_get_total": True,
        }
        data = post(listed.path, biz, what=self._what)
        return self._read_page(data, listed, number)

    def _read_page(self, data: Mapping[str, Any], listed: ChangeList, number: int) -> Page:
        records = records_of(data.get(listed.list_name) or [], self._what, listed.list_name)
        total = count_of(data.get("data_count"), self._what, "data_count")
        is_last = (number + 1) * listed.page_size >= total
        if is_last and data.get("has_next") is True:
            raise BrokenContentError(
                f"{self._what}: page {number + 1} says that more pages follow, and that there are"
                f" {total} records in all, of {listed.page_size} a page",
                next_step="run again; if it repeats, ask its support which of the two is right",
            )
        return Page(records, total)
