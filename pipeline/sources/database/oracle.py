"""Oracle Database. Worded by its documentation; not run on a real one."""

from datetime import datetime

import pyarrow as pa

from pipeline.sources.database.base import Server, literal

_NUMBERS = ("number", "float", "binary_float", "binary_double")


class Oracle(Server):
    """An Oracle server. connectorx cannot make its sessions read-only: the user's rights must."""

    scheme, default_port = "oracle", 1521
    instant_kinds, instant_kind = ("date", "timestamp"), "timestamp"

    def columns(self, table: str | None, origin: str, what: str) -> dict[str, str]:
        if not table:
            return {field.name: _kind_of(field.type) for field in self._names(origin, what)}
        *owner, name = table.split(".")
        found = self.read(
            "select column_name as name, lower(data_type) as kind from all_tab_columns"
            f" where owner = {literal(owner[-1]) if owner else 'user'}"
            f" and table_name = {literal(name)} order by column_id",
            what,
        )
        if not found.num_rows:
            raise self._missing(what)
        return dict(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def text(self, expression: str, kind: str = "") -> str:
        if kind.startswith("timestamp"):
            is_zoned = "time zone" in kind
            read = expression if is_zoned else f"cast({expression} as timestamp)"
            zone = "TZH:TZM" if is_zoned else ""
            return f"to_char({read}, 'YYYY-MM-DD\"T\"HH24:MI:SS.FF6{zone}')"
        if kind == "date":
            return f"to_char({expression}, 'YYYY-MM-DD\"T\"HH24:MI:SS')"
        if kind in _NUMBERS:
            return f"to_char({expression}, 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')"
        return f"cast({expression} as varchar2(4000))"

    def instant(self, column: str, kind: str, unit: str | None) -> str:  # noqa: ARG002
        if "time zone" in kind:
            return f"cast({column} at time zone '{self._zone_hours:+03d}:00' as timestamp)"
        return column

    def bound(self, local: datetime) -> str:
        return f"timestamp '{local:%Y-%m-%d %H:%M:%S}'"

    def limited(self, query: str, rows_count: int) -> str:
        return f"{query} fetch first {rows_count} rows only"

    def day(self, instant: str) -> str:
        return f"to_char({instant} + {self._hours_to_shanghai} / 24, 'YYYY-MM-DD')"

    def _tables_of(self, schema: str) -> str:
        owner = literal(schema) if schema else "user"
        return (
            f"select table_name as name from all_tables where owner = {owner}"
            f" union all select view_name from all_views where owner = {owner}"
        )


def _kind_of(arrow: pa.DataType) -> str:
    """The type of a query's column, as far as it matters how it is read."""
    if pa.types.is_temporal(arrow):
        return "date"
    return "number" if pa.types.is_integer(arrow) or pa.types.is_floating(arrow) else str(arrow)
