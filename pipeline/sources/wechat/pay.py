"""A merchant's bills of a day, trade bill and fund flow: from WeChat Pay, or from the archive."""

from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from functools import cached_property, partial

import httpx
import pyarrow as pa

from pipeline.company import TableSource
from pipeline.company.sources import PAY_URL
from pipeline.errors import BrokenContentError, NotReadyError, PermanentSourceError
from pipeline.landed import LandedTable
from pipeline.landing import Extract, day_end
from pipeline.sources.days import DailySource
from pipeline.sources.wechat.archive import BillArchive
from pipeline.sources.wechat.bill import read_bill
from pipeline.sources.wechat.fund_flow import read_fund_flow
from pipeline.sources.wechat.merchant import AddressRefusedError, MerchantLine
from pipeline.sources.wechat.paycodes import NoStatementError, RequestRefusedError
from pipeline.sources.wechat.signing import MerchantKeys
from pipeline.sources.wechat.statement import EMPTY, Statement, unpack
from pipeline.sources.wire import LOOPBACK

# WeChat Pay builds the bills from 09:00 on and asks to fetch them after 10:00.
READY_AT = time(10)
MONTHS_GIVEN = 3
FUND_FLOW_CALLS_PER_SECOND = 3


@dataclass(frozen=True)
class BillKind:
    """One kind of bill: how it is asked for, under which name it is kept, how it is read."""

    path: str
    words: str
    choice: tuple[str, str]
    read: Callable[..., Statement]
    calls_per_second: int | None = None

    def target(self, day: date) -> str:
        """Path and query, exactly as they are signed and sent."""
        name, value = self.choice
        return f"{self.path}?bill_date={day.isoformat()}&{name}={value}&tar_type=GZIP"

    @property
    def archive_name(self) -> str:
        return f"{self.path.rpartition('/')[2]}-{self.choice[1]}"


class MerchantBills(DailySource):
    """`pay_bill` and `pay_fund_flow`: one merchant's bills, of every app that it serves.

    Money in fen, fees in thousandths of a fen. A refund is a snapshot of its acceptance: its state
    never changes in later bills. Reconcile order totals with `order_amount_fen` of the trade bill,
    cash with the fund flow.
    """

    connector = "wechat_pay"
    ready_at = READY_AT

    @property
    def _base_url(self) -> str:
        return self._connection.base_url or PAY_URL

    @cached_property
    def _kind(self) -> BillKind:
        return _kind_of(self.table, self._settings, self._connection.merchant_id or "")

    @cached_property
    def _archive(self) -> BillArchive:
        return BillArchive(self._company.data, self._connection.merchant_id or "")

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per day, in the order asked, tied to the bill's own summary.

        What is fetched is archived; days that WeChat no longer gives out come from the archive.
        Raises NotReadyError while a bill is being built, BrokenContentError where a second
        download is no better than the first, PermanentSourceError for a day that neither has.
        """
        with self._wire.client(self._base_url) as client:
            line = self._line(client)
            for day in days:
                yield self._as_extract(day, self._bill_of(line, day))

    def probe(self) -> str:
        """Ask for the latest bill: proves address, keys on both sides, clock and permission."""
        day = self.last_day()
        with self._wire.client(self._base_url) as client:
            try:
                self._line(client).ask(self._kind.target(day), self._name(day))
                state = "is there"
            except NoStatementError:
                state = "has no trade"
            except NotReadyError:
                state = "is being built"
        merchant = f"merchant {self._connection.merchant_id}"
        return f"{self._base_url} answers {merchant}; the {self._name(day)} {state}"

    def _line(self, client: httpx.Client) -> MerchantLine:
        # The limit is the real host's; a stand-in on this machine has none.
        is_local = client.base_url.host in LOOPBACK
        return MerchantLine(
            client,
            MerchantKeys.load(self._connection),
            self._wire,
            calls_per_second=None if is_local else self._kind.calls_per_second,
        )

    def _bill_of(self, line: MerchantLine, day: date) -> Statement:
        """The day's bill, read whole; one fresh download where the first is broken."""
        if day < _months_before(self.last_day() + timedelta(days=1), MONTHS_GIVEN):
            return self._require_archived(day)
        try:
            address = self._find(line, day)
        except NoStatementError as error:
            # The company's last day may lie ahead of the clock.
            if day > self.last_day() or self._wire.now() < day_end(day):
                raise NotReadyError(
                    f"{error.message}; too early to be a day without trade",
                    next_step=f"run again after {READY_AT:%H:%M} Beijing of the day after it",
                ) from error
            self._archive.keep_empty(day, self._kind.archive_name)
            return EMPTY
        except RequestRefusedError:
            # Where the three months end to the day is WeChat's to say.
            kept = self._from_archive(day)
            if kept is None:
                raise
            return kept
        try:
            return self._read_at(line, address, day)
        except (BrokenContentError, AddressRefusedError):
            return self._read_at(line, self._find(line, day), day)

    def _require_archived(self, day: date) -> Statement:
        kept = self._from_archive(day)
        if kept is None:
            raise PermanentSourceError(
                f"{self._name(day)}: WeChat Pay gives bills out for {MONTHS_GIVEN} months, and"
                f" {self._archive.folder} holds none of that day",
                next_step="put the merchant's archived bills back from a backup, or move first_day"
                " in company.yml to a day that can still be had",
            )
        return kept

    def _from_archive(self, day: date) -> Statement | None:
        text = self._archive.find(day, self._kind.archive_name)
        if text is None:
            return None
        return self._kind.read(text, name=f"{self._name(day)}, archived") if text else EMPTY

    def _find(self, line: MerchantLine, day: date) -> "_Address":
        return _read_address(line.ask(self._kind.target(day), self._name(day)), self._name(day))

    def _read_at(self, line: MerchantLine, address: "_Address", day: date) -> Statement:
        name = self._name(day)
        file = line.download(address.url, name)
        text = unpack(file, address.sha1, name=name)
        bill = self._kind.read(text, name=name)
        self._archive.keep(day, self._kind.archive_name, file, text)
        return bill

    def _name(self, day: date) -> str:
        return f"{self._kind.words} of {day}"

    def _as_extract(self, day: date, bill: Statement) -> Extract:
        return Extract(
            day=day,
            rows=pa.Table.from_pylist(bill.rows, schema=self.table.schema),
            complete_until=day_end(day),
            control=bill.control,
            rejected=bill.rejected,
        )


@dataclass(frozen=True)
class _Address:
    """Where a bill lies for the next minutes, and what its bytes must hash to."""

    url: str
    sha1: str


def _kind_of(table: LandedTable, settings: TableSource, merchant_id: str) -> BillKind:
    if table.name == "pay_bill":
        choice = ("bill_type", settings.bill_type)
        return BillKind("/v3/bill/tradebill", "trade bill", choice, read_bill)
    return BillKind(
        "/v3/bill/fundflowbill",
        "fund-flow bill",
        ("account_type", settings.account_type),
        partial(read_fund_flow, account_type=settings.account_type, merchant_id=merchant_id),
        FUND_FLOW_CALLS_PER_SECOND,
    )


def _read_address(told: Mapping[str, object], name: str) -> _Address:
    url, kind, sha1 = (told.get(key) for key in ("download_url", "hash_type", "hash_value"))
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise BrokenContentError(f"{name}: the reply bears no download_url", next_step="run again")
    if kind != "SHA1" or not isinstance(sha1, str):
        raise PermanentSourceError(
            f"{name}: hash_type: found {str(kind)[:40]!r}, allowed: SHA1",
            next_step="WeChat Pay has changed its bills: this client must be renewed",
        )
    return _Address(url, sha1)


def _months_before(day: date, months: int) -> date:
    """The same day of an earlier month, or its last where that month is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
