"""Where rows come from: what a source is, and which connector opens a landed table.

Connectors know protocols and formats. Landing, Dagster and DuckDB files do not belong here.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from importlib import import_module
from typing import Protocol, runtime_checkable

from pipeline.company import Company, Connection, TableSource
from pipeline.company.mistakes import suggest
from pipeline.errors import ConfigurationError
from pipeline.landed import TABLES, LandedTable
from pipeline.landing import Extract
from pipeline.sources.joined import JoinedSource
from pipeline.sources.mapping import Mapped

# Imported when a table is opened, so that nobody pays for a connector that the company lacks.
CONNECTORS = {
    "files": "pipeline.sources.files:FileSource",
    "kingdee": "pipeline.sources.kingdee.bills:KingdeeBills",
    "odoo": "pipeline.sources.odoo.records:OdooRecords",
    "jushuitan": "pipeline.sources.jushuitan.source:JushuitanRecords",
    "rest": "pipeline.sources.rest.source:RestRecords",
    "sql": "pipeline.sources.sql:SqlSource",
    "wangdian": "pipeline.sources.wangdian.source:WangdianRecords",
    "tryton": "pipeline.sources.tryton.source:TrytonSource",
    "wechat_callbacks": "pipeline.sources.wechat.callbacks:Callbacks",
    "wechat_miniprogram": "pipeline.sources.wechat.miniprogram:MiniProgramFigures",
    "wechat_official_account": "pipeline.sources.wechat.official_account:OfficialAccountFigures",
    "wechat_orders": "pipeline.sources.wechat.orders:OrderList",
    "wechat_pay": "pipeline.sources.wechat.pay:MerchantBills",
    "wechat_quota": "pipeline.sources.wechat.quota:CallQuotas",
    "wecom_contacts": "pipeline.sources.wechat.wecom:ExternalContacts",
}


class Source(Protocol):
    """One landed table as one connector delivers it."""

    table: LandedTable
    connector: str
    ready_at: time
    """When a day is usually complete at the system: Asia/Shanghai, on the day after it."""

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per asked business day, in order. Raises subclasses of SourceError."""
        ...

    def changed_days(self, since: datetime | None, known: Mapping[date, str]) -> set[date]:
        """The days of `known` (day to sha256 of its landed batch) whose content may have changed.

        `since` is the instant up to which they were landed; without it every day may have.
        """
        ...

    def counts(self, days: Sequence[date]) -> Mapping[date, int]:
        """How many rows the source holds now on each of the days; none where it cannot tell
        cheaply. Of a deleted row nothing else is left to tell. Raises subclasses of SourceError.
        """
        ...

    def probe(self) -> str:
        """Reach the system and check what is asked of it; one line of what was found.

        Raises subclasses of SourceError.
        """
        ...

    def last_day(self) -> date | None:
        """The latest business day that can be delivered now; None where the source cannot tell."""
        ...


@runtime_checkable
class Sampled(Protocol):
    """A source whose rows a mapping reads: what it makes of them can be looked at beforehand."""

    def sample(self, limit: int) -> Mapped | None:
        """At most `limit` of the latest rows, mapped, and rows refused beside them.

        None where nothing is mapped. Raises subclasses of SourceError.
        """
        ...


class Connector(Protocol):
    """Opens a table at one connection; nothing is reached yet."""

    ready_at: time

    def __call__(
        self, table: LandedTable, settings: TableSource, connection: Connection, company: Company
    ) -> Source: ...


def open_source(table: str, company: Company) -> Source:
    """The source that the company folder names for a landed table.

    Nothing is reached yet. Raises ConfigurationError where the table is not connected.
    """
    settings = company.sources.tables.get(table)
    if settings is None:
        raise ConfigurationError(
            f"sources.yml: {table} is not connected, {suggest(table, company.sources.tables)}"
        )
    connector = find_connector(table, settings)
    sources = [
        connector(
            TABLES[table],
            settings.model_copy(update={"connections": (connection,)}),
            company.sources.connections[connection],
            company,
        )
        for connection in settings.connections
    ]
    return sources[0] if len(sources) == 1 else JoinedSource(TABLES[table], sources)


def find_connector(table: str, settings: TableSource) -> Connector:
    """What opens the table. Raises ConfigurationError where no such connector is known."""
    place = CONNECTORS.get(settings.connector)
    if place is None:
        raise ConfigurationError(
            f"sources.yml: {table}.connector: found '{settings.connector}', "
            f"{suggest(settings.connector, CONNECTORS)}"
        )
    module, name = place.split(":")
    connector: Connector = getattr(import_module(module), name)
    return connector
