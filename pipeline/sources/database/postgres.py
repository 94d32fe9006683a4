"""PostgreSQL: instants as timestamp with or without time zone, as date, or as an epoch."""

from datetime import datetime

from pipeline.sources.database.base import Server, literal


class Postgres(Server):
    """A PostgreSQL server, read in sessions of the source's own zone that cannot write."""

    scheme, default_port = "postgresql", 5432
    instant_kinds = ("timestamp", "date")

    def __init__(self, rest: str, *, zone_hours: int) -> None:
        super().__init__(rest, zone_hours=zone_hours)
        self.greeting = (
            "set session characteristics as transaction read only",
            # A bare number counts hours, east being positive.
            f"set time zone {zone_hours}",
            # A database or a user may have other ways to write days and floats by default.
            "set datestyle to 'ISO, YMD'",
            "set extra_float_digits to 1",
        )

    def columns(self, table: str | None, origin: str, what: str) -> dict[str, str]:
        # The catalogue first: connectorx cannot so much as name a column of a type unknown to it.
        return self._declared(table, what) if table else self._typed(origin, what)

    def _declared(self, table: str, what: str) -> dict[str, str]:
        place = ".".join(map(self.quote, table.split(".")))
        found = self.read(
            "select cast(attname as text) as name, cast(cast(case typtype when 'd' then typbasetype"
            " else atttypid end as regtype) as text) as kind"
            " from pg_catalog.pg_attribute join pg_catalog.pg_type on pg_type.oid = atttypid"
            f" where attrelid = to_regclass({literal(place)}) and attnum > 0 and not attisdropped"
            " order by attnum",
            what,
        )
        if not found.num_rows:
            raise self._missing(what)
        return dict(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def _typed(self, origin: str, what: str) -> dict[str, str]:
        names = self._names(origin, what).names
        values = [f"(select {self.quote(name)} from {origin} limit 0)" for name in names]
        kinds = [f"cast(pg_typeof({v}) as text) as k{count}" for count, v in enumerate(values)]
        found = self.read(f"select {', '.join(kinds)}", what)
        return {name: found.column(count)[0].as_py() for count, name in enumerate(names)}

    def text(self, expression: str, kind: str = "") -> str:
        # Money is written as the server's locale has it, with a sign and commas.
        read = f"cast({expression} as numeric)" if kind == "money" else expression
        return f"coalesce(cast({read} as text), '')"

    def instant(self, column: str, kind: str, unit: str | None) -> str:  # noqa: ARG002
        # Compared with a date, a bound would lose its hours.
        return f"cast({column} as timestamp)" if kind == "date" else column

    def bound(self, local: datetime) -> str:
        # A timestamp without time zone ignores the offset, one with it heeds it.
        return f"'{local.isoformat(sep=' ')}'"

    def day(self, instant: str) -> str:
        # The session's zone is the source's own, so both kinds of timestamp become one.
        local = f"cast({instant} as timestamptz) at time zone 'Asia/Shanghai'"
        return self.text(f"cast({local} as date)")

    def _tables_of(self, schema: str) -> str:
        own = f"= {literal(schema)}" if schema else "= any(current_schemas(false))"
        return f"select table_name::text from information_schema.tables where table_schema {own}"
