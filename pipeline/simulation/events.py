"""The tracker of the simulated company: one gzip file of JSON lines per day, in its own words.

Times are epoch milliseconds, amounts integer fen; one event in a hundred is sent twice. On one day
the tracker missed visits that WeChat saw.
"""

import gzip
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from pipeline.landing import business_day
from pipeline.simulation.cases import Attempt, Case, Message
from pipeline.simulation.people import APP_ID_OF_CHANNEL, Person
from pipeline.simulation.world import World

PLATFORMS = {
    "mini_program": "wxmp", "h5": "wxh5", "mobile_site": "mweb", "app": "app", "pc": "web",
}  # fmt: skip
NAMES = {
    "session_start": "launch", "page_view": "page", "product_view": "goods",
    "add_to_cart": "cart", "checkout_start": "checkout", "order_submit": "submitOrder",
    "pay_start": "payStart", "pay_success": "paySuccess", "pay_fail": "payFail",
    "status_view": "orderStatus", "booking_submit": "submitBooking",
    "aftersale_submit": "submitService", "member_register": "register",
    "message_click": "clickMessage",
}  # fmt: skip
SHOWN_STATES = {"waiting": "待发货", "shipped": "已发货", "delivered": "已签收"}
FUNNEL = ("session_start", "page_view", "product_view", "add_to_cart", "checkout_start")
PAGES = {
    "session_start": "pages/index/index", "page_view": "pages/list/list",
    "product_view": "pages/goods/detail", "add_to_cart": "pages/goods/detail",
    "checkout_start": "pages/order/confirm",
}  # fmt: skip
# What a case of the other loops is begun with, and on which page.
SUBMITS = {
    "booking": ("booking_submit", "pages/fitting/book"),
    "aftersale": ("aftersale_submit", "pages/service/apply"),
    "member": ("member_register", "pages/member/register"),
}
# Service-account menu, article and notice; recent; scan; search; shared card; subscription message.
SCENES = (1035, 1058, 1043, 1089, 1001, 1047, 1011, 1053, 1007, 1008, 1107)
SUBSCRIPTION_MESSAGE = 1107
# Of the messages that arrive, so many are clicked, within the hour.
CLICKED_SHARE = 0.25
LONGEST_BEFORE_CLICK = timedelta(hours=1)

Event = dict[str, Any]


def write_events(world: World, folder: Path) -> dict[date, list[Event]]:
    """Write `events-YYYYMMDD.jsonl.gz` per day; return what happened on each day, without repeats
    and with what the tracker missed."""
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(f"events {world.options.seed}")
    by_day: dict[date, list[Event]] = {day: [] for day in world.options.business_days}
    start, end = _milliseconds(world.start), _milliseconds(world.end)
    missed = _missed_sessions(world)
    sent = (event for session in _sessions(world, random) for event in session)
    for number, event in enumerate(sent):
        # A session may begin just before the first day, and end after the last.
        if start <= event["ts"] < end:
            event["eid"] = f"{world.options.seed:04x}{number:012x}"
            by_day[_day(event["ts"])].append(event)
    for day, events in by_day.items():
        events.sort(key=lambda event: (event["ts"], event["eid"]))
        lines = [
            json.dumps(event, ensure_ascii=False) for event in events if event["sid"] not in missed
        ]
        repeated = random.sample(lines, len(lines) // 100)
        text = "".join(f"{line}\n" for line in [*lines, *repeated])
        path = folder / f"events-{day:%Y%m%d}.jsonl.gz"
        path.write_bytes(gzip.compress(text.encode(), compresslevel=6, mtime=0))
    return by_day


def _day(milliseconds: int) -> date:
    # Whole hours only: Shanghai keeps UTC+8 the year round.
    return date.fromordinal(_EPOCH_ORDINAL + (milliseconds + 8 * 3_600_000) // 86_400_000)


_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def _sessions(world: World, random: Random) -> Iterator[Iterator[Event]]:
    for case in world.cases:
        if case.has_front:
            yield _order_session(case, random)
            for number, view in enumerate(case.views, start=1):
                yield _view_session(case, f"{case.number}V{number}", view.at, view.shown, random)
    for number, visit in enumerate(world.visits, start=1):
        session = _Session(_visit_id(number), visit.line.name, visit.channel, visit.person, random)
        yield session.steps(FUNNEL[: visit.steps], visit.started_at, timedelta(seconds=40))
    services: list[Attempt] = [*world.bookings, *world.tickets, *world.registrations]
    for attempt in services:
        if attempt.has_front:
            yield _service_session(attempt, random)
    # Clicks have chances of their own, so that all else is the same without them.
    clicking = Random(f"clicks {world.options.seed}")
    for attempt in world.attempts:
        if attempt.has_front and attempt.channel == "mini_program":
            for message in attempt.messages:
                yield _click_session(attempt, message, clicking)


def _visit_id(number: int) -> str:
    return f"V{number:07d}"


def _missed_sessions(world: World) -> set[str]:
    """The visits of the untracked day that led to no case."""
    return {
        _visit_id(number)
        for number, visit in enumerate(world.visits, start=1)
        if visit.channel == "mini_program"
        and business_day(visit.started_at) == world.options.untracked_day
    }


def _click_session(case: Attempt, message: Message, random: Random) -> Iterator[Event]:
    """A message that arrived is clicked now and then, which opens the mini-program."""
    if message.status != "success" or message.sent_at is None or random.random() >= CLICKED_SHARE:
        return
    seconds = random.randint(3, int(LONGEST_BEFORE_CLICK.total_seconds()))
    clicked_at = message.sent_at + timedelta(seconds=seconds)
    session = _Session(
        f"{message.number}C", case.business_line, case.channel, case.person, random,
        scene=SUBSCRIPTION_MESSAGE,
    )  # fmt: skip
    page = "pages/order/detail"
    yield session.event("message_click", clicked_at, page, msgid=message.number)
    yield session.event("session_start", clicked_at + timedelta(seconds=2), page)


def _order_session(case: Case, random: Random) -> Iterator[Event]:
    """From the first page to the payment, or to where the customer left."""
    session = _Session(f"{case.number}S", case.line.name, case.channel, case.person, random)
    pace = (case.submitted_at - case.entered_at) / (len(FUNNEL) + 1)
    yield from session.steps(FUNNEL, case.entered_at, pace)
    order = {"order_no": case.number, "amount": case.claim_fen}
    yield session.event("order_submit", case.submitted_at, "pages/order/confirm", **order)
    after_pay = min(at for at in (case.failed_at, case.claimed_at, case.paid_at) if at)
    if case.failed_at or case.claimed_at or case.payment:
        wait = max(timedelta(seconds=1), (after_pay - case.submitted_at) / 3)
        yield session.event("pay_start", case.submitted_at + wait, "pages/pay/cashier", **order)
    if case.failed_at:
        yield session.event("pay_fail", case.failed_at, "pages/pay/result", **order)
    if case.claimed_at:
        yield session.event("pay_success", case.claimed_at, "pages/pay/result", **order)


def _service_session(case: Attempt, random: Random) -> Iterator[Event]:
    """Two pages, and the submit of a booking, a ticket or a registration, or its retry.

    A registration bears no number: it is known by the person's own.
    """
    session = _Session(f"{case.number}S", case.business_line, case.channel, case.person, random)
    pace = (case.submitted_at - case.entered_at) / 3
    yield from session.steps(FUNNEL[:2], case.entered_at, pace)
    name, page = SUBMITS[case.loop]
    number = {} if case.loop == "member" else {"order_no": case.number}
    for at in (case.submitted_at, case.retried_at):
        if at is not None:
            yield session.event(name, at, page, **number)


def _view_session(
    case: Case, session_id: str, at: datetime, shown: str, random: Random
) -> Iterator[Event]:
    """The customer comes back to see where the parcel is."""
    session = _Session(session_id, case.line.name, case.channel, case.person, random)
    yield session.event("session_start", at - timedelta(seconds=8), "pages/index/index")
    yield session.event(
        "status_view", at, "pages/order/detail",
        order_no=case.number, status_text=SHOWN_STATES[shown],
    )  # fmt: skip


class _Session:
    """What all events of one session share."""

    def __init__(
        self,
        session_id: str,
        line: str,
        channel: str,
        person: Person,
        random: Random,
        *,
        scene: int | None = None,
    ) -> None:
        identifiers = person.identifiers(channel)
        if scene is None and channel == "mini_program":
            scene = random.choice(SCENES)
        shared = {
            "sid": session_id,
            "platform": PLATFORMS[channel],
            "biz": line,
            "openid": identifiers.get("openid"),
            "unionid": identifiers.get("unionid"),
            "member": identifiers.get("member_no"),
            "scene": scene,
            "appid": APP_ID_OF_CHANNEL[channel],
            "sdk": "2.4.1",
        }
        self._shared = {name: value for name, value in shared.items() if value is not None}
        self._random = random

    def event(self, name: str, at: datetime, page: str, **more: Any) -> Event:
        ts = _milliseconds(at) + self._random.randrange(1000)
        return {"eid": "", "name": NAMES[name], "ts": ts, **self._shared, "path": page, **more}

    def steps(
        self, names: tuple[str, ...], started_at: datetime, pace: timedelta
    ) -> Iterator[Event]:
        for number, name in enumerate(names):
            yield self.event(name, started_at + number * pace, PAGES[name])


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1000
