"""How the interface books paid orders: fast and around the clock, as long as it is up.

Its lawful irregularities only: now and then a queue of some minutes, now and then a short outage
after which everything that waited arrives at once. All of it stays inside the service level.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from pipeline.simulation.cases import Case, queue_for

DAYS_BETWEEN_OUTAGES = 4
LEAST_OUTAGE_SECONDS = 5 * 60
MOST_OUTAGE_SECONDS = 14 * 60


@dataclass
class Outage:
    """A span in which nothing was booked; `flushed_until` is when the last waiting order was."""

    start: datetime
    end: datetime
    flushed_until: datetime


@dataclass
class Interface:
    """The interface of the simulated period. Orders must be asked for in the order of time."""

    random: Random
    outages: list[Outage] = field(default_factory=list)

    @classmethod
    def over(cls, random: Random, days: int, moments: Sequence[datetime]) -> "Interface":
        """An interface with an outage every few days, at moments at which there is trade."""
        interface = cls(random)
        for _ in range(max(1, days // DAYS_BETWEEN_OUTAGES) if moments else 0):
            start = random.choice(moments) - timedelta(seconds=random.randint(0, 300))
            lasts = random.randint(LEAST_OUTAGE_SECONDS, MOST_OUTAGE_SECONDS)
            end = start + timedelta(seconds=lasts)
            interface.outages.append(Outage(start, end, end))
        return interface

    def books_at(self, case: Case) -> datetime:
        """When a paid order arrives in the ERP."""
        at = case.paid_at + timedelta(seconds=self.random.randint(*case.line.booking))
        outage = self._outage(at)
        if outage is not None:
            outage.flushed_until += timedelta(seconds=self.random.randint(0, 2))
            return outage.flushed_until
        queued = at + queue_for(self.random)
        return queued if self._outage(queued) is None else at

    def _outage(self, at: datetime) -> Outage | None:
        return next((one for one in self.outages if one.start <= at < one.end), None)
