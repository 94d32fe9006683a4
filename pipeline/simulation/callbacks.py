"""What WeChat called back to the simulated company's server, stored as the server stores it.

Results of template messages, and what followers do: in XML and in JSON, some twice, out of order.
The last body came at the end of the period.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from pipeline.landing import business_day, day_end
from pipeline.simulation.jsonlines import read_lines, write_lines
from pipeline.simulation.people import SERVICE_ACCOUNT_APP_ID
from pipeline.simulation.world import World

ACCOUNT = "gh_5a1e00000002"
STATUSES = {
    "success": "success",
    "user_block": "failed:user block",
    "system_failed": "failed: system failed",
    "freq_limit": "failed: freq limit",
}
RESULT_AFTER = timedelta(seconds=1)
# From the event to the body that tells of it.
CALLED_AFTER = timedelta(seconds=2)
CALLED_AGAIN_AFTER = timedelta(seconds=5)
# One body in so many comes again, and one in so many as JSON.
AGAIN_EVERY, JSON_EVERY = 20, 3
MENU_CLICKS_PER_DAY = 12
CONSENTS_PER_DAY = 6
TEMPLATES = ("TPL_ORDER_PAID", "TPL_ORDER_SHIPPED", "TPL_REFUNDED")
MENU_KEYS = ("MENU_NEW_GOODS", "MENU_MY_ORDERS", "MENU_SERVICE")


Told = Mapping[str, Any]


@dataclass(frozen=True)
class Callback:
    """One event and the elements that are its own: values, objects, or lists of objects."""

    at: datetime
    sender: str
    event: str
    more: Told = field(default_factory=dict)

    def body(self, *, as_json: bool) -> str:
        """As the account's settings have it: XML or JSON."""
        told: dict[str, Any] = {
            "ToUserName": ACCOUNT, "FromUserName": self.sender,
            "CreateTime": int(self.at.timestamp()), "MsgType": "event", "Event": self.event,
            **self.more,
        }  # fmt: skip
        if as_json:
            # What XML wraps in an element of its own, JSON tells flat.
            for name, inner in self.more.items():
                if isinstance(inner, Mapping):
                    told |= told.pop(name)
            return json.dumps(told, ensure_ascii=False)
        return f"<xml>{_elements(told)}</xml>"


def _elements(told: Told) -> str:
    """XML of a mapping: a list is its element over and over, text stands in CDATA."""
    return "".join(
        f"<{name}>{_inside(value)}</{name}>"
        for name, values in told.items()
        for value in (values if isinstance(values, list) else [values])
    )


def _inside(value: Any) -> str:
    if isinstance(value, Mapping):
        return _elements(value)
    return str(value) if str(value).isdecimal() else f"<![CDATA[{value}]]>"


def write_callbacks(world: World, books: Path, folder: Path) -> None:
    """Write `callbacks-YYYY-MM-DD.jsonl` per day of receipt, from the world and WeChat's books."""
    folder.mkdir(parents=True, exist_ok=True)
    called = [*_results(world), *_follows(books), *_menu_clicks(world), *_consents(world)]
    within = [callback for callback in called if world.start <= callback.at < world.end]
    random = Random(f"callbacks {world.options.seed}")
    by_day: dict[str, list[dict[str, str]]] = {}
    ordered = sorted(within, key=lambda of: (of.at, of.body(as_json=False)))
    for number, callback in enumerate(ordered):
        body = callback.body(as_json=number % JSON_EVERY == 0)
        for received_at in _calls(number, callback.at + CALLED_AFTER, world.end):
            by_day.setdefault(f"{business_day(received_at)}", []).append(
                {
                    "received_at": received_at.isoformat(),
                    "app_id": SERVICE_ACCOUNT_APP_ID,
                    "body": body,
                }
            )
    for day, rows in by_day.items():
        random.shuffle(rows)  # several lines call at once, and none waits for another
        write_lines(folder / f"callbacks-{day}.jsonl", rows)


def _calls(number: int, received_at: datetime, end: datetime) -> Iterator[datetime]:
    """When one body came: again where WeChat had no answer in time."""
    yield received_at
    again_at = received_at + CALLED_AGAIN_AFTER
    if number % AGAIN_EVERY == 0 and again_at < end:
        yield again_at


def _results(world: World) -> Iterator[Callback]:
    """Template messages only: of subscription messages WeChat tells no success."""
    for case in world.attempts:
        for message in case.messages:
            if case.channel != "mini_program" and message.sent_at is not None:
                told = {"MsgID": message.number, "Status": STATUSES[message.status]}
                yield Callback(
                    message.sent_at + RESULT_AFTER, case.person.openid(case.channel),
                    "TEMPLATESENDJOBFINISH", told,
                )  # fmt: skip


def _follows(books: Path) -> Iterator[Callback]:
    for row in read_lines(books / "follows.jsonl"):
        if row["at"] is not None:
            event = "subscribe" if row["is_new"] else "unsubscribe"
            yield Callback(datetime.fromisoformat(row["at"]), row["person"], event)


def _menu_clicks(world: World) -> Iterator[Callback]:
    """Some on each day; the last of them in the last second."""
    random = Random(f"menu {world.options.seed}")
    for day in world.options.business_days:
        for number in range(MENU_CLICKS_PER_DAY):
            before = random.randrange(16 * 3600) if number else 1
            person, key = random.choice(world.people), random.choice(MENU_KEYS)
            yield Callback(
                day_end(day) - timedelta(seconds=before), person.openid("h5"), "CLICK",
                {"EventKey": key},
            )  # fmt: skip


def _consents(world: World) -> Iterator[Callback]:
    """Answers to the question for subscription messages: to one template, or to several at once;
    and now and then one taken back in the settings."""
    random = Random(f"consents {world.options.seed}")
    for day in world.options.business_days:
        for number in range(CONSENTS_PER_DAY):
            at = day_end(day) - timedelta(seconds=random.randrange(60, 16 * 3600))
            sender = random.choice(world.people).openid("h5")
            answers = [
                {
                    "TemplateId": template, "PopupScene": 0,
                    "SubscribeStatusString": random.choice(["accept", "accept", "reject"]),
                }
                for template in TEMPLATES[: 1 + number % len(TEMPLATES)]
            ]  # fmt: skip
            told = {"List": answers if len(answers) > 1 else answers[0]}
            yield Callback(
                at, sender, "subscribe_msg_popup_event", {"SubscribeMsgPopupEvent": told}
            )
        taken_back = {"TemplateId": TEMPLATES[0], "SubscribeStatusString": "reject"}
        yield Callback(
            day_end(day) - timedelta(hours=1), random.choice(world.people).openid("h5"),
            "subscribe_msg_change_event", {"SubscribeMsgChangeEvent": {"List": taken_back}},
        )  # fmt: skip
