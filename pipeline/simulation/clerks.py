"""How clerks carry over what no interface did: in sittings, down a list, record after record.

When a record by hand comes to be and under whose account; which cases are left to the clerks is
decided in `faults.py`, what they leave out or mistype in `sabotage.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from random import Random
from typing import Generic, TypeVar

from pipeline.landing import SHANGHAI
from pipeline.simulation.cases import Attempt, Case, Made

CLERKS = ("liu.yan", "zhou.min", "wang.fang", "chen.hao")
SATURDAY = 5

Listed = TypeVar("Listed", bound=Attempt, contravariant=True)


@dataclass(frozen=True)
class Rota:
    """When a clerk sits down to a list, in Shanghai time, and how old its youngest entry is.

    With `is_day_after`, the list is the whole day before: a payment bill comes a day later.
    """

    starts: tuple[time, ...]
    waits: timedelta = timedelta(minutes=30)
    is_day_after: bool = False

    def sitting(self, listed_at: datetime) -> datetime:
        """The nominal start of the sitting that takes up what came into the list at an instant."""
        local = listed_at.astimezone(SHANGHAI)
        for days in range(1 if self.is_day_after else 0, 3):
            for start in self.starts:
                at = datetime.combine(local.date() + timedelta(days=days), start, SHANGHAI)
                if at - self.waits >= local:
                    return at.astimezone(listed_at.tzinfo)
        raise ValueError(f"no sitting within two days after {listed_at}")


@dataclass(frozen=True)
class Chore(Generic[Listed]):
    """A list that is worked off by hand, and since when a case stands in it."""

    rota: Rota
    listed_at: Callable[[Listed], datetime]

    def sitting(self, case: Listed) -> datetime:
        """The nominal start of the sitting that takes the case up."""
        return self.rota.sitting(self.listed_at(case))


ORDER_LIST = Chore[Case](Rota((time(9, 15), time(15, 30))), lambda case: case.paid_at)
SHIPPING_LIST = Chore[Case](Rota((time(9, 45), time(16, 0))), lambda case: case.booked_at)
PAYMENT_BILL = Chore[Case](Rota((time(10, 15),), is_day_after=True), lambda case: case.paid_at)
BOOKING_LIST = Chore[Attempt](Rota((time(9, 30), time(14, 0))), lambda case: case.submitted_at)
TICKET_LIST = Chore[Attempt](Rota((time(10, 0), time(15, 0))), lambda case: case.submitted_at)


def is_weekend(at: datetime) -> bool:
    return at.astimezone(SHANGHAI).weekday() >= SATURDAY


@dataclass
class Sitting:
    """One clerk at one list: when the last record was made, and the clerk."""

    clerk: str
    made_at: datetime


@dataclass
class Desk:
    """The clerks' desks. Records of one sitting must be asked for in the order of its list."""

    random: Random
    sittings: dict[tuple[str, datetime], Sitting] = field(default_factory=dict)

    def type(self, task: str, start: datetime) -> tuple[datetime, Made]:
        """The next record of a sitting: 20 to 90 seconds after the one before, or after a tea."""
        pace = timedelta(seconds=self.random.randint(20, 90))
        if self.random.random() < 0.03:
            pace += timedelta(minutes=self.random.randint(4, 12))
        sitting = self._next(task, start, pace, begins_within=25)
        source = self.random.choice(("MANUAL", "MANUAL", None))
        return sitting.made_at, Made(sitting.clerk, source)

    def load(self, task: str, start: datetime, account: str) -> tuple[datetime, Made]:
        """The next row of a sheet, seconds after the one before, under the interface's account."""
        pace = timedelta(seconds=self.random.randint(0, 2))
        sitting = self._next(task, start, pace, begins_within=90)
        return sitting.made_at, Made(account, "EXCEL")

    def _next(self, task: str, start: datetime, pace: timedelta, *, begins_within: int) -> Sitting:
        sitting = self.sittings.get((task, start))
        if sitting is None:
            begun = start + timedelta(seconds=self.random.randint(0, begins_within * 60))
            sitting = Sitting(self.random.choice(CLERKS), begun)
            self.sittings[task, start] = sitting
        else:
            sitting.made_at += pace
        return sitting


def draw_size(random: Random) -> int:
    """How many records a sitting has: several to two dozen, one sitting in ten only a few."""
    return random.randint(1, 4) if random.random() < 0.1 else random.randint(5, 24)


def mistype(phone: str, random: Random) -> str:
    """A phone number with one digit off, which is nobody's: see `meet_people`.

    The digits after the first three count people, and there are fewer than a hundred thousand.
    """
    place = random.randrange(3, 6)
    digit = random.choice([each for each in "0123456789" if each != phone[place]])
    return phone[:place] + digit + phone[place + 1 :]
