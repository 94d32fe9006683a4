"""Microsoft SQL Server. Worded by its documentation; not run on a real one."""

from datetime import datetime

from pipeline.sources.database.base import Server, literal


class SqlServer(Server):
    """A SQL Server. connectorx cannot make its sessions read-only: the user's rights must."""

    scheme, default_port = "mssql", 1433
    instant_kinds, instant_kind = ("date", "smalldatetime"), "datetime2"

    def quote(self, name: str) -> str:
        return "[" + name.replace("]", "]]") + "]"

    def columns(self, table: str | None, origin: str, what: str) -> dict[str, str]:  # noqa: ARG002
        self._names(origin, what)  # which says what is wrong where this would tell no columns
        found = self.read(
            f"select {self.text('name')} as name, {self.text('system_type_name')} as kind"
            " from sys.dm_exec_describe_first_result_set("
            f"N{literal(f'select * from {origin}')}, null, 0) order by column_ordinal",
            what,
        )
        return dict(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def text(self, expression: str, kind: str = "") -> str:
        if kind.startswith(self.instant_kinds):
            style = ", 126"  # ISO 8601, whatever the language of the session
        elif kind in ("money", "smallmoney"):
            style = ", 2"  # four decimals; by default two
        elif kind in ("float", "real"):
            style = ", 3"  # seventeen digits; by default six
        else:
            style = ""
        return f"coalesce(convert(nvarchar(max), {expression}{style}), N'')"

    def instant(self, column: str, kind: str, unit: str | None) -> str:  # noqa: ARG002
        if kind.startswith("datetimeoffset"):
            offset = f"{self._zone_hours:+03d}:00"
            return f"cast(switchoffset({column}, '{offset}') as datetime2)"
        return f"cast({column} as datetime2)" if kind == "date" else column

    def bound(self, local: datetime) -> str:
        return f"cast('{local:%Y-%m-%dT%H:%M:%S}' as datetime2)"

    def limited(self, query: str, rows_count: int) -> str:
        return f"select top ({rows_count}) * from ({query}) found"

    def day(self, instant: str) -> str:
        local = f"dateadd(hour, {self._hours_to_shanghai}, cast({instant} as datetime2))"
        return f"coalesce(convert(nvarchar(10), {local}, 23), N'')"

    def _tables_of(self, schema: str) -> str:
        return (
            f"select {self.text('name')} as name from sys.objects where type in ('U', 'V')"
            f" and schema_name(schema_id) = {literal(schema) if schema else 'schema_name()'}"
        )
