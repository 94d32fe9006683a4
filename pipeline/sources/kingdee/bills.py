"""Landed tables as the bills, or the entries, of one of K3Cloud's forms, day by day."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from pipeline.company import ColumnSource, Company, Connection, TableSource
from pipeline.errors import BrokenContentError
from pipeline.landed import LandedTable
from pipeline.sources.kingdee.api import Ask, KingdeeApi
from pipeline.sources.kingdee.entries import add_up, require_one_grain
from pipeline.sources.kingdee.filters import all_of, read_filter, window
from pipeline.sources.kingdee.forms import Form, read_form, refuse_repeated
from pipeline.sources.mapping import Mapped
from pipeline.sources.records import Asked, Record, RecordSource
from pipeline.sources.wire import Wire

CHANGED = "FModifyDate"
# What every server gives; many give 10,000 (`page_size`), and some less than they are asked for.
PAGE_SIZE = 2000


class KingdeeBills(RecordSource):
    """One landed table as the bills of a form; with `each`, as the entries of its bills."""

    connector = "kingdee"
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
        told = settings.with_keys(
            changed_column=settings.changed_column or CHANGED,
            time_zone="Asia/Shanghai",  # the server knows no other
            each=None,  # a query gives entries one by one
        )
        super().__init__(table, told, connection, company, wire=wire)
        self._name = settings.object or ""
        self._entry = settings.each
        self._api = KingdeeApi(connection, company, self._wire)
        self._form: Form | None = None

    @property
    def _what(self) -> str:
        entry = f".{self._entry}" if self._entry else ""
        return f"{self._name}{entry} at {self._api.base_url}"

    @property
    def _is_row_per_record(self) -> bool:
        """Entries that differ by nothing but their amounts become one row."""
        return self._entry is None

    @cached_property
    def _where(self) -> str | None:
        return read_filter(self._settings.where, self.table.name)

    def _field_names(self) -> Sequence[str]:
        with self._api.open() as ask:
            return self._read_form(ask).names

    def _require_fields(self) -> None:
        super()._require_fields()
        with self._api.open() as ask:
            form = self._read_form(ask)
        require_one_grain(form, self._entry, self.table, self._settings.columns)

    def _read_form(self, ask: Ask) -> Form:
        if self._form is None:
            self._form = read_form(ask, self._name)
        return self._form

    def _map(self, rows: pa.Table, columns: Mapping[str, ColumnSource] | None = None) -> Mapped:
        mapped = super()._map(rows, columns)
        return mapped if self._entry is None else replace(mapped, rows=add_up(mapped.rows))

    def _pages(self, asked: Asked) -> Iterator[Sequence[Record]]:
        """Pages by key, until one is empty: a server may give fewer than it was asked for."""
        with self._api.open() as ask:
            form = self._read_form(ask)
            known = frozenset(form.names)
            fields = [path for path in asked.fields if self._has_field(path, known)]
            key = form.entry_key(self._entry) if self._entry else form.key
            fields = list(dict.fromkeys([key, *fields]))
            # What has changed may have left `where`, and its day held it before.
            filters = [None if asked.is_by_change else self._where, self._window(asked, known)]
            last = 0
            while rows := self._query(ask, fields, [*filters, f"{key} > {last}"]):
                keys = [_key(row[0], self._what) for row in rows]
                if len(set(keys)) < len(keys):
                    raise refuse_repeated(form, self._entry, fields)
                if min(keys) <= last:
                    raise BrokenContentError(
                        f"{self._what}: found {key} {min(keys)}, allowed: above {last}, as asked",
                        next_step="ask Kingdee's support why the filter is not kept",
                    )
                last = max(keys)
                yield [dict(zip(fields, row, strict=True)) for row in rows]

    def _window(self, asked: Asked, known: frozenset[str]) -> str | None:
        if asked.is_by_change:
            changed = [asked.changed_by] if asked.changed_by else []
            return window(changed, asked.since, self._wire.now(), with_undated=False)
        dated_by = [path for path in asked.dated_by if self._has_field(path, known)]
        return window(dated_by, asked.since, asked.until, with_undated=asked.since is None)

    def _query(
        self, ask: Ask, fields: Sequence[str], filters: Sequence[str | None]
    ) -> list[list[Any]]:
        """One page: values in the order of the fields."""
        data: Mapping[str, Any] = {
            "FormId": self._name,
            "FieldKeys": ",".join(fields),
            "FilterString": all_of(filters),
            "OrderString": f"{fields[0]} ASC",
            "TopRowCount": 0,
            "StartRow": 0,
            "Limit": self._settings.page_size or PAGE_SIZE,
        }
        rows = ask("ExecuteBillQuery", data)
        if not isinstance(rows, list) or not all(
            isinstance(row, list) and len(row) == len(fields) for row in rows
        ):
            raise BrokenContentError(
                f"{self._what}: found no list of rows of {len(fields)} values",
                next_step="check base_url: does K3Cloud answer there?",
            )
        return rows


def _key(value: Any, what: str) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise BrokenContentError(
            f"{what}: found the key '{value}', allowed: a whole number",
            next_step="ask Kingdee's support what identifies a bill of this form",
        ) from None
