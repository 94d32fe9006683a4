"""A clock that only tests turn: waiting turns it on instead of passing time."""

from datetime import UTC, datetime, timedelta


class TurningClock:
    """`now` and `sleep` of a Wire. Every look takes `tick`."""

    def __init__(self, at: datetime, *, tick: timedelta = timedelta(0)) -> None:
        self.at = at.astimezone(UTC)
        self.slept: list[float] = []
        self._tick = tick

    def now(self) -> datetime:
        self.at += self._tick
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)
