"""The mini-program's visits as WeChat counts them: the datacube calls.

WeChat's counts and tracked events differ by definition as well as by fault; comparing them does not
belong here.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from pipeline.company import Company, Connection, TableSource
from pipeline.errors import BrokenContentError, NotReadyError
from pipeline.landed import LandedTable
from pipeline.landing import SHANGHAI, Extract, Rejected, day_end
from pipeline.sources.wechat.api import Post, WechatApi
from pipeline.sources.wechat.days import last_ready_day, trailing_days
from pipeline.sources.wechat.wire import Wire

DAILY_VISITS = "/datacube/getweanalysisappiddailyvisittrend"
# WeChat names no hour. Partners are told to ask from 11:30 on; days still missing at 09:57 and
# empty lists before noon are on record (2022).
READY_AT = time(11, 30)
# An empty list means "not built yet" until here, and a day without any visit from here on.
EMPTY_IS_TRUE_AT = time(14)
# Figures are corrected silently for some days; asking again costs one call a day.
TRAILING_DAYS = 7


class MiniProgramVisits:
    """`mp_daily`: one row per day of visits. A call spans one day, which is the longest allowed."""

    connector = "wechat_miniprogram"
    ready_at = READY_AT

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
        self._settings = settings
        self._company = company
        self._wire = wire or Wire()
        self._api = WechatApi(connection, company, self._wire)

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per day, in the order asked. Raises NotReadyError where WeChat has not built
        the day, else the other subclasses of SourceError."""
        with self._api.open() as post:
            for day in days:
                yield self._extract(post, day)

    def changed_days(
        self,
        since: datetime | None,  # noqa: ARG002 - WeChat cannot be asked by it
        known: Mapping[date, str],
    ) -> set[date]:
        """The trailing days: WeChat does not tell which figures it has corrected."""
        return trailing_days(self._settings, known, usual=TRAILING_DAYS)

    def probe(self) -> str:
        """Ask for the latest day: proves address, secret, whitelist and permission."""
        day = self.last_day()
        with self._api.open() as post:
            try:
                _visits(post, day)
            except NotReadyError:
                return f"{self._api.base_url} answers {self._api.app_id}; {day} is not built yet"
        return f"{self._api.base_url} answers {self._api.app_id}; visits of {day} are there"

    def last_day(self) -> date:
        """The latest day whose figures are built, Asia/Shanghai."""
        return last_ready_day(self._company, self._wire.now(), READY_AT)

    def _extract(self, post: Post, day: date) -> Extract:
        rows, rejected = [], []
        for entry in self._listed(post, day):
            row = _row(entry, self.table)
            if row["ref_date"] == day.isoformat():
                rows.append(row)
            else:
                reason = f"ref_date: found {row['ref_date']!r}, allowed: the day asked for, {day}"
                rejected.append(Rejected(f"visits of {day}", reason, str(entry)))
        schema = pa.schema([(name, pa.string()) for name in self.table.schema.names])
        return Extract(
            day=day,
            rows=pa.Table.from_pylist(rows, schema=schema),
            complete_until=day_end(day),
            rejected=tuple(rejected),
        )

    def _listed(self, post: Post, day: date) -> list[Any]:
        listed = _visits(post, day)
        if not listed and not self._is_empty_true(day):
            raise NotReadyError(
                f"visits of {day}: found an empty list, which until {EMPTY_IS_TRUE_AT:%H:%M} of"
                " the next day means that the figures are not built yet",
                next_step="run again in half an hour",
            )
        return listed

    def _is_empty_true(self, day: date) -> bool:
        following = day + timedelta(days=1)
        return self._wire.now() >= datetime.combine(following, EMPTY_IS_TRUE_AT, SHANGHAI)


def _visits(post: Post, day: date) -> list[Any]:
    span = {"begin_date": f"{day:%Y%m%d}", "end_date": f"{day:%Y%m%d}"}
    reply = post(DAILY_VISITS, span, subject=f"visits of {day}")
    listed = reply.get("list")
    if not isinstance(listed, list):
        raise BrokenContentError(
            f"visits of {day}: found no list, but {', '.join(map(repr, reply)) or 'nothing'}",
            next_step="run again; if it repeats, check base_url of the connection",
        )
    return listed


def _row(entry: object, table: LandedTable) -> dict[str, str | None]:
    """The entry under the landed names, as text: landing reads the numbers and refuses others."""
    found = entry if isinstance(entry, dict) else {}
    row = {name: _text(found.get(name)) for name in table.schema.names}
    if (written := row["ref_date"]) is not None and len(written) == len("yyyymmdd"):
        row["ref_date"] = f"{written[:4]}-{written[4:6]}-{written[6:]}"
    return row


def _text(value: object) -> str | None:
    return None if value is None else str(value)
