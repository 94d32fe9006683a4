"""Stored callbacks as landed tables: results of messages, events, and messages by their results."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache, partial
from typing import Any

import pyarrow as pa

from pipeline.company import Company, Connection, TableSource
from pipeline.conform import PLACE
from pipeline.errors import NotReadyError
from pipeline.landed import LandedTable
from pipeline.landing import Extract, Rejected, business_day, day_end, day_start
from pipeline.sources.days import Uncounted
from pipeline.sources.wechat.callbacks.body import Body, UnreadableBodyError, read_bodies
from pipeline.sources.wechat.callbacks.events import split_events
from pipeline.sources.wechat.callbacks.fields import Head, UnfitError, kept, read_head, text
from pipeline.sources.wechat.callbacks.results import split_results
from pipeline.sources.wechat.callbacks.shelf import Shelf, StoredBody, StoredFile

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Split = Callable[[Body, Head], list[Callable[[], Row]] | None]

# A day's extract needs the files of three days; those of the next day share two of them.
FILES_KEPT = 4
# What a customer sends, by its MsgType.
TALK = ("text", "image", "voice", "video", "shortvideo", "location", "link", "miniprogrampage")
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class _Read:
    """What one file tells of one landed table, by business day, and when its last body came."""

    rows: list[tuple[date, Row]] = field(default_factory=list)
    rejected: list[tuple[date, Rejected]] = field(default_factory=list)
    received_at: datetime = NEVER
    talk_count: int = 0
    """What customers wrote: no event, and nothing of it is read."""


class Callbacks(Uncounted):
    """`message_results`, `callback_events` or, for companies that log no messages, `messages`.

    A row's day is that of the instant in its body. The source is complete until its newest body
    came: until the next one comes, nothing tells a quiet account from a broken line.
    """

    connector = "wechat_callbacks"
    ready_at = time(0)

    def __init__(
        self,
        table: LandedTable,
        settings: TableSource,
        connection: Connection,
        company: Company,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.table = table
        self._app_id = connection.app_id
        self._company = company
        self._now = now
        self._shelf = Shelf(connection.folder or company.folder, settings.files)
        self._read = lru_cache(FILES_KEPT)(self._read_file)

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per day, in order. Raises NotReadyError for a day before whose beginning
        the last body came."""
        for day in sorted(set(days)):
            if self._reached <= day_start(day):
                raise self._not_ready(day)
            yield self._extract(day)

    def changed_days(self, since: datetime | None, known: Mapping[date, str]) -> set[date]:
        """The days beside a file that is newer than `since`; all, where that file names no day."""
        changed: set[date] = set()
        for file in self._shelf.files():
            if since is not None and since <= self._now() and file.changed_at <= since:
                continue
            if file.day is None:
                return set(known)
            changed |= set(_about(file.day))
        return changed & set(known)

    def probe(self) -> str:
        """Read the newest file and say what it holds."""
        files = self._shelf.files()
        if not files:
            raise self._not_ready(None)
        newest = max(files, key=lambda file: (file.day or date.min, file.name))
        read = self._read_file(newest)
        return (
            f"{len(files)} files, the newest body of {self._reached.isoformat()};"
            f" the newest file has {len(read.rows)} rows for {self.table.name},"
            f" {len(read.rejected)} set aside"
        )

    def last_day(self) -> date | None:
        """The day on which the newest body came; None where none is there yet."""
        if not self._shelf.files():
            return None
        return business_day(self._reached - timedelta(microseconds=1))

    @cached_property
    def _reached(self) -> datetime:
        """When the newest body came; neither after the company's last day nor in the future."""
        newest = max((file.day for file in self._shelf.files() if file.day), default=None)
        read = [*self._undated, *map(self._read, self._shelf.files_of(newest))]
        nothing = day_start(self._company.first_day)
        reached = max((part.received_at for part in read), default=nothing)
        last_day = self._company.last_day
        return min(reached, self._now(), day_end(last_day) if last_day else reached)

    @cached_property
    def _undated(self) -> list[_Read]:
        """The files whose name bears no day: each may hold any."""
        return [self._read_file(file) for file in self._shelf.files() if file.day is None]

    def _extract(self, day: date) -> Extract:
        read = [*self._undated, *map(self._read, self._shelf.files_of(*_about(day)))]
        rows, again = self._without_repetitions(
            [row for part in read for of_day, row in part.rows if of_day == day]
        )
        rejected = [row for part in read for of_day, row in part.rejected if of_day == day]
        schema = pa.schema(
            [
                (name, kind if pa.types.is_timestamp(kind) else pa.string())
                for name, kind in zip(self.table.schema.names, self.table.schema.types, strict=True)
            ]
        ).append(pa.field(PLACE, pa.string()))
        return Extract(
            day=day,
            rows=pa.Table.from_pylist(rows, schema=schema),
            complete_until=min(self._reached, day_end(day)),
            rejected=(*rejected, *again),
        )

    def _without_repetitions(self, rows: list[Row]) -> tuple[list[Row], list[Rejected]]:
        """WeChat repeats what was not answered in time: the first stays, of each key one.

        A repetition that says something else is set aside.
        """
        first: dict[tuple[Any, ...], Row] = {}
        again = []
        for row in sorted(rows, key=lambda row: (row[self.table.day_of[-1]], row[PLACE])):
            key = tuple(row.get(name) for name in self.table.key)
            before = first.setdefault(key, row)
            if _content(before) != _content(row):
                reason = f"{'/'.join(self.table.key)}: came again with other content, after"
                again.append(Rejected(row[PLACE], f"{reason} {before[PLACE]}", str(_told(row))))
        return list(first.values()), again

    def _read_file(self, file: StoredFile) -> _Read:
        read = _Read()
        for stored in file.bodies():
            read.received_at = max(read.received_at, stored.received_at)
            day = file.day or business_day(stored.received_at)
            try:
                bodies = read_bodies(stored.content)
            except UnreadableBodyError as error:
                # It stays where it is stored: nobody can say what of it is personal.
                raw = f"{len(stored.content)} bytes"
                read.rejected.append((self._bounded(day), Rejected(stored.place, str(error), raw)))
                continue
            for body in bodies:
                self._read_body(read, stored, body, file.day, self._bounded(day))
        if read.talk_count:
            logger.info("%s: %d messages of customers left alone", file.name, read.talk_count)
        return read

    def _read_body(
        self, read: _Read, stored: StoredBody, body: Body, file_day: date | None, day: date
    ) -> None:
        def reject(reason: str) -> None:
            read.rejected.append((day, Rejected(stored.place, reason, kept(body))))

        if body.get("MsgType") in TALK:
            read.talk_count += 1
            return None
        try:
            app_id = stored.app_id or self._app_id
            head = read_head(body, app_id=app_id, received_at=stored.received_at)
            of_row = business_day(head.created_at)
            if file_day is not None and abs(of_row - file_day) > timedelta(days=1):
                raise UnfitError(
                    f"CreateTime: found {of_row}, allowed: about the file's {file_day}"
                )
            readings = self._split(body, head)
        except UnfitError as error:
            return reject(str(error))
        for reading in readings:
            try:
                row = reading() | {PLACE: stored.place}
                read.rows.append((self._bounded(of_row), row))
            except UnfitError as error:
                reject(str(error))
        return None

    def _split(self, body: Body, head: Head) -> list[Callable[[], Row]]:
        """The readings of a body for this table; none where it belongs to the other.

        Raises UnfitError for an event that is unknown, which is told of once: in callback_events.
        """
        results, events = split_results(body, head), split_events(body, head)
        if self.table.name == "callback_events":
            if results is None and events is None:
                named = text(body, "Event") or f"a message of type {text(body, 'MsgType')}"
                raise UnfitError(f"unknown event: {named[:40]}")
            return events or []
        if self.table.name == "messages":
            return [partial(_as_message, result) for result in results or []]
        return results or []

    def _bounded(self, day: date) -> date:
        """What came before the company's first day, or after its last, is landed with that."""
        last_day = self._company.last_day
        return max(self._company.first_day, min(day, last_day) if last_day else day)

    def _not_ready(self, day: date | None) -> NotReadyError:
        about = f"{self.table.name} {day}" if day else self.table.name
        newest = f"the newest body came {self._reached.isoformat()}"
        return NotReadyError(
            f"{about}: {newest if self._shelf.files() else 'found no stored body'}",
            next_step="see that `bihuan callbacks serve` runs and that WeChat's address for"
            " callbacks leads to it, or put the stored bodies into the folder",
        )


def _about(day: date) -> tuple[date, date, date]:
    """The days of receipt that may tell of a day, for WeChat repeats a call within minutes."""
    return day - timedelta(days=1), day, day + timedelta(days=1)


def _as_message(read_result: Callable[[], Row]) -> Row:
    """A message as its result tells it: when it was sent is not told."""
    result = read_result()
    return {
        name: result.get(name)
        for name in ("message_id", "kind", "template_id", "openid", "status", "status_at")
    }


def _content(row: Row) -> Row:
    """What must not differ between repetitions: WeChat's wire tells the account only at times."""
    return {name: value for name, value in row.items() if name not in (PLACE, "app_id")}


def _told(row: Row) -> Row:
    return {name: str(value) for name, value in row.items() if value is not None}
