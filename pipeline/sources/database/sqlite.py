"""SQLite: columns of any type, instants as text or as an epoch."""

from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from pipeline.errors import BrokenContentError, PermanentSourceError
from pipeline.sources.database.base import EPOCHS, Database


class Sqlite(Database):
    """A SQLite file."""

    def __init__(self, path: Path, *, zone_hours: int) -> None:
        super().__init__(zone_hours=zone_hours)
        self._path = path
        self._url = f"sqlite://{quote(str(path))}"
        self.address = path.name

    def reach(self) -> None:
        # Opened by SQLite, a file that is not there would be made.
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

    def columns(self, table: str | None, origin: str, what: str) -> dict[str, str]:  # noqa: ARG002
        # A declared type does not say what a column holds.
        return dict.fromkeys(self._names(origin, what).names, "")

    def text(self, expression: str, kind: str = "") -> str:  # noqa: ARG002
        return f"coalesce(cast({expression} as text), '')"

    def instant(self, column: str, kind: str, unit: str | None) -> str:  # noqa: ARG002
        if unit in EPOCHS:
            return f"cast(nullif({column}, '') as numeric)"
        ending = f"substr({column}, -6, 1) in ('+', '-') or substr({column}, -1) in ('Z', 'z')"
        return (
            f"case when length({column}) > 19 and ({ending})"
            f" then datetime({column}, '{self._zone_hours:+d} hours') else datetime({column}) end"
        )

    def bound(self, local: datetime) -> str:
        return f"'{local:%Y-%m-%d %H:%M:%S}'"

    def day(self, instant: str) -> str:
        return f"coalesce(date({instant}, '{self._hours_to_shanghai:+d} hours'), '')"

    def epoch_day(self, instant: str, unit: str) -> str:
        # SQLite may have been built without floor().
        return f"cast({self._epoch_days(instant, unit)} as integer)"

    def _tables_of(self, schema: str) -> str:  # noqa: ARG002
        return "select name from sqlite_master where type in ('table', 'view')"
