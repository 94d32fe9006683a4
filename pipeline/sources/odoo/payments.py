"""What an Odoo payment paid: from the books to invoices, from their lines to sales orders.

How it is shared is the concern of `allocation`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pipeline.sources.odoo.allocation import Invoice, allocate
from pipeline.sources.odoo.domains import Domain, window
from pipeline.sources.odoo.reading import Reader
from pipeline.sources.records import Record
from pipeline.sources.sharing import share

PAYMENT, ORDER = "account.payment", "sale.order"
MATCH, ENTRY, ORDER_LINE = "account.partial.reconcile", "account.move.line", "sale.order.line"
INVOICE = "account.move"
AMOUNT = "allocated.amount"
OF_ORDER = "allocated.order."
CURRENCY = "CNY"
# The payment's amount in the currency of its company, by version.
COMPANY_AMOUNTS = ("amount_company_currency_signed", "amount_total_signed")
_SIDES = ("credit_move_id", "debit_move_id")


def is_allocated(path: str) -> bool:
    """Whether a mapping asks with this name for what a payment paid."""
    return path == AMOUNT or path.startswith(OF_ORDER)


def names(reader: Reader, paths: Iterable[str]) -> list[str]:
    """The names with which a mapping may ask for it."""
    if "sale_line_ids" not in reader.fields(ENTRY):
        return [AMOUNT]  # without the sales module nothing leads from an invoice to an order
    beyond = [path.removeprefix(OF_ORDER) for path in paths if path.startswith(OF_ORDER)]
    return [AMOUNT, *(OF_ORDER + name for name in reader.names(ORDER, beyond))]


def needed(reader: Reader) -> list[str]:
    """What must be read of a payment for it."""
    company_amounts = [name for name in COMPANY_AMOUNTS if name in reader.fields(PAYMENT)]
    return [
        "amount", "currency_id.name", "company_id.currency_id.name", "reconciled_invoice_ids",
        *company_amounts,
    ]  # fmt: skip


def allocated(reader: Reader, payments: Sequence[Record], paths: Sequence[str]) -> Iterator[Record]:
    """Each payment once per order that it pays, and once for what pays none.

    `paths` are those under which a mapping asks for it. A payment whose amount is not told in CNY
    comes once, without an amount: landing sets it aside.
    """
    matches = _matches(reader, [payment["id"] for payment in payments])
    numbers = {number for payment in payments for number in payment["reconciled_invoice_ids"] or ()}
    invoices = _invoices(reader, numbers)
    shares = [_parts(payment, matches[payment["id"]], invoices) for payment in payments]
    orders = _orders(reader, {order for parts in shares for order in parts}, paths)
    for payment, parts in zip(payments, shares, strict=True):
        for order, fen in parts.items():
            told = orders.get(order, {}) if order is not None else {}
            amount = None if fen is None else Decimal(fen).scaleb(-2)
            of_order = {path: told.get(path.removeprefix(OF_ORDER)) for path in paths}
            yield {**payment, **of_order, AMOUNT: amount}


def rematched(reader: Reader, since: datetime) -> list[int]:
    """The payments that were matched since then: that leaves no trace in themselves."""
    matched = window(["create_date"], {"create_date": "datetime"}, since, None, with_undated=False)
    found = reader.find(MATCH, matched, [f"{side}.payment_id.id" for side in _SIDES])
    paid = {match[f"{side}.payment_id.id"] for match in found for side in _SIDES}
    return sorted(number for number in paid if number is not None)


def _parts(
    payment: Record, matched: Mapping[int, int], invoices: Mapping[int, Invoice]
) -> Mapping[int | None, int | None]:
    """The payment's parts in fen by order."""
    fen = _paid_fen(payment)
    if fen is None:
        return {None: None}
    is_booked_in_yuan = payment["company_id.currency_id.name"] == CURRENCY
    return dict(
        allocate(
            fen,
            {
                number: Invoice(
                    invoices[number].total_fen,
                    invoices[number].orders_fen,
                    matched.get(number) if is_booked_in_yuan else None,
                )
                for number in payment["reconciled_invoice_ids"] or ()
                if number in invoices
            },
        )
    )


def _paid_fen(payment: Record) -> int | None:
    if payment["currency_id.name"] == CURRENCY:
        return _fen(payment["amount"])
    if payment["company_id.currency_id.name"] == CURRENCY:
        told = [payment[name] for name in COMPANY_AMOUNTS if payment.get(name) is not None]
        return abs(_fen(told[0])) if told else None
    return None


def _matches(reader: Reader, payments: Sequence[int]) -> dict[int, dict[int, int]]:
    """By payment and invoice: what the books match, in fen of the company's currency."""
    either: Domain = ["|", *([f"{side}.payment_id", "in", list(payments)] for side in _SIDES)]
    paths = [f"{side}.{rest}.id" for side in _SIDES for rest in ("payment_id", "move_id")]
    matched: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for match in reader.find(MATCH, either, ["amount", *paths]):
        for side, other in (_SIDES, _SIDES[::-1]):
            payment, invoice = match[f"{side}.payment_id.id"], match[f"{other}.move_id.id"]
            if payment is not None and invoice is not None:
                matched[payment][invoice] += _fen(match["amount"])
    return matched


def _invoices(reader: Reader, numbers: Iterable[int]) -> dict[int, Invoice]:
    """Invoices, and how much of each its lines lay on which order: taxes included."""
    wanted = sorted(set(numbers))
    totals = reader.by_id(INVOICE, wanted, ["amount_total"])
    orders: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for invoice, line_fen, sold in _sold_lines(reader, wanted):
        for order, fen in share(line_fen, dict.fromkeys(sold, 1)).items():
            orders[invoice][order] += fen
    return {
        number: Invoice(
            _fen(record["amount_total"]),
            # A deposit stands on its final invoice once more, taken off.
            {order: fen for order, fen in sorted(orders[number].items()) if fen > 0},
        )
        for number, record in totals.items()
    }


def _sold_lines(reader: Reader, invoices: Sequence[int]) -> Iterator[tuple[int, int, list[int]]]:
    """Of each invoice line with sales: its invoice, its fen with tax, and the orders of it."""
    if not invoices or "sale_line_ids" not in reader.fields(ENTRY):
        return
    domain: Domain = [["move_id", "in", list(invoices)], ["sale_line_ids", "!=", False]]
    lines = reader.find(ENTRY, domain, ["move_id.id", "price_total", "sale_line_ids"])
    sold_lines = {line for entry in lines for line in entry["sale_line_ids"]}
    orders = reader.by_id(ORDER_LINE, sold_lines, ["order_id.id"])
    for entry in lines:
        sold = {
            orders[line]["order_id.id"]: None for line in entry["sale_line_ids"] if line in orders
        }
        yield entry["move_id.id"], _fen(entry["price_total"]), sorted(sold)


def _orders(
    reader: Reader, orders: Iterable[int | None], paths: Sequence[str]
) -> dict[int, Record]:
    asked = [path.removeprefix(OF_ORDER) for path in paths if path.startswith(OF_ORDER)]
    wanted = [order for order in orders if order is not None]
    return reader.by_id(ORDER, wanted, asked) if wanted else {}


def _fen(yuan: Any) -> int:
    """Odoo tells floats: what is far behind the comma is their doing."""
    return int((Decimal(str(yuan)) * 100).quantize(Decimal(1), ROUND_HALF_UP))
