"""`wechat_quota`: how much of each call's daily quota an application has used.

Asked about the calls that the connected tables make at that application. Resetting a quota is for
people to decide, and not done here.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import pyarrow as pa

from pipeline.company import Company, Connection, TableSource
from pipeline.errors import BrokenContentError
from pipeline.landed import LandedTable
from pipeline.landing import Extract, Rejected, day_end
from pipeline.sources.days import Uncounted, last_ready_day
from pipeline.sources.wechat import miniprogram, official_account
from pipeline.sources.wechat.api import Post, WechatApi
from pipeline.sources.wechat.errcodes import UnknownCallError
from pipeline.sources.wechat.orders import ORDER_LIST
from pipeline.sources.wire import Wire

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


class CallQuotas(Uncounted):
    """One row per call of one application, on the latest day: WeChat tells the present only."""

    connector = "wechat_quota"
    ready_at = time(0)

    def __init__(
        self,
        table: LandedTable,
        settings: TableSource,
        connection: Connection,
        company: Company,
        *,
        wire: Wire | None = None,
    ) -> None:
        self.table = table
        self._company = company
        self._wire = wire or Wire()
        self._api = WechatApi(connection, company, self._wire)
        self._paths = _paths_of(settings.connection, company)

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

    def changed_days(
        self,
        since: datetime | None,  # noqa: ARG002 - the past cannot be asked for
        known: Mapping[date, str],  # noqa: ARG002
    ) -> set[date]:
        """None: what was asked on a day cannot be asked again."""
        return set()

    def probe(self) -> str:
        """Ask about the first call: proves address, secret and whitelist."""
        with self._api.open() as post:
            for path in self._paths[:1]:
                _ask(post, path)
        return (
            f"{self._api.base_url} answers {self._api.app_id}; quotas of {len(self._paths)} calls"
        )

    def last_day(self) -> date:
        """The latest finished day, Asia/Shanghai."""
        return last_ready_day(self._company, self._wire.now(), self.ready_at)

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
