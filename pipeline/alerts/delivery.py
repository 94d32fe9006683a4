"""Sending: the outbox emptied through the company's channels, at least once, one digest a channel.

A row is marked twice. Before the call its attempts are counted, so that a message that went out
though nobody noted it leaves a trace; after the channel has answered `ok` it is marked sent. A
process killed between the two sends that message again in the next run: at least once, never
silently less. A digest of several messages is marked message by message, so that a repetition is
one message long at most. One process sends at a time; the lock is the operating system's and goes
with the process that held it.
"""

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from pipeline.alerts.message import Part, write_digest
from pipeline.alerts.state import AlertState, Outgoing
from pipeline.alerts.transport import ChannelRefusedError, DeliveryError, Transport
from pipeline.alerts.wecom import WecomRobot
from pipeline.company import AlertChannel, Company
from pipeline.errors import ConfigurationError

# How long one run waits for a channel that asks for a pause. A rate limit asks for one minute.
PATIENCE = timedelta(seconds=150)
# A channel that is out of reach or out of sorts: the rest is left to the next run.
TRIES_A_RUN = 3
PAUSE_SECONDS = 2.0
MOST_ATTEMPTS = 30  # ten runs; then the message counts as failed and is shown, not tried
SHOWN_ERRORS = 20

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Sent:
    """What one run delivered. Counts of outbox rows, but for `messages_count`."""

    sent_count: int = 0
    messages_count: int = 0
    pending_count: int = 0
    failed_count: int = 0
    errors: tuple[str, ...] = ()


@dataclass
class _Progress:
    sent: int = 0
    messages: int = 0
    errors: list[str] = field(default_factory=list)


def send(
    state: Path,
    company: Company,
    *,
    client: httpx.Client | None = None,
    clock: Clock = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> Sent:
    """Send whatever is queued. Failures stay in the outbox and in `Sent.errors`, never raise.

    `clock` serves the pauses between attempts alone; what is told was decided without it.
    """
    progress = _Progress()
    with _sending_alone(state) as is_alone, AlertState(state) as store:
        if not is_alone:
            progress.errors.append("another process is sending: left to it")
        else:
            channels = {channel.name: channel for channel in company.alerts.channels}
            with _opened(client) as http:
                for name in sorted({row.channel for row in store.outbox("pending")}):
                    _empty(
                        store,
                        company,
                        name,
                        channels.get(name),
                        http,
                        clock,
                        sleep,
                        progress,
                    )
        return Sent(
            sent_count=progress.sent,
            messages_count=progress.messages,
            pending_count=len(store.outbox("pending")),
            failed_count=len(store.outbox("failed")),
            errors=tuple(progress.errors[:SHOWN_ERRORS]),
        )


def try_channels(company: Company, *, client: httpx.Client | None = None) -> dict[str, str]:
    """Send one test message to every channel; per channel `ok`, or what went wrong."""
    answers = {}
    with _opened(client) as http:
        for channel in company.alerts.channels:
            try:
                text = f"## 闭环 · {company.name}\n测试消息：此群将收到对账告警。"
                open_transport(channel, company, http).post(text)
                answers[channel.name] = "ok"
            except (ConfigurationError, DeliveryError) as error:
                answers[channel.name] = str(error)
    return answers


def open_transport(channel: AlertChannel, company: Company, client: httpx.Client) -> Transport:
    """The transport that a channel names. Raises ConfigurationError where its secret is not set."""
    return WecomRobot(channel.base_url, company.secret(channel.key_env), client)


def _empty(
    store: AlertState,
    company: Company,
    name: str,
    channel: AlertChannel | None,
    http: httpx.Client,
    clock: Clock,
    sleep: Callable[[float], None],
    progress: _Progress,
) -> None:
    """Send all rows of one channel, waiting for it as long as PATIENCE lasts."""
    give_up_at = clock() + PATIENCE
    try:
        if channel is None:
            raise ConfigurationError(f"channel {name} is not in company.yml any more")
        transport = open_transport(channel, company, http)
    except ConfigurationError as error:
        ids = [row.transition.transition_id for row in store.outbox("pending", name)]
        store.mark_waiting(ids, name, error=error.message, next_try_at=None)
        progress.errors.append(f"{name}: {error.message}")
        return
    tries_left = TRIES_A_RUN
    while rows := store.outbox("pending", name):
        due_at = max((row.next_try_at for row in rows if row.next_try_at), default=None)
        if due_at is not None and due_at > clock():
            if due_at > give_up_at:
                return
            sleep((due_at - clock()).total_seconds())
        refusal = _send_digest(store, company, name, transport, rows, clock, progress)
        if refusal is not None and refusal.retry_after is None:
            tries_left -= 1
            if tries_left == 0:
                return
            sleep(PAUSE_SECONDS)


def _send_digest(
    store: AlertState,
    company: Company,
    channel: str,
    transport: Transport,
    rows: Sequence[Outgoing],
    clock: Clock,
    progress: _Progress,
) -> DeliveryError | None:
    """Send one digest of `rows`; stop at the first message that is not taken and return why."""
    attempts = {row.transition.transition_id: row.attempts + 1 for row in rows}
    parts = write_digest(
        company.name,
        [row.transition for row in rows],
        limit_bytes=transport.limit_bytes,
    )
    for position, part in enumerate(parts):
        store.mark_tried(part.transition_ids, channel)
        try:
            transport.post(part.text)
        except DeliveryError as error:
            progress.errors.append(f"{channel}: {error.message}")
            _postpone(store, channel, parts[position:], attempts, error, clock)
            return error
        store.mark_sent(part.transition_ids, channel, clock())
        progress.messages += 1
        progress.sent += len(part.transition_ids)
    return None


def _postpone(
    store: AlertState,
    channel: str,
    left: Sequence[Part],
    attempts: dict[str, int],
    error: DeliveryError,
    clock: Clock,
) -> None:
    ids = [transition_id for part in left for transition_id in part.transition_ids]
    tried = max(attempts[transition_id] for transition_id in ids)
    if isinstance(error, ChannelRefusedError):
        store.mark_failed(ids, channel, error=error.message)
        return
    if tried >= MOST_ATTEMPTS:
        worn_out = [transition_id for transition_id in ids if attempts[transition_id] >= tried]
        store.mark_failed(worn_out, channel, error=error.message)
        ids = [transition_id for transition_id in ids if transition_id not in worn_out]
    next_try_at = clock() + error.retry_after if error.retry_after else None
    store.mark_waiting(ids, channel, error=error.message, next_try_at=next_try_at)


def _opened(client: httpx.Client | None) -> AbstractContextManager[httpx.Client]:
    """The caller's client, left open for the caller, or a new one that is closed after use."""
    return nullcontext(client) if client else httpx.Client()


@contextmanager
def _sending_alone(state: Path) -> Iterator[bool]:
    """Whether this process is the one that sends."""
    state.parent.mkdir(parents=True, exist_ok=True)
    with state.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
