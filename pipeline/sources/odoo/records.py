"""Landed tables as the records of one of Odoo's models, business day by business day."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from pipeline.company import Company, Connection, TableSource
from pipeline.errors import ConfigurationError
from pipeline.landed import LandedTable
from pipeline.sources.odoo import payments
from pipeline.sources.odoo.access import Call
from pipeline.sources.odoo.api import OdooApi
from pipeline.sources.odoo.domains import Domain, any_of, read_domain, window
from pipeline.sources.odoo.reading import Fields, Reader
from pipeline.sources.records import Asked, Record, RecordSource
from pipeline.sources.wire import Wire

# Every model of Odoo has it. To the second at most, whatever the database keeps.
CHANGED = "write_date"
# What a record tells though it stands in others, whose change leaves no trace in it: up to version
# 17 the state of a payment is that of its entry; amounts and states are summed up of lines.
PARTS: Mapping[str, tuple[str, ...]] = {
    "account.payment": ("move_id",),
    "sale.order": ("order_line",),
    "stock.picking": ("move_ids", "move_lines"),
}


class OdooRecords(RecordSource):
    """One landed table as the records of one model."""

    connector = "odoo"
    counted_by = "dates"
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
        settings = settings.with_keys(changed_column=settings.changed_column or CHANGED)
        super().__init__(table, settings, connection, company, wire=wire)
        self._model = settings.object or ""
        self._api = OdooApi(connection, company, self._wire)
        self._known_fields: dict[str, Fields] = {}

    @property
    def _what(self) -> str:
        return f"{self._model} at {self._api.base_url}"

    @cached_property
    def _where(self) -> Domain:
        return read_domain(self._settings.where, self.table.name)

    @cached_property
    def _allocated(self) -> list[str]:
        """The names with which the mapping asks for what a payment paid."""
        asked = [name for name in self._columns.names if payments.is_allocated(name)]
        if asked and self._model != payments.PAYMENT:
            raise ConfigurationError(
                f"sources.yml: tables.{self.table.name}: found {asked[0]} of {self._model},"
                f" allowed: only of {payments.PAYMENT}",
                next_step=f"name {payments.PAYMENT} under `object`, or a field of {self._model}",
            )
        return asked

    @property
    def _is_row_per_record(self) -> bool:
        """A payment is one row per order that it pays, where the mapping asks for these."""
        return not self._allocated

    def _reader(self, call: Call) -> Reader:
        return Reader(call, self._known_fields, self._settings.page_size)

    def _field_names(self) -> Sequence[str]:
        with self._api.open() as call:
            return self._names(self._reader(call))

    def _names(self, reader: Reader) -> list[str]:
        names = reader.names(self._model, self._columns.names)
        if self._allocated:
            names += payments.names(reader, self._allocated)
        return names

    def _has_field(self, name: str, found: frozenset[str]) -> bool:
        """Whether the model has a field, or one of those that it leads to."""
        return name in found

    def _pages(self, asked: Asked) -> Iterator[Sequence[Record]]:
        with self._api.open() as call:
            reader = self._reader(call)
            known = set(self._names(reader))
            paths = [path for path in asked.fields if path in known]
            allocated = [path for path in paths if path in self._allocated]
            own = [path for path in paths if path not in allocated]
            if allocated:
                own += payments.needed(reader)
            for page in reader.pages(self._model, self._domain(reader, asked, known), own):
                if allocated:
                    page = list(payments.allocated(reader, page, allocated))
                yield page

    def _domain(self, reader: Reader, asked: Asked, known: set[str]) -> Domain:
        """What has changed may have left `where`: it is looked at whatever it is now, since its
        day held it before."""
        window = self._window(reader, asked, known)
        return window if asked.is_by_change else [*self._where, *window]

    def _window(self, reader: Reader, asked: Asked, known: set[str]) -> Domain:
        if asked.is_by_change:
            return self._changed(reader, asked)
        dated_by = [path for path in asked.dated_by if path in known]
        types = {path: reader.type(self._model, path) for path in dated_by}
        return window(
            dated_by, types, asked.since, asked.until, with_undated=asked.since is None
        )  # fmt: skip

    def _changed(self, reader: Reader, asked: Asked) -> Domain:
        """Records changed since then, up to now: what is written while it reads comes next time."""
        if asked.changed_by is None or asked.since is None:
            return []
        there = reader.fields(self._model)
        parts = [part for part in PARTS.get(self._model, ()) if part in there]
        changes = {asked.changed_by: reader.type(self._model, asked.changed_by)} | {
            f"{part}.{CHANGED}": "datetime" for part in parts
        }
        now = self._wire.now()
        changed = any_of(
            [window([of], changes, asked.since, now, with_undated=False) for of in changes]
        )
        if not self._allocated:
            return changed
        return any_of([changed, [["id", "in", payments.rematched(reader, asked.since)]]])
