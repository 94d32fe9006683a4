"""The lists of a JSON API as landed tables, as sources.yml describes them."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import httpx

from pipeline.company import Company, Connection, TableSource
from pipeline.company.mistakes import suggest
from pipeline.errors import BrokenContentError, PermanentSourceError
from pipeline.landed import LandedTable
from pipeline.sources.records import Asked, Record, RecordSource, as_text, text_at
from pipeline.sources.replies import exchange
from pipeline.sources.rest.access import access_of
from pipeline.sources.rest.paging import Reply, Step, read_pages
from pipeline.sources.rest.times import time_parameters
from pipeline.sources.unseen import tell_unseen
from pipeline.sources.wire import Wire

logger = logging.getLogger(__name__)

_MISSING = object()


class RestRecords(RecordSource):
    """One landed table as one list of a JSON API.

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
        self._is_first_reply = True

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
        with self._line() as get:
            records = next(self._replies(get, {})).records
        return f"{self._what}: {len(records)} records on the first page" + tell_unseen(
            self._columns.names, records, self._settings.each
        )

    def _pages(self, asked: Asked) -> Iterator[Sequence[Record]]:
        self._counted = None
        with self._line() as get:
            for reply in self._replies(get, self._times(asked)):
                # The greatest: what is gone since the first page may have hidden what moved up.
                self._counted = max(filter(None, (self._counted, reply.count)), default=reply.count)
                yield reply.records

    def _times(self, asked: Asked) -> dict[str, str]:
        by = self._settings.asked_by
        of = by.change if asked.is_by_change else by.day
        if of is None:
            return {}
        return time_parameters(of, asked.since, asked.until, self._settings.time_zone)

    @contextmanager
    def _line(self) -> Iterator[Callable[[httpx.URL], httpx.Response]]:
        """A line to the host, closed at the end."""
        access = access_of(self._connection, self._company)
        with self._wire.client(self._connection.base_url or "") as client:

            def get(url: httpx.URL) -> httpx.Response:
                with_access = url.copy_merge_params(access.parameters)
                return client.get(with_access, headers=access.headers)

            yield get

    def _replies(
        self, get: Callable[[httpx.URL], httpx.Response], times: Mapping[str, str]
    ) -> Iterator[Reply]:
        conceal = access_of(self._connection, self._company).conceal
        base = httpx.URL(self._connection.base_url or "")
        path = f"{base.path.rstrip('/')}/{(self._settings.object or '').lstrip('/')}"
        fixed = {name: _written(value) for name, value in self._settings.parameters.items()}

        def ask(step: Step) -> Reply:
            url = base.copy_with(path=path).copy_merge_params({**fixed, **times})
            url = url.copy_merge_params(dict(step.parameters))
            if step.address is not None:
                url = self._require_same_host(base, url.join(step.address))
            responses: list[httpx.Response] = []

            def send() -> httpx.Response:
                responses.append(get(url))
                return responses[-1]

            content = self._wire.persist(lambda: exchange(send, self._what, conceal=conceal))
            return self._read_reply(content, responses[-1])

        return read_pages(self._settings.paging, self._settings.page_size, ask, self._what)

    def _require_same_host(self, base: httpx.URL, url: httpx.URL) -> httpx.URL:
        """The address of the next page; our access is for this host only."""
        if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port):
            raise PermanentSourceError(
                f"{self._what}: the next page stands at {url.scheme}://{url.host}, allowed: the"
                " host of base_url",
                next_step="name the address by which the API calls itself as base_url",
            )
        return url

    def _read_reply(self, content: Any, response: httpx.Response) -> Reply:
        settings = self._settings
        found = self._at(content, settings.list_at) if settings.list_at else content
        records = [] if found is None else found
        if not isinstance(records, list) or not all(isinstance(of, Mapping) for of in records):
            place = settings.list_at or "the reply"
            raise BrokenContentError(
                f"{self._what}: found {type(found).__name__} as {place}, allowed: a list of"
                " objects",
                next_step="name the place of the list as `list_at` of the table in sources.yml",
            )
        return Reply(records, self._following(content, response), self._count_in(content))

    def _following(self, content: Any, response: httpx.Response) -> str | None:
        """The token or address of the next page. Many an API leaves its place out of the last page,
        so that a place that never was there is told, and no error."""
        paging = self._settings.paging
        if paging.next_at:
            self._tell_missing(content, paging.next_at)
            return text_at(content, paging.next_at) if isinstance(content, Mapping) else None
        if paging.kind == "link":
            return response.links.get("next", {}).get("url")
        return None

    def _tell_missing(self, content: Any, place: str) -> None:
        """Say once, of the first reply, that nothing in it leads on."""
        names = set(content) if isinstance(content, Mapping) else set()
        if self._is_first_reply and not names & {place, place.split(".")[0]}:
            logger.warning(
                "%s: the first page has no '%s', so it is read as the only one", self._what, place
            )
        self._is_first_reply = False

    def _count_in(self, content: Any) -> int | None:
        if not self._settings.count_at:
            return None
        text = as_text(self._at(content, self._settings.count_at)) or ""
        if not text.isdecimal():
            raise BrokenContentError(
                f"{self._what}: found {text[:40]!r} as {self._settings.count_at}, allowed: a count",
                next_step="name the place of the count as `count_at` of the table in sources.yml",
            )
        return int(text)

    def _at(self, content: Any, path: str) -> Any:
        """What stands at a path of the reply. Raises PermanentSourceError where nothing can."""
        if isinstance(content, Mapping) and path in content:
            return content[path]
        value = content
        for step in path.split("."):
            names = list(value) if isinstance(value, Mapping) else []
            value = value.get(step, _MISSING) if isinstance(value, Mapping) else _MISSING
            if value is _MISSING:
                raise PermanentSourceError(
                    f"{self._what}: found no '{step}' of {path} in the reply,"
                    f" {suggest(step, names)}",
                    next_step="name the places as they are there in sources.yml",
                )
        return value


def _written(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
