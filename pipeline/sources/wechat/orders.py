"""WeChat's own order list: state, amount and shipping of every order paid in the mini-program."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import pyarrow as pa

from pipeline.conform import mask_raw
from pipeline.errors import BrokenContentError, NotReadyError
from pipeline.landing import Extract, Rejected, day_end, day_start
from pipeline.sources.wechat.account import AccountSource
from pipeline.sources.wechat.api import Post

ORDER_LIST = "/wxa/sec/order/get_order_list"
PAGE_SIZE = 100
# An order moves on after its payment: shipped within days, receipt confirmed by itself after ten.
TRAILING_DAYS = 10
ORDER_STATES = {
    "1": "to ship",
    "2": "shipped",
    "3": "receipt confirmed",
    "4": "finished",
    "5": "refunded",
    "6": "funds awaiting settlement",
}
# Contacts of sender and receiver stand beside these; they are never landed.
SHIPMENT_FIELDS = ("tracking_no", "express_company", "upload_time")


class _UnreadableError(Exception):
    """An order that does not say what a row needs; the text is the reason."""


class OrderList(AccountSource):
    """`mp_orders`: one row per order, on the day of its payment, in the state of the asking.

    `shipments` is JSON text: an array of parcels with tracking number, carrier and upload instant.
    """

    connector = "wechat_orders"
    ready_at = time(0)  # the list itself has no delay

    @property
    def _usual_trailing_days(self) -> int:
        return TRAILING_DAYS

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per day, in the order asked. Raises NotReadyError for a day that is not over,
        else the other subclasses of SourceError."""
        with self._api.open() as post:
            for day in days:
                self._require_finished(day)
                yield self._extract(post, day)

    def probe(self) -> str:
        """Ask for one order of the latest day: proves address, secret, whitelist and permission."""
        day = self.last_day()
        with self._api.open(is_proving=True) as post:
            _read_page(post, day, last_index=None, page_size=1)
        return f"{self._api.base_url} answers {self._api.app_id}; the order list of {day} is there"

    def _require_finished(self, day: date) -> None:
        if day > self.last_day():
            raise NotReadyError(
                f"order list of {day}: the day is not over, so its list is not complete",
                next_step=f"ask for {self.last_day()} or earlier",
            )

    def _extract(self, post: Post, day: date) -> Extract:
        rows, rejected = [], []
        for order in _orders_paid_on(post, day):
            try:
                rows.append(_row(order, day))
            except _UnreadableError as error:
                rejected.append(_reject(order, day, str(error)))
        schema = pa.schema(
            [
                (name, kind if pa.types.is_timestamp(kind) else pa.string())
                for name, kind in zip(self.table.schema.names, self.table.schema.types, strict=True)
            ]
        )
        return Extract(
            day=day,
            rows=pa.Table.from_pylist(rows, schema=schema),
            complete_until=day_end(day),
            rejected=tuple(rejected),
        )


def _orders_paid_on(post: Post, day: date) -> Iterator[Any]:
    last_index, seen = None, set[str]()
    while True:
        reply = _read_page(post, day, last_index=last_index, page_size=PAGE_SIZE)
        yield from reply["order_list"]
        if not reply.get("has_more"):
            return
        last_index = reply.get("last_index")
        if not isinstance(last_index, str) or not last_index or last_index in seen:
            raise BrokenContentError(
                f"order list of {day}: after {len(seen) + 1} pages there is more to come, but the"
                " last_index that leads on is missing or came before",
                next_step="run again: the list is read from its start",
            )
        seen.add(last_index)


def _read_page(post: Post, day: date, *, last_index: str | None, page_size: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "pay_time_range": {  # seconds, both ends included
            "begin_time": int(day_start(day).timestamp()),
            "end_time": int(day_end(day).timestamp()) - 1,
        },
        "page_size": page_size,
    }
    if last_index is not None:
        body["last_index"] = last_index
    reply = post(ORDER_LIST, body, subject=f"order list of {day}")
    if not isinstance(reply.get("order_list"), list):
        raise BrokenContentError(
            f"order list of {day}: found no order_list, but"
            f" {', '.join(map(repr, reply)) or 'nothing'}",
            next_step="run again; if it repeats, check base_url of the connection",
        )
    return reply


def _row(order: object, day: date) -> dict[str, Any]:
    if not isinstance(order, dict):
        raise _UnreadableError(f"order: found a {type(order).__name__}, allowed: an object")
    paid_at = _instant("pay_time", order.get("pay_time"))
    if not day_start(day) <= paid_at < day_end(day):
        raise _UnreadableError(
            f"pay_time: found {paid_at.isoformat()}, allowed: within the day asked for, {day}"
        )
    state = _text(order.get("order_state"))
    if state not in ORDER_STATES:
        known = ", ".join(f"{code} {word}" for code, word in ORDER_STATES.items())
        raise _UnreadableError(f"order_state: found {state!r}, allowed: {known}")
    parcels = _parcels(order)
    uploads = [_instant("upload_time", parcel.get("upload_time")) for parcel in parcels]
    return {
        "transaction_id": _text(order.get("transaction_id")),
        "order_no": _text(order.get("merchant_trade_no")),
        "order_state": state,
        "paid_amount_fen": _text(order.get("paid_amount")),
        "paid_at": paid_at,
        "openid": _text(order.get("openid")),
        "first_shipped_upload_at": min(uploads, default=None),
        "shipments": _shipments(parcels, uploads),
    }


def _parcels(order: dict[str, Any]) -> list[dict[str, Any]]:
    """The uploaded parcels. `shipping` is an empty object before shipping."""
    shipping = order.get("shipping") or {}
    parcels = shipping.get("shipping_list") if isinstance(shipping, dict) else shipping
    parcels = parcels or []
    if not isinstance(parcels, list) or not all(isinstance(parcel, dict) for parcel in parcels):
        raise _UnreadableError("shipping_list: allowed: a list of objects")
    return parcels


def _shipments(parcels: list[dict[str, Any]], uploads: list[datetime]) -> str | None:
    told = [
        {name: parcel.get(name) for name in SHIPMENT_FIELDS} | {"upload_time": upload.isoformat()}
        for parcel, upload in zip(parcels, uploads, strict=True)
    ]
    return json.dumps(told, ensure_ascii=False) if told else None


def _instant(name: str, value: object) -> datetime:
    """Epoch seconds, as the list gives them, or RFC 3339, as they were uploaded."""
    try:
        if isinstance(value, str) and not value.isdecimal():
            instant = datetime.fromisoformat(value)
            if instant.tzinfo is not None:
                return instant.astimezone(UTC)
        elif isinstance(value, int | str) and int(value) > 0:
            return datetime.fromtimestamp(int(value), UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise _UnreadableError(f"{name}: found {str(value)[:40]!r}, allowed: epoch seconds")


def _reject(order: object, day: date, reason: str) -> Rejected:
    raw = order if isinstance(order, dict) else {"order": order}
    key = raw.get("transaction_id") or raw.get("merchant_trade_no") or "without a number"
    shipping = {"shipping": json.dumps(_without_contacts(raw.get("shipping")), ensure_ascii=False)}
    return Rejected(f"order list of {day}, {key}", reason, mask_raw(raw | shipping))


def _without_contacts(part: object) -> object:
    if isinstance(part, dict):
        return {name: _without_contacts(value) for name, value in part.items() if name != "contact"}
    return [_without_contacts(value) for value in part] if isinstance(part, list) else part


def _text(value: object) -> str | None:
    return None if value is None else str(value)
