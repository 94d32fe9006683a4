"""What WeChat knows of the simulated service account: followers, articles, messages, server calls.

Followers are people of the company; who writes to the account is who has a ticket.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

from pipeline.landing import business_day
from pipeline.simulation.jsonlines import read_lines, write_lines
from pipeline.simulation.people import Person
from pipeline.simulation.world import World

# Where a follower came from, as WeChat numbers it: search, name card, scan, article, mini-program.
SOURCES = (1, 17, 30, 57, 149)
# Who follows after a payment counts as `other` since 2023.
AFTER_PAYMENT = 0
PUBLISHING_WEEKDAYS = (2, 5)
TITLES = ("手冲咖啡入门", "本周上新", "会员日提醒", "一杯好喝的燕麦拿铁")
SCENES = {
    "公众号消息": 0.55, "朋友圈": 0.15, "聊天会话": 0.12, "推荐": 0.10, "公众号主页": 0.05,
    "搜一搜": 0.02, "其他": 0.01,
}  # fmt: skip
DAYS_OF_AN_ARTICLE = 30
# A part of the followers reads on the first day, and half as many on each further one.
READING_SHARE = 0.12
MESSAGE_KINDS = (1, 1, 1, 1, 2, 2, 3, 4)
SLOW_CALL_MILLISECONDS = 5000
# One callback in so many finds the account's server too slow.
SLOW_EVERY = 50


@dataclass(frozen=True)
class Follow:
    """A person began (`is_new`) or ended to follow. Sources are told of those who began."""

    day: date
    source: int
    is_new: bool


@dataclass(frozen=True)
class Upstream:
    """One message that a follower sent to the account."""

    at: datetime
    person: str
    kind: int


@dataclass(frozen=True)
class ServerCall:
    """One callback to the account's server."""

    at: datetime
    milliseconds: int

    @property
    def has_failed(self) -> bool:
        return self.milliseconds >= SLOW_CALL_MILLISECONDS


@dataclass(frozen=True)
class ArticleDay:
    """What happened to one article on one day; `readers` by scene."""

    msgid: str
    title: str
    published: date
    day: date
    readers: Mapping[str, int]
    sharers: int


@dataclass(frozen=True)
class ServiceBooks:
    """The books of the account. `followers_before` counts those who followed before all of it."""

    followers_before: int
    follows: Sequence[Follow]
    upstream: Sequence[Upstream]
    server_calls: Sequence[ServerCall]
    articles: Sequence[ArticleDay]


def write_service_books(world: World, folder: Path) -> None:
    """Write the books as they stand at the end of the simulated period."""
    random = Random(f"service account {world.options.seed}")
    follows = list(_follows(world, random))
    upstream = list(_upstream(world, random))
    before = sum(row["at"] is None for row in follows)
    during = [row for row in follows if row["at"] is not None]
    write_lines(folder / "follows.jsonl", follows)
    write_lines(folder / "upstream.jsonl", upstream)
    write_lines(folder / "server_calls.jsonl", _server_calls([*during, *upstream], random))
    write_lines(folder / "articles.jsonl", _articles(world, before, random))


def read_service_books(folder: Path) -> ServiceBooks:
    """Read the books back. Raises FileNotFoundError where no company was simulated."""
    follows = read_lines(folder / "follows.jsonl")
    return ServiceBooks(
        followers_before=sum(row["at"] is None for row in follows),
        follows=[
            Follow(business_day(datetime.fromisoformat(row["at"])), row["source"], row["is_new"])
            for row in follows
            if row["at"] is not None
        ],
        upstream=[
            Upstream(datetime.fromisoformat(row["at"]), row["person"], row["kind"])
            for row in read_lines(folder / "upstream.jsonl")
        ],
        server_calls=[
            ServerCall(datetime.fromisoformat(row["at"]), row["milliseconds"])
            for row in read_lines(folder / "server_calls.jsonl")
        ],
        articles=[
            ArticleDay(
                row["msgid"], row["title"], date.fromisoformat(row["published"]),
                date.fromisoformat(row["day"]), row["readers"], row["sharers"],
            )
            for row in read_lines(folder / "articles.jsonl")
        ],
    )  # fmt: skip


def _follows(world: World, random: Random) -> Iterator[dict[str, Any]]:
    """Half of all people follow since long ago; others begin after a payment, or by chance."""
    paid_at = _first_payments(world)
    for person in world.people:
        begins, source = _beginning(person, world, paid_at, random)
        if begins is not None and begins >= world.end:
            continue
        follow = {"person": person.openid("h5"), "source": source}
        yield follow | {"at": begins and begins.isoformat(), "is_new": True}
        ends = (begins or world.start) + timedelta(hours=random.uniform(1, 24 * 200))
        if ends < world.end and random.random() < 0.3:
            yield follow | {"at": ends.isoformat(), "is_new": False}


def _beginning(
    person: Person, world: World, paid_at: Mapping[int, datetime], random: Random
) -> tuple[datetime | None, int]:
    drawn = random.random()
    if drawn < 0.5:
        return None, random.choice(SOURCES)
    if person.number in paid_at and drawn < 0.8:
        return paid_at[person.number] + timedelta(seconds=random.randint(5, 60)), AFTER_PAYMENT
    # Over three times the period: most of them begin after its end, which is to say not at all.
    after = random.uniform(0, 3 * (world.end - world.start).total_seconds())
    return world.start + timedelta(seconds=int(after)), random.choice(SOURCES)


def _first_payments(world: World) -> dict[int, datetime]:
    first: dict[int, datetime] = {}
    for case in world.cases:
        if case.payment is not None and case.payment.at < world.end:
            known = first.setdefault(case.person.number, case.payment.at)
            first[case.person.number] = min(known, case.payment.at)
    return first


def _upstream(world: World, random: Random) -> Iterator[dict[str, Any]]:
    """Who has a ticket writes, and some write often."""
    for ticket in world.tickets:
        for _ in range(random.choice((1, 1, 2, 3, 7, 12))):
            at = ticket.submitted_at + timedelta(minutes=random.randint(1, 60 * 24))
            if at < world.end:
                kind = random.choice(MESSAGE_KINDS)
                yield {"at": at.isoformat(), "person": ticket.person.unionid, "kind": kind}


def _server_calls(causes: Iterable[Mapping[str, Any]], random: Random) -> Iterator[dict[str, Any]]:
    """WeChat calls the account's server for each message, follow and end of one."""
    for cause in causes:
        is_slow = random.randrange(SLOW_EVERY) == 0
        milliseconds = SLOW_CALL_MILLISECONDS if is_slow else random.randint(20, 900)
        yield {"at": cause["at"], "milliseconds": milliseconds}


def _articles(world: World, followers: int, random: Random) -> Iterator[dict[str, Any]]:
    """One article on two weekdays, with its readers for thirty days."""
    days = world.options.business_days
    for number, published in enumerate(days):
        if published.isoweekday() not in PUBLISHING_WEEKDAYS:
            continue
        for age, day in enumerate(days[number : number + DAYS_OF_AN_ARTICLE]):
            expected = followers * READING_SHARE * 0.5**age
            readers = {
                scene: int(expected * share * random.uniform(0.8, 1.2) + 0.5)
                for scene, share in SCENES.items()
            }
            yield {
                "msgid": f"{2_247_490_000 + number}_1",
                "title": TITLES[number % len(TITLES)],
                "published": published.isoformat(),
                "day": day.isoformat(),
                "readers": {scene: count for scene, count in readers.items() if count},
                "sharers": ceil(sum(readers.values()) * 0.06),
            }
