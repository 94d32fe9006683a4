"""The payments that orders list, each once and in the parts that pay each order."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.sources.records import Record, as_text

PAYS = "pays"
PAID_AMOUNT = "paid_amount"


def allocate(orders: Sequence[dict[str, Any]]) -> list[Record]:
    """The orders with the payments that paid them.

    Refunds stand in the same list, marked as no payment of the order: they are left out here.
    A payment that several orders list with one amount is split as their paid amounts, where these
    add up to it. Where each paid just that amount, or the amounts differ, they are parts already.
    Where neither fits, no order has an amount of it: landing sets such rows aside.
    """
    listed: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
    paid = [order | {PAYS: list(_payments(order))} for order in orders]
    for order in paid:
        for payment in order[PAYS]:
            listed[str(as_text(payment.get("pay_id")))].append((order, payment))
    for entries in listed.values():
        parts = _parts(entries)
        for (_, payment), part in zip(entries, parts, strict=True):
            payment["amount"] = part
    return list(paid)


def _payments(order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The payments of one order; an entry that names another order belongs to that one."""
    for entry in order.get(PAYS) or ():
        if not isinstance(entry, dict):
            yield {"": entry}
        elif entry.get("is_order_pay") is not False and _is_of(entry, order):
            yield dict(entry)


def _is_of(entry: dict[str, Any], order: dict[str, Any]) -> bool:
    """Merged orders keep the payments of those they were made of, which still list them, too."""
    named = as_text(entry.get("o_id"))
    return named in (None, "0", as_text(order.get("o_id")))


def _parts(entries: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[Any]:
    """What each order got of a payment, in the order of its entries; None where that is unclear."""
    told = [payment.get("amount") for _, payment in entries]
    amounts = {_amount(amount) for amount in told}
    paid = [_amount(order.get(PAID_AMOUNT)) for order, _ in entries]
    if len(entries) < 2 or len(amounts) > 1 or set(paid) == amounts:
        return told
    known = [part for part in paid if part is not None]
    is_split = len(known) == len(paid) and sum(known) == amounts.pop()
    return list(paid) if is_split else [None] * len(entries)


def _amount(value: Any) -> Decimal | None:
    try:
        return Decimal(as_text(value) or "")
    except InvalidOperation:
        return None
