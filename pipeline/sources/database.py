"""One database, read as Arrow text: its address, how it words SQL, and what its refusals mean.

Every value is cast to text where it is stored, so that decimals arrive exact whatever their type.
Which rows are wanted is the concern of `sql`.
"""

import re
import socket
from abc import ABC, abstractmethod
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import connectorx
import pyarrow as pa

from pipeline.company.mistakes import suggest
from pipeline.errors import (
    BrokenContentError,
    ConfigurationError,
    PermanentSourceError,
    SourceError,
    TransientSourceError,
)
from pipeline.sources.mapping import mask_phones

REACH_TIMEOUT_SECONDS = 5
_MISSING = re.compile(r"no such table|relation .* does not exist", re.IGNORECASE)
_DENIED = re.compile(r"password|authentication|permission denied|access denied", re.IGNORECASE)
_BUSY = re.compile(r"timed out|locked|refused|reset|closed|starting up|too many", re.IGNORECASE)


class Database(ABC):
    """A database that can be asked for text. `address` names it without user or password."""

    address: str
    _url: str
    _has_answered = False

    @abstractmethod
    def reach(self) -> None:
        """Raise a subclass of SourceError where nothing answers, without waiting for long."""

    @abstractmethod
    def instant(self, column: str, unit: str | None, zone_hours: int) -> str:
        """SQL of a column's instant as `bound` words one: epochs stay numbers."""

    @abstractmethod
    def bound(self, local: datetime) -> str:
        """SQL literal of an instant of the source's own zone."""

    @property
    @abstractmethod
    def _tables_query(self) -> str: ...

    def limited(self, query: str, rows_count: int) -> str:
        """SQL of the first rows of a query, whichever the database finds first."""
        return f"{query} limit {rows_count}"

    def read(self, query: str, what: str) -> pa.Table:
        """The rows of a query. `what` names in messages what is read. Raises a SourceError."""
        if not self._has_answered:
            self.reach()
            self._has_answered = True
        try:
            return connectorx.read_sql(self._url, query, return_type="arrow")
        except Exception as error:
            raise self._explain(error, what) from None
        except BaseException as error:
            if (
                type(error).__name__ != "PanicException"
            ):  # how connectorx words a value it cannot read
                raise
            raise self._explain(error, what) from None

    def text(self, column: str) -> str:
        """SQL of a column as text. Null becomes empty, for connectorx must see a text first."""
        return f"coalesce(cast({column} as text), '')"

    def quote(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def columns(self, origin: str, what: str) -> list[str]:
        """The names that a table or a query in brackets bears."""
        found: list[str] = self.read(f"select * from {origin} where 1 = 0", what).column_names
        return found

    def _explain(self, error: BaseException, what: str) -> SourceError:
        said = mask_phones(str(error).replace(self._url, self.address).splitlines()[0])
        place = f"{what} in {self.address}"
        if _MISSING.search(said):
            tables = self.read(self._tables_query, "the list of tables").column(0).to_pylist()
            wanted = what.split(".")[-1]
            return PermanentSourceError(
                f"{place}: found no such table, {suggest(wanted, tables)}",
                next_step="check `table` or `query` in sources.yml",
            )
        if _DENIED.search(said):
            return PermanentSourceError(
                f"{place}: refused ({said})",
                next_step="check user, password and the right to read this table",
            )
        if _BUSY.search(said):
            return TransientSourceError(f"{place}: no answer ({said})")
        if "utf-8" in said.lower():
            return BrokenContentError(f"{place}: found text that is not UTF-8 ({said})")
        return PermanentSourceError(f"{place}: the query failed ({said})")


class Sqlite(Database):
    """A SQLite file: columns of any type, instants as text or as an epoch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._url = f"sqlite://{quote(str(path))}"
        self.address = path.name

    def reach(self) -> None:
        try:
            with self._path.open("rb") as file:
                head = file.read(16)
        except OSError as error:
            raise PermanentSourceError(
                f"{self._path}: cannot be opened ({error.strerror})",
                next_step="check `url` of the connection in sources.yml",
            ) from None
        if head and head != b"SQLite format 3\0":
            raise BrokenContentError(f"{self._path}: found a file that is no SQLite database")

    def instant(self, column: str, unit: str | None, zone_hours: int) -> str:
        if unit in ("seconds", "milliseconds"):
            return f"cast(nullif({column}, '') as numeric)"
        ending = f"substr({column}, -6, 1) in ('+', '-') or substr({column}, -1) in ('Z', 'z')"
        return (
            f"case when length({column}) > 19 and ({ending})"
            f" then datetime({column}, '{zone_hours:+d} hours') else datetime({column}) end"
        )

    def bound(self, local: datetime) -> str:
        return f"'{local:%Y-%m-%d %H:%M:%S}'"

    @property
    def _tables_query(self) -> str:
        return "select name from sqlite_master where type in ('table', 'view')"


class Postgres(Database):
    """A PostgreSQL server: instants as timestamp with or without time zone, or as an epoch."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self._host, self._port = parts.hostname or "localhost", parts.port or 5432
        self.address = f"postgresql://{self._host}:{self._port}{parts.path}"

    def reach(self) -> None:
        try:
            with socket.create_connection((self._host, self._port), REACH_TIMEOUT_SECONDS):
                return
        except OSError as error:
            raise TransientSourceError(
                f"{self.address}: cannot be reached ({error.strerror or error})",
                next_step="check that the server runs and that this machine may connect to it",
            ) from None

    def instant(self, column: str, unit: str | None, zone_hours: int) -> str:  # noqa: ARG002
        return column

    def bound(self, local: datetime) -> str:
        # A timestamp without time zone ignores the offset, one with it heeds it.
        return f"'{local.isoformat(sep=' ')}'"

    @property
    def _tables_query(self) -> str:
        return (
            "select table_name::text from information_schema.tables"
            " where table_schema not in ('pg_catalog', 'information_schema')"
        )


def open_database(url: str) -> Database:
    """The database behind an address. Nothing is reached yet. Raises ConfigurationError."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        return Sqlite(Path("/" + rest.lstrip("/")))
    if scheme in ("postgresql", "postgres"):
        return Postgres(f"postgresql://{rest}")
    raise ConfigurationError(
        f"sources.yml: url: found '{scheme}://', {suggest(scheme, ['sqlite', 'postgresql'])}"
    )
