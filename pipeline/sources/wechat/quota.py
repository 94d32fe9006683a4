"""`wechat_quota`: how much of each call's daily quota an application has used.

Asked about the calls that the connected tables make at that application. Resetting a quota is for
people to decide, and not done here.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, time
from functools import cached_property
from typing import Any

import pyarrow as pa

from pipeline.company import Company
from pipeline.errors import BrokenContentError
from pipeline.landing import Extract, Rejected, day_end
from pipeline.sources.wechat import miniprogram, official_account
from pipeline.sources.wechat.account import AccountSource
from pipeline.sources.wechat.api import Post
from pipeline.sources.wechat.errcodes import UnknownCallError
from pipeline.sources.wechat.orders import ORDER_LIST

QUOTA = "/cgi-bin/openapi/quota/get"
PATHS_OF_TABLE: dict[str, tuple[str, ...]] = {
    **{
        table: tuple(dict.fromkeys(call.path for call in calls))
        for table, calls in {**miniprogram.FIGURES, **official_account.FIGURES}.items()
    },
    "mp_orders": (ORDER_LIST,),
}
QUOTA_FIGURES = ("daily_limit", "used", "remain")
RATE_FIGURES = ("call_count", "refresh_second")


class CallQuotas(AccountSource):
    """One row per call of one application, on the latest day: WeChat tells the present only."""

    connector = "wechat_quota"
    ready_at = time(0)

    @cached_property
    def _paths(self) -> tuple[str, ...]:
        return _paths_of(self._settings.connection, self._company)

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per day, in order; those before the latest are empty and complete."""
        with self._api.open() as post:
            for day in days:
                rows, rejected = self._ask_all(post, day) if day == self.last_day() else ([], [])
                yield Extract(
                    day=day,
                    rows=pa.Table.from_pylist(rows, schema=self._schema()),
                    complete_until=day_end(day),
                    rejected=tuple(rejected),
                )

    def probe(self) -> str:
        """Ask about the first call: proves address, secret and whitelist."""
        with self._api.open(is_proving=True) as post:
            for path in self._paths[:1]:
                _ask(post, path)
        return (
            f"{self._api.base_url} answers {self._api.app_id}; quotas of {len(self._paths)} calls"
        )

    def _ask_all(self, post: Post, day: date) -> tuple[list[dict[str, Any]], list[Rejected]]:
        rows, rejected = [], []
        for path in self._paths:
            asked_at = self._wire.now().astimezone(UTC)
            try:
                quota = _ask(post, path)
            except UnknownCallError as error:
                rejected.append(Rejected(f"quota of {path}", error.message, path))
                continue
            asked = {"ref_date": str(day), "app_id": self._api.app_id, "cgi_path": path}
            rows.append({**asked, "asked_at": asked_at, **quota})
        return rows, rejected

    def _schema(self) -> pa.Schema:
        return pa.schema(
            [
                (name, kind if pa.types.is_timestamp(kind) else pa.string())
                for name, kind in zip(self.table.schema.names, self.table.schema.types, strict=True)
            ]
        )


def _paths_of(connection: str, company: Company) -> tuple[str, ...]:
    """The calls of the tables that are connected at a connection, each once."""
    return tuple(
        dict.fromkeys(
            path
            for table, settings in company.sources.tables.items()
            if connection in settings.connections
            for path in PATHS_OF_TABLE.get(table, ())
        )
    )


def _ask(post: Post, path: str) -> dict[str, str]:
    reply = post(QUOTA, {"cgi_path": path}, subject=f"quota of {path}")
    quota, rate = reply.get("quota"), reply.get("rate_limit")
    if not isinstance(quota, dict):
        raise BrokenContentError(
            f"quota of {path}: found no quota, but {', '.join(map(repr, reply)) or 'nothing'}",
            next_step="run again; if it repeats, check base_url of the connection",
        )
    told = {name: quota.get(name) for name in QUOTA_FIGURES}
    if isinstance(rate, dict):  # left out where a call has no limit of this kind
        told |= {name: rate.get(name) for name in RATE_FIGURES}
    return {name: str(value) for name, value in told.items() if value is not None}
