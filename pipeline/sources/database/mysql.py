"""MySQL and MariaDB: instants as datetime, timestamp or date, or as an epoch."""

from datetime import datetime

import pyarrow as pa

from pipeline.sources.database.base import Server, literal

_ZERO_DATED = ("date", "datetime", "timestamp")


class MySql(Server):
    """A MySQL or MariaDB server, read in sessions of the source's own zone that cannot write."""

    scheme, default_port = "mysql", 3306
    instant_kinds, instant_kind = _ZERO_DATED, "datetime"

    def __init__(self, rest: str, *, zone_hours: int) -> None:
        super().__init__(rest, zone_hours=zone_hours)
        if "prefer_socket=" not in rest:
            # connectorx would leave an address such as the near end of a tunnel for the socket
            # file that the far server names, and so, perhaps, for another server on this machine.
            self._url += ("&" if "?" in rest else "?") + "prefer_socket=false"
        self.greeting = (
            "set session transaction read only",
            # A timestamp is told in the zone of the session, a datetime as it was written.
            f"set time_zone = '{zone_hours:+03d}:00'",
        )

    def quote(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def columns(self, table: str | None, origin: str, what: str) -> dict[str, str]:
        if not table:
            return {field.name: _kind_of(field.type) for field in self._names(origin, what)}
        *schema, name = table.split(".")
        found = self.read(
            f"select {self.text('column_name')} as name, {self.text('data_type')} as kind"
            " from information_schema.columns"
            f" where table_schema = {literal(schema[-1]) if schema else 'database()'}"
            f" and table_name = {literal(name)} order by ordinal_position",
            what,
        )
        if not found.num_rows:
            # Refused or missing: the table itself says which.
            return {field.name: _kind_of(field.type) for field in self._names(origin, what)}
        return dict(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def text(self, expression: str, kind: str = "") -> str:
        if kind.endswith(("blob", "binary")):
            # Text in such a column is read as it is: MySQL would put ? for what is no text.
            return f"coalesce({expression}, '')"
        if kind == "bit":
            expression = f"({expression} + 0)"
        elif kind == "float":
            # Cast as it is, a float is cut to six digits without a word.
            expression = f"({expression} + 0e0)"
        text = f"cast({expression} as char character set utf8mb4)"
        if kind.startswith(_ZERO_DATED):
            text = f"case when {text} like '0000-%' then null else {text} end"
        return f"coalesce({text}, '')"

    def instant(self, column: str, kind: str, unit: str | None) -> str:  # noqa: ARG002
        return column

    def bound(self, local: datetime) -> str:
        return f"'{local:%Y-%m-%d %H:%M:%S.%f}'"

    def day(self, instant: str) -> str:
        return self.text(f"date({instant} + interval {self._hours_to_shanghai} hour)")

    def _tables_of(self, schema: str) -> str:
        return (
            f"select {self.text('table_name')} as name from information_schema.tables"
            f" where table_schema = {literal(schema) if schema else 'database()'}"
        )


def _kind_of(arrow: pa.DataType) -> str:
    """The type of a query's column, as far as it matters how it is read."""
    if pa.types.is_date(arrow):
        return "date"
    if pa.types.is_temporal(arrow):
        return "datetime"
    return "float" if pa.types.is_float32(arrow) else str(arrow)
