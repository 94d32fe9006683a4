"""Which sales stand behind invoices and stock moves, followed along Tryton's references.

There is no table between invoice and sale: the lines of an invoice say where they stem from.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from pipeline.sources.records import Record
from pipeline.sources.tryton.objects import Objects
from pipeline.sources.tryton.rpc import Line
from pipeline.sources.tryton.values import referred

Weights = dict[int, Decimal]
"""How much of a document each sale accounts for, by the id of the sale."""


class SalesBehind:
    """Follows references over one open line."""

    def __init__(self, objects: Objects, line: Line) -> None:
        self._objects = objects
        self._line = line

    def of_invoices(self, invoices: Iterable[int]) -> dict[int, Weights]:
        """What each sale accounts for in each invoice, before tax: less than zero in a credit."""
        lines = [
            line
            for line in self._related(
                "account.invoice.line", "invoice", invoices, ("invoice", "type", "amount", "origin")
            )
            if line["type"] == "line"
        ]
        sales = self._of_origins({line["id"]: line["origin"] for line in lines})
        found: dict[int, Weights] = {}
        for line in lines:
            sale = sales.get(line["id"])
            if sale is not None:
                weights = found.setdefault(line["invoice"], {})
                weights[sale] = weights.get(sale, Decimal(0)) + Decimal(line["amount"] or 0)
        return found

    def of_moves(self, moves: Iterable[int]) -> dict[int, int]:
        """The sale that each stock move delivers."""
        return {
            move["id"]: move["sale"]
            for move in self._related("stock.move", "id", moves, ("sale",))
            if move["sale"] is not None
        }

    def returned(self, sales: Iterable[int]) -> dict[int, int]:
        """Of those sales that take another one back, which one that is."""
        return {
            sale["id"]: original
            for sale in self._related("sale.sale", "id", sales, ("origin",))
            if (original := referred(sale["origin"], "sale.sale")) is not None
        }

    def tell(self, sales: Iterable[int], paths: Sequence[str]) -> dict[int, Record]:
        """The sales themselves, with the fields at the paths."""
        return {sale["id"]: sale for sale in self._related("sale.sale", "id", sales, paths)}

    def _of_origins(self, origins: Mapping[int, str | None]) -> dict[int, int]:
        """The sale of each invoice line: of its sale line, or of the invoice line it credits."""
        sale_lines = {of: referred(origin, "sale.line") for of, origin in origins.items()}
        sold = {
            line["id"]: line["sale"]
            for line in self._related("sale.line", "id", _known(sale_lines), ("sale",))
        }
        found = {of: sold[line] for of, line in sale_lines.items() if line in sold}
        credited = {
            of: line
            for of, origin in origins.items()
            # A line can only credit an older one, so this comes to an end.
            if (line := referred(origin, "account.invoice.line")) is not None and line < of
        }
        if credited:
            before = self._related("account.invoice.line", "id", credited.values(), ("origin",))
            sales = self._of_origins({line["id"]: line["origin"] for line in before})
            found |= {of: sales[line] for of, line in credited.items() if line in sales}
        return found

    def _related(
        self, model: str, field: str, ids: Iterable[int], paths: Sequence[str]
    ) -> list[Record]:
        return list(self._objects.related(self._line, model, field, list(ids), paths))


def _known(ids: Mapping[int, int | None]) -> set[int]:
    return {found for found in ids.values() if found is not None}
