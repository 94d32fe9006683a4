"""What WeChat called back to the simulated company's server, stored as the server stores it.

Results of template messages, and what followers do. The last body came at the end of the period.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

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
MENU_CLICKS_PER_DAY = 12
MENU_KEYS = ("MENU_NEW_GOODS", "MENU_MY_ORDERS", "MENU_SERVICE")


@dataclass(frozen=True)
class Callback:
    """One event and the elements that are its own."""

    at: datetime
    sender: str
    event: str
    more: str = ""

    @property
    def body(self) -> str:
        return (
            f"<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>"
            f"<FromUserName><![CDATA[{self.sender}]]></FromUserName>"
            f"<CreateTime>{int(self.at.timestamp())}</CreateTime>"
            f"<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{self.event}]]></Event>"
            f"{self.more}</xml>"
        )


def write_callbacks(world: World, books: Path, folder: Path) -> None:
    """Write `callbacks-YYYY-MM-DD.jsonl` per day of receipt, from the world and WeChat's books."""
    folder.mkdir(parents=True, exist_ok=True)
    called = [*_results(world), *_follows(books), *_menu_clicks(world)]
    by_day: dict[str, list[dict[str, str]]] = {}
    for callback in sorted(called, key=lambda callback: (callback.at, callback.body)):
        if not world.start <= callback.at < world.end:
            continue
        received_at = callback.at + CALLED_AFTER
        by_day.setdefault(f"{business_day(received_at)}", []).append(
            {
                "received_at": received_at.isoformat(),
                "app_id": SERVICE_ACCOUNT_APP_ID,
                "body": callback.body,
            }
        )
    for day, rows in by_day.items():
        write_lines(folder / f"callbacks-{day}.jsonl", rows)


def _results(world: World) -> Iterator[Callback]:
    """Template messages only: of subscription messages WeChat tells no success."""
    for case in world.attempts:
        for message in case.messages:
            if case.channel != "mini_program" and message.sent_at is not None:
                told = f"<MsgID>{message.number}</MsgID><Status>{STATUSES[message.status]}</Status>"
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
                f"<EventKey><![CDATA[{key}]]></EventKey>",
            )  # fmt: skip
