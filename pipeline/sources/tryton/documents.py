"""The documents behind landed tables, and how each is split over the sales that it concerns.

A payment, a shipment or a credit note may concern several sales: it is told once for each of them,
with the part that falls to it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipeline.sources.records import Record
from pipeline.sources.tryton.allocation import allocate
from pipeline.sources.tryton.domains import Domain
from pipeline.sources.tryton.sales import SalesBehind, Weights
from pipeline.sources.tryton.values import referred

SALE, PART, PART_NUMBER = "sale", "part", "part_number"
SPLIT_FIELDS = (SALE, PART, PART_NUMBER)
"""What a split record bears beside its own fields; behind `sale.` any field of the sale."""

Shares = Mapping[int, Decimal | None]
"""The part of a document that falls to each sale, by the id of the sale."""


@dataclass(frozen=True)
class Document:
    """One kind of document. What is not of the domain `kind` never belongs to the table, what is
    not of `counted` may yet: a payment that fails, a credit note that is posted."""

    model: str
    kind: Domain
    counted: Domain
    paths: tuple[str, ...]
    """The fields that splitting reads."""
    shares: Callable[[SalesBehind, Sequence[Record]], dict[int, Shares]]
    amount: Callable[[Record], Decimal] | None = None


def split_over_sales(
    document: Document, records: Sequence[Record], sales: SalesBehind, sale_paths: Sequence[str]
) -> Iterator[Record]:
    """Each record once for each sale that it concerns; once without a sale where it has none."""
    shares = document.shares(sales, records)
    known = sales.tell({sale for of in shares.values() for sale in of}, ("number", *sale_paths))
    for record in records:
        of = shares.get(record["id"]) or {}
        if not of:
            whole = document.amount(record) if document.amount else None
            yield {**record, PART: whole, PART_NUMBER: record.get("number")}
        for sale, part in sorted(of.items()):
            told = known.get(sale, {})
            yield {
                **record,
                **{f"{SALE}.{path}": told.get(path) for path in sale_paths},
                SALE: sale,
                PART: part,
                PART_NUMBER: _part_number(record, told, is_only=len(of) == 1),
            }


def _part_number(record: Record, sale: Record, *, is_only: bool) -> str | None:
    """The number of the document, and of its sale behind a slash where it has several."""
    number: str | None = record.get("number")
    return number if is_only or number is None else f"{number}/{sale.get('number') or sale['id']}"


def _of_payments(sales: SalesBehind, payments: Sequence[Record]) -> dict[int, Shares]:
    """A payment pays the sales of the invoice that it is for, or the sale that it stems from."""
    invoices = {
        payment["id"]: invoice
        for payment in payments
        for origin in (payment["line.move.origin"], payment["origin"])
        if (invoice := referred(origin, "account.invoice")) is not None
    }
    weights = sales.of_invoices(invoices.values())
    direct: dict[int, Weights] = {
        payment["id"]: {sale: Decimal(1)}
        for payment in payments
        if (sale := referred(payment["origin"], "sale.sale")) is not None
    }
    return {
        payment["id"]: allocate(
            _paid(payment),
            weights.get(invoices.get(payment["id"], 0)) or direct.get(payment["id"], {}),
        )
        for payment in payments
    }


def _of_payment_lines(sales: SalesBehind, lines: Sequence[Record]) -> dict[int, Shares]:
    """A booked payment pays the sales of the invoices whose payments it is listed under."""
    weights = sales.of_invoices({invoice for line in lines for invoice in line["invoice_payments"]})
    return {
        line["id"]: allocate(
            _booked(line), _sum(weights.get(invoice, {}) for invoice in line["invoice_payments"])
        )
        for line in lines
    }


def _of_credit_notes(sales: SalesBehind, notes: Sequence[Record]) -> dict[int, Shares]:
    """A credit note gives back what was sold: of a sale that returns another, the other one."""
    weights = sales.of_invoices(note["id"] for note in notes)
    originals = sales.returned({sale for of in weights.values() for sale in of})
    return {
        note["id"]: allocate(
            _credited(note),
            _sum(
                {originals.get(sale, sale): -weight}
                for sale, weight in weights.get(note["id"], {}).items()
            ),
        )
        for note in notes
    }


def _of_shipments(sales: SalesBehind, shipments: Sequence[Record]) -> dict[int, Shares]:
    """A shipment delivers the sales of its outgoing moves; nobody says how much of each."""
    moved = sales.of_moves(move for shipment in shipments for move in shipment["outgoing_moves"])
    return {
        shipment["id"]: {moved[move]: None for move in shipment["outgoing_moves"] if move in moved}
        for shipment in shipments
    }


def _sum(parts: Iterable[Weights]) -> Weights:
    added: Weights = {}
    for part in parts:
        for sale, weight in part.items():
            added[sale] = added.get(sale, Decimal(0)) + weight
    return added


def _paid(payment: Record) -> Decimal:
    return Decimal(payment["amount"])


def _booked(line: Record) -> Decimal:
    return Decimal(line["credit"] or 0) - Decimal(line["debit"] or 0)


def _credited(note: Record) -> Decimal:
    return -Decimal(note["total_amount"])


PAYMENT = Document(
    model="account.payment",
    kind=[["kind", "=", "receivable"]],
    counted=[["state", "=", "succeeded"]],
    paths=("amount", "line.move.origin", "origin"),
    shares=_of_payments,
    amount=_paid,
)
# What the payment wizard or a statement books against an invoice.
PAYMENT_LINE = Document(
    model="account.move.line",
    kind=[["invoice_payments.type", "=", "out"], ["credit", ">", 0]],
    counted=[["move.state", "=", "posted"]],
    paths=("credit", "debit", "invoice_payments"),
    shares=_of_payment_lines,
    amount=_booked,
)
CREDIT_NOTE = Document(
    model="account.invoice",
    kind=[["type", "=", "out"]],
    counted=[["state", "in", ["posted", "paid"]], ["total_amount", "<", 0]],
    paths=("number", "total_amount"),
    shares=_of_credit_notes,
    amount=_credited,
)
SHIPMENT = Document(
    model="stock.shipment.out",
    kind=[],
    counted=[],
    paths=("number", "outgoing_moves"),
    shares=_of_shipments,
)
# A payment that books itself is told as a payment, not once more as what it booked.
NOT_FROM_A_PAYMENT: Domain = [
    "OR", ["move.origin", "=", None], ["move.origin", "not like", "account.payment,%"],
]  # fmt: skip

DOCUMENTS: Mapping[str, tuple[Document, ...]] = {
    "erp_receipts": (PAYMENT, PAYMENT_LINE),
    "erp_refunds": (CREDIT_NOTE,),
    "erp_shipments": (SHIPMENT,),
}
