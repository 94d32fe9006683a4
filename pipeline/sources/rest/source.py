"""The lists of a JSON API as landed tables, as sources.yml describes them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from urllib.parse import quote

import httpx

from pipeline.company import Company, Connection, TableSource
from pipeline.company.rest import ParentList
from pipeline.errors import PermanentSourceError, TransientSourceError
from pipeline.landed import LandedTable
from pipeline.sources.records import Asked, Record, RecordSource, text_at
from pipeline.sources.rest.access import access_of
from pipeline.sources.rest.lists import Line, ListReader
from pipeline.sources.rest.times import time_parameters
from pipeline.sources.unseen import tell_unseen
from pipeline.sources.wire import Wire

PARENT = "parent"
_FIELD = re.compile(r"\{([^{}]+)\}")


class RestRecords(RecordSource):
    """One landed table as one list of a JSON API, or as the lists of each record of another.

    A list that cannot be asked by day is read at once for all days. One that cannot be asked for
    changes either is taken again whole, every day of it.
    """

    connector = "rest"

    def __init__(
        self,
        table: LandedTable,
        settings: TableSource,
        connection: Connection,
        company: Company,
        *,
        wire: Wire | None = None,
    ) -> None:
        super().__init__(table, settings, connection, company, wire=wire)
        self.can_ask_by_day = settings.asked_by.day is not None
        self._counted: int | None = None

    @property
    def _what(self) -> str:
        return f"{self._settings.object} at {self._connection.base_url}"

    @property
    def _tells_changes(self) -> bool:
        return self._settings.asked_by.change is not None

    def _field_names(self) -> None:
        """Nobody can tell: what a record lacks, an API may leave out."""

    def _count(self, asked: Asked) -> int | None:
        """What the API said of the list, where `count_at` names the place."""
        del asked
        return self._counted

    def changed_days(self, since: datetime | None, known: Mapping[date, str]) -> set[date]:
        """The days with a record that has changed; all of them where the API tells only all."""
        if not self._tells_changes and not self.can_ask_by_day:
            return set(known)
        return super().changed_days(since, known)

    def probe(self) -> str:
        """Read the first page: proves address, secret, the list's place and the mapped fields."""
        with self._line() as line:
            records = next(self._read_lists(line, {}), ())
        return f"{self._what}: {len(records)} records on the first page" + tell_unseen(
            self._columns.names, records, self._settings.each
        )

    def _pages(self, asked: Asked) -> Iterator[Sequence[Record]]:
        self._counted = None
        with self._line() as line:
            yield from self._read_lists(line, self._times(asked))

    def _times(self, asked: Asked) -> dict[str, str]:
        by = self._settings.asked_by
        of = by.change if asked.is_by_change else by.day
        if of is None:
            return {}
        return time_parameters(of, asked.since, asked.until, self._settings.time_zone)

    @contextmanager
    def _line(self) -> Iterator[Line]:
        """A line to the host, closed at the end."""
        access = access_of(self._connection, self._company)
        with self._wire.client(self._connection.base_url or "") as client:

            def get(url: httpx.URL) -> httpx.Response:
                with_access = url.copy_merge_params(access.parameters)
                return client.get(with_access, headers=access.headers)

            base = httpx.URL(self._connection.base_url or "")
            yield Line(base, get, self._wire, access.conceal)

    def _read_lists(self, line: Line, times: Mapping[str, str]) -> Iterator[Sequence[Record]]:
        settings, path = self._settings, self._settings.object or ""
        if settings.parent is None:
            for reply in ListReader(line, settings, path).replies(times):
                # The greatest: what is gone since the first page may have hidden what moved up.
                counts = [of for of in (self._counted, reply.count) if of is not None]
                self._counted = max(counts, default=None)
                yield reply.records
            return
        for parent in _read_whole(line, settings.parent):
            own = ListReader(line, settings, self._path_of(path, parent))
            for reply in own.replies(times):
                yield [{**record, PARENT: parent} for record in reply.records]

    def _path_of(self, path: str, parent: Record) -> str:
        """The path of one record's own list."""

        def fill(name: re.Match[str]) -> str:
            text = text_at(parent, name[1])
            if text is None:
                raise PermanentSourceError(
                    f"{self._what}: found a record of the list above without {name[1]}",
                    next_step="name a field in the braces of `object` that each of them has",
                )
            return quote(text, safe="")

        return _FIELD.sub(fill, path)


def _read_whole(line: Line, listed: ParentList) -> list[Record]:
    """All records of a list, once each. Raises TransientSourceError where they do not tie."""
    records: dict[str, Record] = {}
    counted = 0
    for reply in ListReader(line, listed, listed.object).replies({}):
        records |= {repr(record): record for record in reply.records}
        counted = max(counted, reply.count or 0)
    if listed.count_at and counted != len(records):
        raise TransientSourceError(
            f"{listed.object} at {line.base}: read {len(records)} records, the system counts"
            f" {counted}: it changes while it is read",
            next_step="run again when less is written to it",
        )
    return list(records.values())
