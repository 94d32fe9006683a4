"""The state file `<data>/alerts.sqlite`: the only reader and writer of its tables.

SQLite and not DuckDB: many small transactions, safe when the process is killed, and no analyst
holds it open. One `transaction` takes the write lock at once, so that two runs never decide on
the same state. What is decided belongs to `rules`, what is sent to `delivery`.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, Self

from pipeline.alerts.records import (
    Alert,
    Evaluation,
    Subject,
    Transition,
    write_instant,
)

LOCK_PATIENCE_SECONDS = 30.0

SCHEMA = """
create table if not exists alert_decisions (
    as_of text,               -- null where a source has delivered nothing yet
    frontier text,            -- watermark of the newest source
    is_suppressed integer not null,
    unique (as_of, frontier, is_suppressed)
);
create table if not exists alert_evaluations (
    fingerprint text not null,
    business_day text not null,
    as_of text not null,
    rule text not null,
    value real not null,
    low real,
    high real,
    clean_high real,
    threshold real not null,
    found_count integer not null,
    judged_count integer not null,
    amount_fen integer,
    severity text not null,
    verdict text not null check (verdict in ('bad', 'quiet', 'clean', 'muted')),
    is_suppressed integer not null,
    primary key (fingerprint, business_day, as_of, is_suppressed)
);
create table if not exists alerts (
    fingerprint text primary key,
    rule text not null,
    business_line text not null,
    leg text not null,
    divergence text not null,
    source_table text not null,
    severity text not null,
    state text not null check (state in ('open', 'acknowledged', 'silenced', 'resolved')),
    episode integer not null,
    opened_at text not null,
    last_bad_at text not null,
    last_bad_day text not null,
    told_value real not null,
    owner text,
    escalated_at text,
    resolved_at text,
    acknowledged_by text,
    silence_reason text,
    silenced_until text,
    facts text not null
);
create table if not exists alert_transitions (
    position integer primary key autoincrement,
    transition_id text not null unique,
    fingerprint text not null,
    rule text not null,
    business_line text not null,
    leg text not null,
    divergence text not null,
    source_table text not null,
    severity text not null,
    as_of text not null,
    kind text not null,
    episode integer not null,
    from_state text,
    to_state text not null,
    facts text not null,
    note text
);
create trigger if not exists alert_transitions_are_never_updated
before update on alert_transitions begin select raise(abort, 'append-only'); end;
create trigger if not exists alert_transitions_are_never_deleted
before delete on alert_transitions begin select raise(abort, 'append-only'); end;
create table if not exists alert_outbox (
    transition_id text not null references alert_transitions (transition_id),
    channel text not null,
    status text not null default 'pending' check (status in ('pending', 'sent', 'failed')),
    attempts integer not null default 0,
    next_try_at text,
    sent_at text,
    last_error text,
    primary key (transition_id, channel)
);
"""

SUBJECT_COLUMNS = tuple(field.name for field in fields(Subject))


@dataclass(frozen=True)
class Outgoing:
    """One row of the outbox with the transition that it tells of."""

    transition: Transition
    channel: str
    status: str
    attempts: int
    next_try_at: datetime | None
    last_error: str | None


class AlertState:
    """The state file, opened and made where there is none. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            path, timeout=LOCK_PATIENCE_SECONDS, isolation_level=None
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else writes meanwhile."""
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    def newest_decided(self) -> tuple[datetime | None, datetime | None]:
        """The newest `as_of` and the newest frontier that any run decided on."""
        row = self._connection.execute(
            "select max(as_of), max(frontier) from alert_decisions"
        ).fetchone()
        return _read_instant(row[0]), _read_instant(row[1])

    def note_decision(
        self, as_of: datetime | None, frontier: datetime | None, *, is_suppressed: bool
    ) -> None:
        """Remember that a run decided on this file."""
        self._connection.execute(
            "insert or ignore into alert_decisions values (?, ?, ?)",
            [_write(as_of), _write(frontier), is_suppressed],
        )

    def note_evaluation(self, evaluation: Evaluation) -> None:
        """Keep one evaluation; judging the same `as_of` again replaces it."""
        self._insert("alert_evaluations", asdict(evaluation), "replace")

    def alerts(self) -> list[Alert]:
        """Every alert there ever was, the critical ones first, then by opening and subject."""
        rows = self._connection.execute(
            "select * from alerts order by severity, opened_at desc, fingerprint"
        )
        return [_read_alert(row) for row in rows]

    def save_alert(self, alert: Alert) -> None:
        """Write what the alert is now."""
        values = asdict(alert)
        self._insert("alerts", values | values.pop("subject"), "replace")

    def append(self, transition: Transition, channels: Sequence[str]) -> bool:
        """Append the transition and queue it for `channels`; False if it was taken before."""
        values = asdict(transition)
        values |= values.pop("subject") | {"transition_id": transition.transition_id}
        is_new = self._insert("alert_transitions", values, "ignore") == 1
        if is_new:
            self._connection.executemany(
                "insert into alert_outbox (transition_id, channel) values (?, ?)",
                [(transition.transition_id, channel) for channel in channels],
            )
        return is_new

    def transitions(self, fingerprint: str) -> list[Transition]:
        """The life of one alert, in the order it was written."""
        rows = self._connection.execute(
            "select * from alert_transitions where fingerprint = ? order by position",
            [fingerprint],
        )
        return [_read_transition(row) for row in rows]

    def evaluations(self, fingerprint: str) -> list[Evaluation]:
        """What the rule found for one subject, the newest first."""
        rows = self._connection.execute(
            "select * from alert_evaluations where fingerprint = ?"
            " order by as_of desc, business_day desc",
            [fingerprint],
        )
        return [_read_evaluation(row) for row in rows]

    def outbox(self, status: str, channel: str | None = None) -> list[Outgoing]:
        """The rows of one status, of one channel or of all, in the order they were decided."""
        rows = self._connection.execute(
            "select * from alert_outbox join alert_transitions using (transition_id)"
            " where status = ? and channel = coalesce(?, channel) order by position, channel",
            [status, channel],
        )
        return [
            Outgoing(
                transition=_read_transition(row),
                channel=row["channel"],
                status=row["status"],
                attempts=row["attempts"],
                next_try_at=_read_instant(row["next_try_at"]),
                last_error=row["last_error"],
            )
            for row in rows
        ]

    def mark_tried(self, ids: Sequence[str], channel: str) -> None:
        """Count an attempt, before it is made."""
        self._mark("attempts = attempts + 1", ids, channel)

    def mark_sent(self, ids: Sequence[str], channel: str, at: datetime) -> None:
        """The channel took the message."""
        self._mark(
            "status = 'sent', sent_at = ?, next_try_at = null, last_error = null",
            ids, channel, write_instant(at),
        )  # fmt: skip

    def mark_waiting(
        self,
        ids: Sequence[str],
        channel: str,
        *,
        error: str,
        next_try_at: datetime | None,
    ) -> None:
        """It did not go out and may later; without `next_try_at` the next run tries again."""
        self._mark("last_error = ?, next_try_at = ?", ids, channel, error, _write(next_try_at))

    def mark_failed(self, ids: Sequence[str], channel: str, *, error: str) -> None:
        """It will not go out as it is: kept and shown, tried again only when asked to."""
        self._mark("status = 'failed', last_error = ?, next_try_at = null", ids, channel, error)

    def requeue_failed(self) -> int:
        """Put every failed row back into the queue; return how many there were."""
        cursor = self._connection.execute(
            "update alert_outbox set status = 'pending', attempts = 0 where status = 'failed'"
        )
        return cursor.rowcount

    def _mark(self, change: str, ids: Sequence[str], channel: str, *values: str | None) -> None:
        self._connection.executemany(
            f"update alert_outbox set {change} where transition_id = ? and channel = ?",
            [(*values, transition_id, channel) for transition_id in ids],
        )

    def _insert(self, table: str, values: dict[str, Any], conflict: str) -> int:
        columns, places = ", ".join(values), ", ".join("?" for _ in values)
        cursor = self._connection.execute(
            f"insert or {conflict} into {table} ({columns}) values ({places})",
            [_write(value) for value in values.values()],
        )
        return cursor.rowcount


def _write(value: Any) -> Any:
    if isinstance(value, datetime):
        return write_instant(value)
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


def _read_instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _read_row(row: sqlite3.Row, kind: type[Any]) -> dict[str, Any]:
    """The columns of `row` that `kind` has fields for, with the types of those fields."""
    values: dict[str, Any] = {}
    for field in fields(kind):
        if field.name == "subject":
            values["subject"] = Subject(**{name: row[name] for name in SUBJECT_COLUMNS})
            continue
        value = row[field.name]
        if field.name.endswith(("_at", "_until", "as_of")):
            value = _read_instant(value)
        elif field.name.endswith("_day"):
            value = date.fromisoformat(value)
        elif field.name == "facts":
            value = json.loads(value)
        elif field.name.startswith("is_"):
            value = bool(value)
        values[field.name] = value
    return values


def _read_alert(row: sqlite3.Row) -> Alert:
    return Alert(**_read_row(row, Alert))


def _read_transition(row: sqlite3.Row) -> Transition:
    return Transition(**_read_row(row, Transition))


def _read_evaluation(row: sqlite3.Row) -> Evaluation:
    return Evaluation(**_read_row(row, Evaluation))
