"""Whether a backfill from WeChat comes out whole and true, whatever goes wrong meanwhile.

Forty days of a simulated company are landed twice from the same hosts: once on a good day, once
under a schedule of every fault that the client has a policy for. What is landed must be the same,
day by day. The clock is a made-up one: waiting costs nothing.
"""

import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx

from bench.measurement import Asked, Bar, Figures, Measured, Tell, as_texts
from pipeline.company import Company, load_company
from pipeline.defs.failures import FIRST_PAUSE_SECONDS, RETRIES
from pipeline.defs.jobs import ASK_AGAIN_FROM, ASK_AGAIN_SECONDS, ASK_AGAIN_UNTIL
from pipeline.defs.landing import choose_days, land_days
from pipeline.errors import BihuanError, NotReadyError
from pipeline.landed import TABLES
from pipeline.landing import SHANGHAI, Landing, day_end
from pipeline.simulation import Options, simulate
from pipeline.simulation.outages import Outages, every_fault
from pipeline.simulation.running import WECHAT_URL
from pipeline.simulation.wechat_server import WechatServer
from pipeline.sources import Source, find_connector
from pipeline.sources.wire import Wire

DAYS = 40
DEFAULT_SEEDS = 5
# Few orders: what is measured are days and calls, not rows.
ORDERS = 400
# The client's own limits, shortened: the slow replies of the schedule outlast them.
TIMEOUT = httpx.Timeout(5.0, read=1.5)
# Calls beyond those that no client can spare.
OVERHEAD_MOST = 0.20
# A quota of the day holds a table up until the next; in so many days every fault is past.
DAYS_OF_PATIENCE = 40
# Quotas are left out: they are asked of the moment, and so differ from run to run.
WECHAT_CONNECTORS = (
    "wechat_miniprogram", "wechat_official_account", "wechat_orders", "wechat_pay",
)  # fmt: skip


class Clock:
    """A made-up clock that stands still but where somebody waits."""

    def __init__(self, start: datetime) -> None:
        self.instant = start

    def now(self) -> datetime:
        return self.instant

    def epoch(self) -> float:
        return self.instant.timestamp()

    def sleep(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)

    def wait_for_the_next_asking(self) -> bool:
        """Half an hour on within the hours at which late sources are asked again, else tomorrow;
        return whether it is tomorrow."""
        local = self.instant.astimezone(SHANGHAI) + timedelta(seconds=ASK_AGAIN_SECONDS)
        is_over = not ASK_AGAIN_FROM <= local.time() < ASK_AGAIN_UNTIL
        if is_over:
            tomorrow = self.instant.astimezone(SHANGHAI).date() + timedelta(days=1)
            local = datetime.combine(tomorrow, ASK_AGAIN_FROM, SHANGHAI)
        self.instant = local.astimezone(UTC)
        return is_over


@dataclass(frozen=True)
class Landed:
    """What a backfill came to: the digest of each table and day, and the calls that it took."""

    shas: Mapping[tuple[str, date], str]
    calls: int
    runs: int


@dataclass
class Backfill:
    """The landing of every day of a company's WeChat tables, asked again as its schedule does.

    `outcomes`: fault, then what became of it, then how often. `told` are the texts of all errors.
    """

    company: Company
    clock: Clock
    outages: Outages
    outcomes: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._landing = Landing(self.company.data / "landing", hash_key=self.company.hash_key)
        self._wire = Wire(sleep=self.clock.sleep, now=self.clock.now, timeout=TIMEOUT)
        assert self.company.last_day is not None, "a simulated company has ended"
        self._last_day = self.company.last_day

    def run(self) -> Landed:
        """Land until nothing is missing, or patience ends."""
        until = self.clock.instant + timedelta(days=DAYS_OF_PATIENCE)
        runs, is_daily = 0, True
        while (behind := self._tables_behind()) and self.clock.instant < until:
            runs += 1
            for table in behind:
                self._land(table, asks_again=is_daily)
            is_daily = self.clock.wait_for_the_next_asking()
        shas = {(batch.table, batch.day): batch.sha256 for batch in self._landing.batches()}
        return Landed(shas, self.outages.calls_count, runs)

    def _land(self, table: str, *, asks_again: bool) -> None:
        """One run's landing of a table, with the retries that its step has."""
        for tried in range(RETRIES + 1):
            struck_before = len(self.outages.struck)
            error: BihuanError | None = None
            try:
                self._land_once(self._open(table), asks_again=asks_again)
            except BihuanError as raised:
                error = raised
                self.told.append(str(error))
            self._note(struck_before, error)
            if error is None or not error.can_retry or isinstance(error, NotReadyError):
                return
            self.clock.sleep(FIRST_PAUSE_SECONDS * 2**tried)

    def _land_once(self, source: Source, *, asks_again: bool) -> None:
        chosen = choose_days(
            source, self._landing, [self._last_day], first_day=self.company.first_day,
            trailing_days=0, catch_up=True, asks_again=asks_again,
        )  # fmt: skip
        for _ in land_days(source, self._landing, chosen):
            pass

    def _note(self, before: int, error: BihuanError | None) -> None:
        """What became of the faults of one landing: the latest one ended it, if anything did."""
        ended_by = self.outages.latest if error is not None else None
        for number in range(before, len(self.outages.struck)):
            if number != ended_by:
                self.outcomes[self.outages.struck[number].fault]["overcome"] += 1
        if ended_by is not None:
            self.outcomes[self.outages.struck[ended_by].fault][type(error).__name__] += 1

    def _tables_behind(self) -> list[str]:
        landed = self._landing.watermarks()
        return [
            name
            for name, settings in self.company.sources.tables.items()
            if settings.connector in WECHAT_CONNECTORS
            and (name not in landed or landed[name].complete_until < day_end(self._last_day))
        ]

    def _open(self, table: str) -> Source:
        """The source of a table as the product opens it, but on this line and clock."""
        settings = self.company.sources.tables[table]
        connector: Callable[..., Source] = find_connector(table, settings)
        connection = self.company.sources.connections[settings.connection]
        return connector(TABLES[table], settings, connection, self.company, wire=self._wire)


@dataclass(frozen=True)
class Compared:
    """A backfill under a schedule, held against that of a good day."""

    seed: int
    missing: int
    wrong: int
    calls: int
    needed: int
    runs: int
    backfill: Backfill

    @property
    def faults(self) -> int:
        return len(self.backfill.outages.struck)

    @property
    def overhead(self) -> float:
        return self.calls / self.needed - 1


def measure(asked: Asked, tell: Tell) -> Measured:
    """Measure as many schedules as asked for, on one simulated company each."""
    seeds = asked.seeds or DEFAULT_SEEDS
    compared = [_compare(seed, tell) for seed in range(1, seeds + 1)]
    return Measured(
        command=f"bihuan bench wechat --seeds {seeds}",
        tables=tuple(_tables(compared)),
        bars=tuple(find_bars(compared)),
        results={
            "schedules": [
                {
                    "seed": each.seed, "missing_days": each.missing, "wrong_days": each.wrong,
                    "calls": each.calls, "needed_calls": each.needed,
                    "overhead": round(each.overhead, 4), "faults": each.faults,
                    "outcomes": {name: dict(of) for name, of in each.backfill.outcomes.items()},
                }
                for each in compared
            ]
        },
        is_whole=seeds >= DEFAULT_SEEDS,
        remarks=_REMARKS,
    )  # fmt: skip


def _compare(seed: int, tell: Tell) -> Compared:
    with tempfile.TemporaryDirectory(prefix="bihuan-wechat-") as name:
        folder = Path(name)
        summary = simulate(folder / "company", Options(seed=seed, days=DAYS, orders=ORDERS))
        noon_after = day_end(summary.last_day) + timedelta(hours=12)
        _, good = _backfill(folder, "good", Clock(noon_after), seed, is_on=False)
        backfill, bad = _backfill(folder, "bad", Clock(noon_after), seed, is_on=True)
    struck = backfill.outages.struck
    needed = good.calls + sum(min(each.calls, each.unavoidable) for each in struck)
    compared = Compared(
        seed=seed,
        missing=len(good.shas.keys() - bad.shas.keys()),
        wrong=sum(bad.shas[key] != sha for key, sha in good.shas.items() if key in bad.shas),
        calls=bad.calls,
        needed=needed,
        runs=bad.runs,
        backfill=backfill,
    )
    tell(
        f"schedule {seed}: {compared.faults} faults, {compared.calls} calls where {needed} were"
        f" needed, {compared.missing} days missing, {compared.wrong} wrong"
    )
    return compared


def _backfill(
    folder: Path, name: str, clock: Clock, seed: int, *, is_on: bool
) -> tuple[Backfill, Landed]:
    outages = Outages(seed, clock.epoch, is_on=is_on)
    systems = folder / "company" / "systems" / "wechat"
    server = WechatServer(systems, now=clock.epoch, outages=outages)
    outages.revoke = server.platform.revoke_tokens
    with server, _environment(WECHAT_URL, server.address):
        company = load_company(folder / "company", data=folder / name)
        backfill = Backfill(company, clock, outages)
        return backfill, backfill.run()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def find_bars(compared: Sequence[Compared]) -> Iterator[Bar]:
    """What must hold of every schedule, and of all together."""
    for each in compared:
        name = f"schedule {each.seed}"
        yield Bar(f"{name}: no day is missing", not each.missing, f"{each.missing} missing")
        yield Bar(f"{name}: no day is wrong", not each.wrong, f"{each.wrong} differ")
        yield Bar(
            f"{name}: at most {OVERHEAD_MOST:.0%} more calls than needed",
            each.overhead <= OVERHEAD_MOST,
            f"{each.calls:,} calls, {each.needed:,} needed, {each.overhead:+.1%}",
        )
    dealt = {fault for each in compared for fault in each.backfill.outcomes}
    never = [fault.name for fault in every_fault() if fault.name not in dealt]
    yield Bar("every fault of the schedule was met", not never, ", ".join(never) or "all were")
    telling = [text for each in compared for text in each.backfill.told if _tells_a_secret(text)]
    yield Bar("no error text bears a token", not telling, f"{len(telling)} of them do")


def _tells_a_secret(text: str) -> bool:
    """Tokens of the simulated hosts begin so."""
    return "access_token=" in text or "80_" in text


def _tables(compared: Sequence[Compared]) -> Iterator[Figures]:
    yield Figures(
        "Schedules",
        ("schedule", "faults", "calls", "needed", "more", "runs", "days missing", "days wrong"),
        as_texts([
            (
                each.seed, each.faults, f"{each.calls:,}", f"{each.needed:,}",
                f"{each.overhead:+.1%}", each.runs, each.missing, each.wrong,
            )
            for each in compared
        ]),
    )  # fmt: skip
    outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    times: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for each in compared:
        for fault, of in each.backfill.outcomes.items():
            outcomes[fault] += of
        for struck in each.backfill.outages.struck:
            times[struck.fault] += 1
            calls[struck.fault] += struck.calls
    yield Figures(
        "What went wrong, and what came of it",
        ("fault", "times", "calls spoilt", "overcome at once", "ended a landing, as"),
        as_texts([
            (
                fault, times[fault], calls[fault], of["overcome"],
                ", ".join(f"{name} {n}" for name, n in sorted(of.items()) if name != "overcome"),
            )
            for fault, of in sorted(outcomes.items())
        ]),
    )  # fmt: skip


_REMARKS = (
    f"A simulated company of {DAYS} days is landed from simulated hosts over HTTP on this machine:"
    " every mini-program and service-account figure, the order list, trade bill and fund flow. One"
    " call in two (tokens) to twelve (figures) meets a fault of the schedule; some go on for a"
    " minute, half an hour or until midnight. Clock and waiting are made up, so a day's wait takes"
    " no time.",
    "*Overcome at once* means that the landing went on: the call was tried again, the token"
    " renewed, the minute waited out. A landing that ended is told to a person with the error's"
    " class and what to do, and what is missing is asked for again by a later run. *Needed* are the"
    " calls of the same backfill on a good day, and those that no client can spare: each of a"
    " burst, and the first that meets what goes on for a time.",
)
