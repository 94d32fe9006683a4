"""Which columns of a file or a query are read, and what is said where one is not there."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pipeline.company import ColumnSource
from pipeline.company.mistakes import suggest
from pipeline.errors import PermanentSourceError
from pipeline.landed import LandedTable

logger = logging.getLogger(__name__)


class WantedColumns:
    """The names that a landed table is read from: those of its mapping, else the landed ones.

    `names` are all that may be read, `required` those without which no row can land.
    """

    def __init__(
        self,
        table: LandedTable,
        mapping: Mapping[str, ColumnSource],
        choosing: ColumnSource | None = None,
    ) -> None:
        """`choosing` is what says which rows land."""
        self.is_mapped = bool(mapping)
        self._table = table
        beside = (choosing,) if choosing is not None else ()
        self._sources = (*mapping.values(), *beside)
        self._fields = {name: source.fields for name, source in mapping.items()} or {
            column.name: (column.name,) for column in table.columns
        }
        chosen_by = (field for source in beside for field in source.fields)
        self.names = list(dict.fromkeys((*self._fields_of(self._fields), *chosen_by)))
        self.required = list(self._fields_of(name for name in table.required))
        self._told: set[str] = set()
        self._mapping = mapping

    @property
    def identifiers(self) -> list[str]:
        """The columns that rows are joined by: what a spreadsheet must not have rounded."""
        joined = [
            name
            for name in self._fields
            if self._table.column(name).kind == "text"
            and (name.endswith(("_no", "_id", "_code")) or name in ("phone", "openid", "unionid"))
        ]
        return list(self._fields_of(joined))

    @property
    def amounts(self) -> set[str]:
        """The columns that hold money or quantities."""
        return set(self._fields_of(name for name in self._fields if self._table.is_amount(name)))

    @property
    def key_parts(self) -> list[list[str]]:
        """For each required part of the key, the columns that it may come from."""
        parts = [name for name in self._table.key if self._table.column(name).is_required]
        return [list(fields) for name in parts if (fields := self._fields.get(name, ()))]

    @property
    def dates(self) -> set[str]:
        """The columns that hold days or instants as people write them, and no epochs."""
        written = [
            name
            for name in self._fields
            if self._table.column(name).kind in ("instant", "day")
            and (name not in self._mapping or self._mapping[name].unit in (None, "iso"))
        ]
        return set(self._fields_of(written))

    def count_borne(self, found: Iterable[str | None]) -> int:
        """How many of the names a row bears: the more, the likelier it is the header."""
        return len(set(self.names) & set(found))

    def _fields_of(self, columns: Iterable[str]) -> Iterator[str]:
        return (field for name in columns for field in self._fields.get(name, ()))

    def among(self, found: Sequence[str], place: str) -> list[str]:
        """Of the columns that a table-shaped `place` bears, those to read.

        A mapping needs every column that it names; without one the required landed columns are
        needed. Raises PermanentSourceError.
        """
        self.require(self.names if self.is_mapped else self.required, found, place)
        self.tell_ignored(found, place)
        return [name for name in self.names if name in found]

    def lacking(self, has: Callable[[str], bool]) -> list[str]:
        """The names that an object with fields lacks. Of several that one column may come from,
        one is enough: which of them there are differs by version and by what is installed."""
        if not self.is_mapped:
            return [name for name in self.required if not has(name)]
        missing = [
            name for source in self._sources for name in self._needed(source, has) if not has(name)
        ]
        return list(dict.fromkeys(missing))

    def _needed(self, source: ColumnSource, has: Callable[[str], bool]) -> tuple[str, ...]:
        is_found = any(has(candidate.field) for candidate in source.candidates)
        return source.plus if is_found else source.fields

    def tell_ignored(self, found: Sequence[str], place: str) -> None:
        """Log, once for each name, what bears no landed name though no mapping leaves it out."""
        unknown = [name for name in found if name not in self.names and name not in self._told]
        if unknown and not self.is_mapped:
            self._told.update(unknown)
            logger.warning(
                "%s: ignored %s, not of the landed table %s",
                place, ", ".join(unknown), self._table.name,
            )  # fmt: skip

    def require(self, needed: Iterable[str], found: Sequence[str], place: str) -> None:
        """Raise PermanentSourceError, with near matches, where a needed column is not found."""
        missing = [name for name in needed if name not in found]
        if missing:
            wanted = ", ".join(f"'{name}'" for name in missing)
            raise PermanentSourceError(
                f"{place}: found no column {wanted} for {self._table.name},"
                f" {suggest(missing[0], found)}",
                next_step="name the columns as they are there under `columns` of"
                f" {self._table.name} in sources.yml",
            )
