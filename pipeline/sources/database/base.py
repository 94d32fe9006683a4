"""What every database can be asked: rows as Arrow text, columns and their types, days and bounds.

Every value is cast to text where it is stored, so that decimals arrive exact whatever their type.
"""

import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar
from urllib.parse import unquote, urlsplit

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

EPOCHS = ("seconds", "milliseconds")
"""Units of instants that are numbers, and stay numbers in SQL."""

REACH_TIMEOUT_SECONDS = 5
SHANGHAI_HOURS = 8
_MISSING = re.compile(
    r"no such table|relation .* does not exist|table '.*' doesn't exist|invalid object name"
    r"|ORA-00942",
    re.IGNORECASE,
)
_MISTAKEN = re.compile(
    r"column .* does not exist|unknown column|no such column|invalid column|ORA-00904|syntax",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"password|authentication|permission (was )?denied|access denied|command denied|login failed"
    r"|role .* does not exist|ORA-01017|ORA-01031",
    re.IGNORECASE,
)
_BUSY = re.compile(
    r"timed out|locked|refused|reset|closed|starting up|shutting down|terminating connection"
    r"|too many|gone away|lost connection|broken pipe|end of file|deadlock|error communicating"
    r"|io ?error|disconnected",
    re.IGNORECASE,
)


class Database(ABC):
    """A database that can be asked for text. `address` names it without user or password."""

    address: str
    greeting: Sequence[str] = ()
    """What each session begins with: its zone, and that it shall not write."""

    instant_kinds: ClassVar[tuple[str, ...]] = ()
    """How the types that hold instants begin, of a database whose columns have types."""

    instant_kind: ClassVar[str] = ""
    """The type of what `instant` gives, where `text` must know it."""

    _url: str

    def __init__(self, *, zone_hours: int) -> None:
        self._zone_hours = zone_hours

    @property
    def _hours_to_shanghai(self) -> int:
        return SHANGHAI_HOURS - self._zone_hours

    @abstractmethod
    def reach(self) -> None:
        """Raise a subclass of SourceError where nothing answers, without waiting for long."""

    @abstractmethod
    def columns(self, table: str | None, origin: str, what: str) -> dict[str, str]:
        """The columns of a table, or of a query in brackets, with the types of each.

        A type is in lower case and in the database's words, empty where it cannot be told.
        """

    @abstractmethod
    def text(self, expression: str, kind: str = "") -> str:
        """SQL of a value as text. Null becomes empty, for connectorx must see a text first."""

    @abstractmethod
    def instant(self, column: str, kind: str, unit: str | None) -> str:
        """SQL of a column's instant as `bound` words one: epochs stay numbers."""

    @abstractmethod
    def bound(self, local: datetime) -> str:
        """SQL literal of an instant of the source's own zone."""

    @abstractmethod
    def day(self, instant: str) -> str:
        """SQL, as text, of the Shanghai day of an instant that is no epoch."""

    @abstractmethod
    def _tables_of(self, schema: str) -> str:
        """SQL of the names of the tables of a schema; of the session's own where it is empty."""

    def read(self, query: str, what: str) -> pa.Table:
        """The rows of a query. `what` names in messages what is read. Raises a SourceError."""
        self.reach()  # connectorx tries for half a minute before it says that nobody answers
        try:
            rows = connectorx.read_sql(
                self._url,
                query,
                return_type="arrow",
                pre_execution_query=list(self.greeting) or None,
            )
        except Exception as error:
            raise self._explain(error, what) from None
        except BaseException as error:
            # How connectorx words a value it cannot read.
            if type(error).__name__ != "PanicException":
                raise
            raise self._explain(error, what) from None
        return self._decoded(rows, what)

    def limited(self, query: str, rows_count: int) -> str:
        """SQL of the first rows of a query, whichever the database finds first."""
        return f"{query} limit {rows_count}"

    def quote(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def epoch_day(self, instant: str, unit: str) -> str:
        """SQL of the number of the Shanghai day since 1970 of an instant that is an epoch."""
        return f"floor({self._epoch_days(instant, unit)})"

    def holds_instants(self, kind: str) -> bool:
        """Whether a column of that type can give a row its day; one without a known type may."""
        return not kind or not self.instant_kinds or kind.startswith(self.instant_kinds)

    def _epoch_days(self, instant: str, unit: str) -> str:
        second = 1000 if unit == "milliseconds" else 1
        return f"(({instant} + {SHANGHAI_HOURS * 3600 * second}) / {86400 * second}.0)"

    def _names(self, origin: str, what: str) -> pa.Schema:
        """Names and Arrow types of what a query bears."""
        return self.read(f"select * from {origin} where 1 = 0", what).schema

    def _missing(self, what: str) -> PermanentSourceError:
        schema, _, table = what.rpartition(".")
        tables = self.read(self._tables_of(schema), "the list of tables").column(0).to_pylist()
        return PermanentSourceError(
            f"{what} in {self.address}: found no such table, {suggest(table, sorted(set(tables)))}",
            next_step="check `table` or `query` in sources.yml, and the right to see the table",
        )

    def _decoded(self, rows: pa.Table, what: str) -> pa.Table:
        """The rows with text that came as bytes, such as MySQL's long texts, as text."""
        for position, field in enumerate(rows.schema):
            if not pa.types.is_binary(field.type) and not pa.types.is_large_binary(field.type):
                continue
            try:
                text = rows.column(position).cast(pa.large_string())
            except pa.ArrowInvalid:
                raise BrokenContentError(
                    f"{what} in {self.address}: found text that is not UTF-8 in {field.name}"
                ) from None
            rows = rows.set_column(position, field.name, text)
        return rows

    def _explain(self, error: BaseException, what: str) -> SourceError:
        lines = self._without_secrets(str(error)).strip().splitlines() or [type(error).__name__]
        said, place = mask_phones(lines[0]), f"{what} in {self.address}"
        if _MISSING.search(said):
            return self._missing(what)
        mistaken = PermanentSourceError(
            f"{place}: the query failed ({said})",
            next_step="check `table`, `query` and `columns` in sources.yml against the database",
        )
        if _MISTAKEN.search(said):
            return mistaken
        if _DENIED.search(said):
            return PermanentSourceError(
                f"{place}: refused ({said})",
                next_step="check user, password and the right to read this table",
            )
        if _BUSY.search(said):
            return TransientSourceError(
                f"{place}: no answer ({said})",
                next_step="run again; if it repeats, look at the server's own log",
            )
        if "utf-8" in said.lower():
            return BrokenContentError(f"{place}: found text that is not UTF-8 ({said})")
        return mistaken

    def _without_secrets(self, said: str) -> str:
        return said.replace(self._url, self.address)


class Server(Database):
    """A database that is reached over the network."""

    scheme: ClassVar[str]
    default_port: ClassVar[int]

    def __init__(self, rest: str, *, zone_hours: int) -> None:
        super().__init__(zone_hours=zone_hours)
        self._url = f"{self.scheme}://{rest}"
        parts = urlsplit(self._url)
        try:
            self._host, self._port = parts.hostname or "localhost", parts.port or self.default_port
        except ValueError:
            raise ConfigurationError(
                f"sources.yml: url: found no port number in a {self.scheme} address",
                next_step="write it as scheme://user:password@host:port/database, with"
                " special characters of the password as %XX",
            ) from None
        self._password = parts.password or ""
        self.address = f"{self.scheme}://{self._host}:{self._port}{parts.path}"

    def reach(self) -> None:
        try:
            with socket.create_connection((self._host, self._port), REACH_TIMEOUT_SECONDS):
                return
        except OSError as error:
            raise TransientSourceError(
                f"{self.address}: cannot be reached ({error.strerror or error})",
                next_step="check that the server runs and that this machine may connect to it",
            ) from None

    def _without_secrets(self, said: str) -> str:
        said = super()._without_secrets(said)
        for secret in filter(None, (self._password, unquote(self._password))):
            said = said.replace(secret, "***")
        return said


def literal(text: str) -> str:
    """SQL of a text."""
    return "'" + text.replace("'", "''") + "'"
