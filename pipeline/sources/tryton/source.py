"""Landed tables as the objects and documents of a Tryton database."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pipeline.company import Company, Connection, TableSource
from pipeline.company.mistakes import suggest
from pipeline.errors import ConfigurationError
from pipeline.landed import LandedTable
from pipeline.sources.records import Asked, Record, RecordSource
from pipeline.sources.tryton.documents import (
    DOCUMENTS,
    NOT_FROM_A_PAYMENT,
    PAYMENT,
    PAYMENT_LINE,
    SALE,
    SPLIT_FIELDS,
    Document,
    split_over_sales,
)
from pipeline.sources.tryton.domains import Domain, changed, window
from pipeline.sources.tryton.objects import RECORD, Objects
from pipeline.sources.tryton.rpc import Line, TrytonServer
from pipeline.sources.tryton.sales import SalesBehind
from pipeline.sources.wire import Wire

# What a table is read from, record by record, where sources.yml names no object.
OBJECTS = {
    "erp_orders": "sale.sale",
    "erp_order_lines": "sale.line",
    "crm_contacts": "party.party",
    "crm_opportunities": "sale.opportunity",
}
# Objects whose amounts are those of their parts: a changed line leaves no trace in its header.
# A line of the books is posted with its move, and may be matched with an invoice long after.
PARTS: Mapping[str, tuple[str, ...]] = {
    "sale.sale": ("lines",),
    "account.move.line": ("move", "invoice_payments"),
}


class TrytonSource(RecordSource):
    """One landed table of one Tryton database: an object as it is, or documents split over sales.

    What has changed is known by Tryton's own `create_date` and `write_date`.
    """

    connector = "tryton"
    counted_by = "question"
    gives_each_once = True

    def __init__(
        self,
        table: LandedTable,
        settings: TableSource,
        connection: Connection,
        company: Company,
        *,
        wire: Wire | None = None,
    ) -> None:
        settings = settings.with_keys(changed_column="write_date")
        super().__init__(table, settings, connection, company, wire=wire)
        self._server = TrytonServer(connection, company, self._wire)
        self._objects = Objects(self._server, settings.page_size)
        self._where = _where(table, settings)
        self._documents = _documents(table, settings)
        self._models = [document.model for document in self._documents] or [
            settings.object or OBJECTS[table.name]
        ]

    @property
    def _what(self) -> str:
        return f"{' and '.join(self._models)} at {self._server.address}"

    def _field_names(self) -> Sequence[str]:
        with self._server.open() as line:
            names = [name for model in self._models for name in self._objects.fields(line, model)]
        return [*names, *self._own_names]

    @property
    def _own_names(self) -> tuple[str, ...]:
        """What records bear here without being fields of Tryton."""
        return (RECORD, *SPLIT_FIELDS) if self._documents else (RECORD,)

    def _require_fields(self) -> None:
        super()._require_fields()
        with self._server.open() as line:
            for path in set(self._columns.names) - set(self._own_names):
                homes = self._homes(path)
                if not any(self._objects.field(line, *home) for home in homes):
                    near = self._objects.near(line, *homes[-1])
                    self._columns.require([path], near, self._what)

    def _homes(self, path: str) -> list[tuple[str, str]]:
        """The objects that a path may start from, with what is left of it."""
        if self._documents and path.startswith(f"{SALE}."):
            return [("sale.sale", path.removeprefix(f"{SALE}."))]
        return [(model, path) for model in self._models]

    def _pages(self, asked: Asked) -> Iterator[Sequence[Record]]:
        with self._server.open() as line:
            if self._documents and not asked.is_by_change:
                for document in self._documents:
                    yield self._split(line, document, asked)
                return
            for model in self._models:
                domain = self._domain(line, model, asked)
                yield from self._objects.search(
                    line, model, domain, self._paths(line, model, asked)
                )

    @property
    def _is_row_per_record(self) -> bool:
        """Documents are counted before they are split."""
        return not self._documents

    def _count(self, asked: Asked) -> int | None:
        if asked.is_by_change:
            return None
        (model,) = self._models
        with self._server.open() as line:
            return self._objects.count(line, model, self._domain(line, model, asked))

    def _split(self, line: Line, document: Document, asked: Asked) -> list[Record]:
        domain = [*self._domain(line, document.model, asked), *document.counted]
        paths = {*self._paths(line, document.model, asked), *document.paths}
        records = self._objects.whole(line, document.model, domain, sorted(paths))
        of_sale = [
            path.removeprefix(f"{SALE}.") for path in asked.fields if path.startswith(f"{SALE}.")
        ]
        return list(split_over_sales(document, records, SalesBehind(self._objects, line), of_sale))

    def _paths(self, line: Line, model: str, asked: Asked) -> list[str]:
        """Of the fields that are asked for, those of this object."""
        return [
            path
            for path in asked.fields
            if (model, path) in self._homes(path) and self._objects.field(line, model, path)
        ]

    def _domain(self, line: Line, model: str, asked: Asked) -> Domain:
        """What is asked of an object. What has changed may have left `where`: it is looked at
        whatever it is now, since its day held it before."""
        kinds = [
            clause for found in self._documents if found.model == model for clause in found.kind
        ]
        if asked.is_by_change and asked.since is not None:
            return [*kinds, changed(asked.since, PARTS.get(model, ()))]
        types = {
            path: str(field["type"])
            for path in asked.dated_by
            if (field := self._objects.field(line, model, path))
        }
        return [*kinds, *self._where, window(asked, types)]


def _where(table: LandedTable, settings: TableSource) -> Domain:
    """The clauses of sources.yml. Raises ConfigurationError where they are no domain."""
    where = settings.where or []
    if not isinstance(where, list):
        raise ConfigurationError(
            f"sources.yml: {table.name}.where: found {type(where).__name__}, allowed: a Tryton"
            ' domain as a list, such as [["company", "=", 1]]'
        )
    return [where] if where else []


def _documents(table: LandedTable, settings: TableSource) -> list[Document]:
    """The documents to split for a table, none where it is read from one object as it is.

    Raises ConfigurationError where sources.yml names an object that cannot be split.
    """
    known = DOCUMENTS.get(table.name, ())
    if not known or settings.object is None:
        return [_beside(document, known) for document in known]
    chosen = [document for document in known if document.model == settings.object]
    if not chosen:
        allowed = [document.model for document in known]
        raise ConfigurationError(
            f"sources.yml: {table.name}.object: found '{settings.object}',"
            f" {suggest(settings.object, allowed)}"
        )
    return chosen


def _beside(document: Document, others: Sequence[Document]) -> Document:
    """A document read beside others: a payment that books itself comes once, as the payment."""
    if document is PAYMENT_LINE and PAYMENT in others:
        return replace(document, counted=[*document.counted, NOT_FROM_A_PAYMENT])
    return document
