"""WeChat Pay v3: signed calls, verified replies, the trade bill of a day."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from types import MappingProxyType
from typing import Any

import httpx
import pyarrow as pa

from pipeline.company import Company, Connection, TableSource
from pipeline.errors import (
    BrokenContentError,
    NotReadyError,
    PermanentSourceError,
    SourceError,
    TransientSourceError,
)
from pipeline.landed import LandedTable
from pipeline.landing import Control, Extract, day_end
from pipeline.sources.wechat.bill import Bill, read_bill, unpack
from pipeline.sources.wechat.days import last_ready_day, trailing_days
from pipeline.sources.wechat.signing import SIGNATURE_HEADERS, MerchantKeys
from pipeline.sources.wechat.wire import QuotaOfMinuteError, Wire

BASE_URL = "https://api.mch.weixin.qq.com"
# WeChat Pay builds the bills from 09:00 on and asks to fetch them after 10:00.
READY_AT = time(10)
NO_BILL = Bill(rows=[], rejected=(), control=Control(rows=0))


class NoStatementError(PermanentSourceError):
    """There was no trade on that day, so there is no bill: a true empty day."""


@dataclass(frozen=True)
class Paycode:
    """One error code of WeChat Pay."""

    error: type[SourceError]
    meaning: str
    next_step: str


PAYCODES = {
    "NO_STATEMENT_EXIST": Paycode(NoStatementError, "no trade on that day", ""),
    "STATEMENT_CREATING": Paycode(
        NotReadyError, "the bill is being built", "run again in half an hour, after 10:00 Beijing"
    ),
    "PARAM_ERROR": Paycode(
        PermanentSourceError,
        "parameter refused",
        "bills go from yesterday back three months; else report it with the Request-ID",
    ),
    "INVALID_REQUEST": Paycode(
        PermanentSourceError,
        "request refused",
        "bills go from yesterday back three months; else report it with the Request-ID",
    ),
    "SIGN_ERROR": Paycode(
        PermanentSourceError,
        "our signature was refused",
        "private_key_path and certificate_serial must be of one certificate of this merchant;"
        " then check the clock",
    ),
    "NO_AUTH": Paycode(
        PermanentSourceError,
        "the merchant has no right to this bill",
        "compare merchant_id in sources.yml with pay.weixin.qq.com",
    ),
    "FREQUENCY_LIMITED": Paycode(
        QuotaOfMinuteError, "too many calls", "run again in a few minutes"
    ),
    "RATELIMIT_EXCEEDED": Paycode(
        QuotaOfMinuteError, "too many calls", "run again in a few minutes"
    ),
    "SYSTEM_ERROR": Paycode(
        TransientSourceError, "WeChat Pay is busy", "run again in a few minutes"
    ),
}
UNKNOWN = Paycode(
    PermanentSourceError,
    "a refusal that this client does not know",
    "look the code up on pay.weixin.qq.com, with the Request-ID",
)


class TradeBills:
    """`pay_bill`: one row per payment or refund of the day, of every app of the merchant.

    Money in fen, fees in thousandths of a fen. A refund is a snapshot of its acceptance: its state
    never changes in later bills. Reconcile the order total with `order_amount_fen`.
    """

    connector = "wechat_pay"
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
        self._connection = connection
        self._company = company
        self._wire = wire or Wire()
        self._base_url = connection.base_url or BASE_URL

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per day, in the order asked, tied to the bill's own summary.

        Raises NotReadyError while a bill is being built, BrokenContentError where a second
        download is no better than the first, else the other subclasses of SourceError.
        """
        keys = MerchantKeys.load(self._connection)
        with self._wire.client(self._base_url) as client:
            line = _MerchantLine(client, keys, self._wire)
            for day in days:
                yield self._as_extract(day, _fetch_bill(line, day))

    def changed_days(
        self,
        since: datetime | None,  # noqa: ARG002 - a bill is never changed
        known: Mapping[date, str],
    ) -> set[date]:
        """None, unless sources.yml asks for trailing days: a bill is never changed."""
        return trailing_days(self._settings, known, usual=0)

    def probe(self) -> str:
        """Ask for the latest bill: proves address, keys on both sides, clock and permission."""
        day = self.last_day()
        keys = MerchantKeys.load(self._connection)
        with self._wire.client(self._base_url) as client:
            try:
                _MerchantLine(client, keys, self._wire).ask_for_bill(day)
                state = "is there"
            except NoStatementError:
                state = "has no trade"
            except NotReadyError:
                state = "is being built"
        return f"{self._base_url} answers merchant {keys.merchant_id}; the bill of {day} {state}"

    def last_day(self) -> date:
        """The latest day whose bill is built, Asia/Shanghai."""
        return last_ready_day(self._company, self._wire.now(), READY_AT)

    def _as_extract(self, day: date, bill: Bill) -> Extract:
        return Extract(
            day=day,
            rows=pa.Table.from_pylist(bill.rows, schema=self.table.schema),
            complete_until=day_end(day),
            control=bill.control,
            rejected=bill.rejected,
        )


class _AddressRefusedError(PermanentSourceError):
    """The address of a bill was refused: it lives for minutes only, another can be asked for."""


class _MerchantLine:
    """Signed calls on one open client."""

    def __init__(self, client: httpx.Client, keys: MerchantKeys, wire: Wire) -> None:
        self._client = client
        self._keys = keys
        self._wire = wire

    def ask_for_bill(self, day: date) -> dict[str, Any]:
        """The verified reply: download_url (good for five minutes), hash_type, hash_value."""
        query = f"bill_date={day.isoformat()}&bill_type=ALL&tar_type=GZIP"
        subject = f"trade bill of {day}"
        return self._wire.persist(lambda: self._ask(f"/v3/bill/tradebill?{query}", subject))

    def download(self, url: str, subject: str) -> bytes:
        """The file's bytes as they came. The reply is not signed; its hash came in a signed one."""
        return self._wire.persist(lambda: self._read(url, subject))

    def _ask(self, target: str, subject: str) -> dict[str, Any]:
        with self._sent(target, subject) as response:
            body = response.read()
        is_signed = any(name in response.headers for name in SIGNATURE_HEADERS)
        if response.is_success or is_signed:
            self._keys.verify(response.headers, body, self._wire.now(), subject=subject)
        if not response.is_success:
            raise _refusal(response, subject)
        reply = _read_object(response)
        if not reply:
            raise BrokenContentError(
                f"{subject}: found {len(body)} bytes that are not a JSON object with content",
                next_step="run again; if it repeats, check base_url of the connection",
            )
        return reply

    def _read(self, url: str, subject: str) -> bytes:
        # Asked not to encode, and read raw: what is hashed is the file itself.
        with self._sent(url, subject, {"Accept": "*/*", "Accept-Encoding": "identity"}) as response:
            if response.is_success:
                return b"".join(response.iter_raw())
            response.read()
        error = _refusal(response, subject)
        if response.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND):
            raise _AddressRefusedError(error.message, next_step="run again: addresses age quickly")
        raise error

    @contextmanager
    def _sent(
        self, url: str, subject: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Iterator[httpx.Response]:
        try:
            request = self._client.build_request("GET", url, headers=headers)
            target = request.url.raw_path.decode("ascii")
            request.headers["Authorization"] = self._keys.authorize(
                request.method, target, "", self._wire.now()
            )
            if self._keys.public_key_id:
                request.headers["Wechatpay-Serial"] = self._keys.public_key_id
            response = self._client.send(request, stream=True)
            try:
                yield response
            finally:
                response.close()
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise TransientSourceError(
                f"{subject}: {type(error).__name__}, the line was cut or never made",
                next_step="check base_url of the connection, the network and the proxy",
            ) from error


@dataclass(frozen=True)
class _Address:
    """Where a bill lies for the next minutes, and what its bytes must hash to."""

    url: str
    sha1: str


def _fetch_bill(line: _MerchantLine, day: date) -> Bill:
    """The day's bill, read whole; one fresh download where the first is broken."""
    try:
        address = _find_bill(line, day)
        try:
            return _read_at(line, address, day)
        except (BrokenContentError, _AddressRefusedError):
            return _read_at(line, _find_bill(line, day), day)
    except NoStatementError:
        return NO_BILL


def _find_bill(line: _MerchantLine, day: date) -> _Address:
    told = line.ask_for_bill(day)
    url, kind, sha1 = (told.get(key) for key in ("download_url", "hash_type", "hash_value"))
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise BrokenContentError(
            f"trade bill of {day}: the reply bears no download_url", next_step="run again"
        )
    if kind != "SHA1" or not isinstance(sha1, str):
        raise PermanentSourceError(
            f"trade bill of {day}: hash_type: found {str(kind)[:40]!r}, allowed: SHA1",
            next_step="WeChat Pay has changed its bills: this client must be renewed",
        )
    return _Address(url, sha1)


def _read_at(line: _MerchantLine, address: _Address, day: date) -> Bill:
    name = f"trade bill of {day}"
    return read_bill(unpack(line.download(address.url, name), address.sha1, name=name), name=name)


def _read_object(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a reply; empty where it is none."""
    try:
        found = json.loads(response.content.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _refusal(response: httpx.Response, subject: str) -> SourceError:
    """The error for a reply that is no success, with its code and Request-ID."""
    told = _read_object(response)
    status, code = response.status_code, str(told.get("code", ""))[:60]
    known = PAYCODES.get(code)
    if known is None and status == httpx.codes.TOO_MANY_REQUESTS:
        known = PAYCODES["FREQUENCY_LIMITED"]
    elif known is None and response.is_server_error:
        known = PAYCODES["SYSTEM_ERROR"]
    elif known is None:
        known = UNKNOWN
    return known.error(
        f"{subject}: HTTP {status} {code or 'without a code'}, {known.meaning}; WeChat Pay says"
        f" '{str(told.get('message', ''))[:200]}'; Request-ID"
        f" {response.headers.get('Request-ID', 'not given')}",
        next_step=known.next_step,
    )
