"""Payments shared among the orders that they pay: N:M, to the fen, whatever cannot be matched kept.

Pure arithmetic; where the figures come from is the concern of `payments`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.sources.sharing import share


@dataclass(frozen=True)
class Invoice:
    """What of an invoice counts here: its total, and how much of it each order accounts for.

    `paid_fen` is what Odoo's books say that this payment paid of it; None where they do not say.
    """

    total_fen: int
    orders_fen: Mapping[int, int] = field(default_factory=dict)
    paid_fen: int | None = None


def allocate(payment_fen: int, invoices: Mapping[int, Invoice]) -> dict[int | None, int]:
    """The payment's parts by order; None is for what pays no known order. They sum to the payment.

    What the books match counts first. What is left pays the invoices that they do not match, at
    most their totals, and the rest no invoice at all. A part of an invoice is shared by what each
    order accounts for of it.
    """
    if not payment_fen:
        return {None: 0}
    parts: dict[int | None, int] = {}
    for number, fen in _by_invoice(payment_fen, invoices).items():
        invoice = invoices[number]
        rest = max(0, invoice.total_fen - sum(invoice.orders_fen.values()))
        for order, part in share(fen, {**invoice.orders_fen, None: rest}).items():
            parts[order] = parts.get(order, 0) + part
    parts[None] = parts.get(None, 0) + payment_fen - sum(parts.values())
    return {order: part for order, part in parts.items() if part}


def _by_invoice(payment_fen: int, invoices: Mapping[int, Invoice]) -> dict[int, int]:
    """How much of the payment goes to each invoice, together at most all of it."""
    matched = {
        number: invoice.paid_fen
        for number, invoice in invoices.items()
        if invoice.paid_fen is not None
    }
    if sum(matched.values()) > payment_fen:
        matched = share(payment_fen, matched)  # exchange differences are booked there, too
    open_totals = {
        number: invoice.total_fen
        for number, invoice in invoices.items()
        if invoice.paid_fen is None
    }
    left = payment_fen - sum(matched.values())
    return matched | share(min(left, sum(open_totals.values())), open_totals)
