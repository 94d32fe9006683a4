"""How long a build takes, what it takes of the machine, and whether it grows faster than the data.

The same company in several sizes, each ten times the one before. On each: the full build as the
product does it, one more day on top of it, and beside them the core of the work as plain SQL.
"""

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.large_company import DAYS, LargeCompany, Size
from bench.measurement import Asked, Bar, Figures, Measured, Tell, as_texts
from bench.plain_sql import count_in_marts, match_plainly
from bench.watched import Taken, watched
from pipeline.company import Company
from pipeline.errors import ConfigurationError
from pipeline.landing import Landing
from pipeline.warehouse import Warehouse

ALL_EVENTS = (200_000, 2_000_000, 20_000_000)
DEFAULT_EVENTS = 2_000_000
LEAST_EVENTS = 10_000
GROWTH = 10
# A day is to cost what changed, not what came before: shown on a history that is mostly settled.
LONG_DAYS = 300
MOST_EVENTS_OF_LONG = 2_000_000
# Below this every model takes its fixed time, and nothing can be said of its growth.
LEAST_COMPARED_EVENTS = 100_000

# What DuckDB may hold in memory while it is measured: a quarter of an ordinary server, 2026-11.
MEMORY_LIMIT = os.environ.get("BIHUAN_MEMORY_LIMIT", "8GiB")
# DuckDB counts its buffers, not its every byte, and dbt itself takes 0.3 GiB: beyond this much more
# than the limit, the limit is not kept. 2026-11.
RSS_SLACK = 1.25
RSS_OF_DBT_BYTES = 512 * 1024**2

# A model is worse than linear where its time grows by this much more than the data does, and is
# long enough for the clock of a busy machine to mean something. 2026-11.
LINEAR_SLACK = 1.3
SECONDS_THAT_COUNT = 2.0
# How often a suspect is timed again before it is found guilty. 2026-11.
TIMES_ALONE = 2

SLOWEST_SHOWN = 10
GIB, MIB = 1024**3, 1024**2


@dataclass(frozen=True)
class Build:
    """One run of dbt. `model_seconds` is the time in which at least one model was in the making."""

    register_seconds: float
    seconds: float
    model_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    spill_bytes: int
    seconds_by_model: Mapping[str, float]


@dataclass(frozen=True)
class Sized:
    """All that was measured at one size. `agrees` says that plain SQL counts what the marts do."""

    events: int
    landed_rows: int
    full: Build
    day_events: int
    day: Build
    plain_seconds: float
    plain_rss_bytes: int
    agrees: bool
    found: str
    load: float

    @property
    def ratio(self) -> float:
        """How many times the plain SQL's time the models take."""
        return self.full.model_seconds / self.plain_seconds


@dataclass(frozen=True)
class Growth:
    """One model between two sizes: 1 is linear, 2 is twice the time per event."""

    model: str
    smaller_events: int
    larger_events: int
    smaller_seconds: float
    larger_seconds: float

    @property
    def per_event(self) -> float:
        time_grew = self.larger_seconds / max(self.smaller_seconds, 0.001)
        return time_grew / (self.larger_events / self.smaller_events)

    @property
    def is_worse_than_linear(self) -> bool:
        return self.per_event > LINEAR_SLACK and self.larger_seconds > SECONDS_THAT_COUNT


def measure(asked: Asked, tell: Tell) -> Measured:
    """Measure every size asked for: that many events and a tenth of it, or with `all`, the page's.

    Raises ConfigurationError where the number of events is none or too small to mean anything.
    """
    sizes = choose_sizes(asked.events)
    measured: list[Sized] = []
    growths: list[Growth] = []
    with ExitStack() as open_trials:
        before: Trial | None = None
        for events in sizes:
            trial = open_trials.enter_context(_open_trial(events, tell))
            measured.append(trial.measure())
            if before is not None:
                found = list(find_growths(*measured[-2:]))
                growths += time_again(found, before.time_alone, trial.time_alone)
            before = trial
    histories = list(_measure_histories(sizes, measured, tell))
    return Measured(
        command=f"bihuan bench speed --events {asked.events or DEFAULT_EVENTS}",
        tables=tuple(_tables(measured, histories, growths)),
        bars=tuple(find_bars([*measured, *histories[1:]], growths)),
        results={
            "sizes": [asdict(sized) | {"ratio": sized.ratio} for sized in measured],
            "long_history": [asdict(sized) for sized in histories[1:]],
            "growth_per_event": [
                asdict(growth) | {"per_event": growth.per_event} for growth in growths
            ],
        },
        is_whole=sizes == ALL_EVENTS,
        remarks=_REMARKS,
    )


def _measure_histories(
    sizes: Sequence[int], measured: Sequence[Sized], tell: Tell
) -> Iterator[Sized]:
    """One of the measured, and as many events again over ten times the days; none if all small."""
    events, short = max(
        (
            (events, sized)
            for events, sized in zip(sizes, measured, strict=True)
            if LEAST_COMPARED_EVENTS <= events <= MOST_EVENTS_OF_LONG
        ),
        key=lambda pair: pair[0],
        default=(0, None),
    )
    if short is not None:
        with _open_trial(events, tell, days=LONG_DAYS) as trial:
            yield short
            yield trial.measure()


def choose_sizes(events: str | None) -> tuple[int, ...]:
    """The numbers of events to measure with, smallest first: the asked one, and one to compare."""
    if events == "all":
        return ALL_EVENTS
    told = events if events is not None else str(DEFAULT_EVENTS)
    if not told.isdigit() or int(told) < LEAST_EVENTS:
        raise ConfigurationError(
            f"--events: found {told}, allowed: all, or a number from {LEAST_EVENTS} on"
        )
    if int(told) < LEAST_COMPARED_EVENTS:
        return (int(told),)
    return int(told) // GROWTH, int(told)


@dataclass(frozen=True)
class Trial:
    """The made-up company at one size, with its warehouse."""

    large: LargeCompany
    folder: Path
    tell: Tell

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.large.company.data)

    def measure(self) -> Sized:
        """Everything that is measured at this size, once."""
        load, _, _ = os.getloadavg()
        rows = self.large.land_first_days(self.tell)
        events = self.large.events_count()
        plain = _match_plainly(self.large, self.folder / "spill")
        self.tell(f"plain SQL {plain.seconds:.1f} s")
        full = _build(self.large, self.warehouse)
        self.tell(f"full build {full.seconds:.1f} s, of which models {full.model_seconds:.1f} s")
        with self.warehouse.open() as connection:
            counted = count_in_marts(connection)
        self.large.land_next_day()
        day = _build(self.large, self.warehouse)
        self.tell(f"one more day {day.seconds:.1f} s")
        return Sized(
            events=events,
            landed_rows=rows,
            full=full,
            day_events=self.large.events_count() - events,
            day=day,
            plain_seconds=plain.seconds,
            plain_rss_bytes=plain.peak_rss_bytes,
            agrees=plain.returned == counted,
            found=_compare(plain.returned, counted),
            load=load,
        )

    def time_alone(self, models: Sequence[str]) -> Mapping[str, float]:
        """The seconds of each of the models, one at a time and from nothing."""
        self.tell(f"once more, alone: {', '.join(models)}")
        _limit_memory()
        self.warehouse.run_dbt("run", "--full-refresh", "--threads", "1", "--select", *models)
        return _seconds_by_model(_read_models(self.warehouse))


@contextmanager
def _open_trial(events: int, tell: Tell, *, days: int = DAYS) -> Iterator[Trial]:
    def told(text: str) -> None:
        tell(f"{events:,} events over {days} days: {text}")

    with tempfile.TemporaryDirectory(prefix="bihuan-speed-") as name:
        folder = Path(name)
        yield Trial(LargeCompany(folder, Size(events, days), told), folder, told)


def time_again(
    growths: Sequence[Growth],
    time_smaller: Callable[[Sequence[str]], Mapping[str, float]],
    time_larger: Callable[[Sequence[str]], Mapping[str, float]],
) -> list[Growth]:
    """The growths, where a model that looks worse than linear was timed again, alone.

    Beside another model, or other programs, a model takes longer than it must. The least of its
    times alone counts, for both sizes; who is cleared by the first is not timed again.
    """
    final = {growth.model: growth for growth in growths}
    timed: set[str] = set()
    for _ in range(TIMES_ALONE):
        suspects = [model for model, growth in final.items() if growth.is_worse_than_linear]
        if not suspects:
            break
        smaller, larger = time_smaller(suspects), time_larger(suspects)
        for model in suspects:
            smaller_seconds, larger_seconds = smaller[model], larger[model]
            if model in timed:
                smaller_seconds = min(smaller_seconds, final[model].smaller_seconds)
                larger_seconds = min(larger_seconds, final[model].larger_seconds)
            final[model] = replace(
                final[model], smaller_seconds=smaller_seconds, larger_seconds=larger_seconds
            )
        timed |= set(suspects)
    return list(final.values())


def _match_plainly(large: LargeCompany, spill: Path) -> Taken[Any]:
    batches = {
        name: [batch.path for batch in large.landing.batches(name)]
        for name in ("tracking_events", "pay_bill", "erp_orders")
    }
    return watched(match_plainly, batches, spill, MEMORY_LIMIT, spill=spill)


def _compare(plain: tuple[int, Mapping[Any, int]], marts: tuple[int, Mapping[Any, int]]) -> str:
    if plain == marts:
        return f"{plain[0]:,} events and {sum(plain[1].values()):,} cases on both sides"
    return f"plain SQL counts {plain}, the models {marts}"


def _build(large: LargeCompany, warehouse: Warehouse) -> Build:
    """Register and transform as the product does, and read dbt's own account of it."""
    registered = watched(
        _register, warehouse, large.landing, large.company, spill=_spill_of(warehouse)
    )
    taken = watched(_transform, warehouse, spill=_spill_of(warehouse))
    models = _read_models(warehouse)
    return Build(
        register_seconds=registered.seconds,
        seconds=taken.seconds,
        model_seconds=covered_seconds(_intervals(models)),
        cpu_seconds=taken.cpu_seconds,
        peak_rss_bytes=taken.peak_rss_bytes,
        spill_bytes=taken.spill_bytes,
        seconds_by_model=_seconds_by_model(models),
    )


def _read_models(warehouse: Warehouse) -> list[Mapping[str, Any]]:
    """dbt's own account of each model of its last run."""
    told = json.loads((warehouse.data / "dbt" / "run_results.json").read_text(encoding="utf-8"))
    return [node for node in told["results"] if node["unique_id"].startswith("model.")]


def _seconds_by_model(models: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {node["unique_id"].rpartition(".")[2]: node["execution_time"] for node in models}


def _register(warehouse: Warehouse, landing: Landing, company: Company) -> None:
    warehouse.register(landing, company)


def _transform(warehouse: Warehouse) -> None:
    _limit_memory()
    warehouse.transform()


def _limit_memory() -> None:
    os.environ["BIHUAN_MEMORY_LIMIT"] = MEMORY_LIMIT


def _spill_of(warehouse: Warehouse) -> Path:
    """Where DuckDB spills to when nobody says otherwise: beside the file that it works on."""
    return warehouse.build.with_name(f"{warehouse.build.name}.tmp")


def _intervals(nodes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[datetime, datetime]]:
    for node in nodes:
        for step in node["timing"]:
            if step["name"] == "execute":
                yield (
                    datetime.fromisoformat(step["started_at"]),
                    datetime.fromisoformat(step["completed_at"]),
                )


def covered_seconds(intervals: Iterator[tuple[datetime, datetime]]) -> float:
    """How long at least one of the intervals was open."""
    seconds, until = 0.0, None
    for begun, ended in sorted(intervals):
        if until is None or begun > until:
            seconds += (ended - begun).total_seconds()
            until = ended
        elif ended > until:
            seconds += (ended - until).total_seconds()
            until = ended
    return seconds


def find_growths(smaller: Sized, larger: Sized) -> Iterator[Growth]:
    """How each model's time grew from one size to the next."""
    for model, seconds in larger.full.seconds_by_model.items():
        before = smaller.full.seconds_by_model.get(model)
        if before is not None:
            yield Growth(model, smaller.events, larger.events, before, seconds)


def find_bars(measured: Sequence[Sized], growths: Sequence[Growth]) -> Iterator[Bar]:
    """What must hold of every size, and between the sizes."""
    if growths:
        yield judge_growth(growths)
    for sized in measured:
        yield Bar(
            f"the models and the plain SQL count alike at {sized.events:,} events",
            sized.agrees,
            sized.found,
        )
        peak = max(sized.full.peak_rss_bytes, sized.day.peak_rss_bytes)
        yield Bar(
            f"memory stays within the limit of {MEMORY_LIMIT} at {sized.events:,} events",
            peak <= _bytes(MEMORY_LIMIT) * RSS_SLACK + RSS_OF_DBT_BYTES,
            f"{peak / GIB:.2f} GiB at most",
        )


def judge_growth(growths: Sequence[Growth]) -> Bar:
    """Whether every model that takes long enough to tell grows as the data does."""
    worse = [growth for growth in growths if growth.is_worse_than_linear]
    listed = ", ".join(
        f"{growth.model} takes {growth.per_event:.2f} times as long per event"
        f" at {growth.larger_events:,} events" for growth in worse
    )  # fmt: skip
    steepest = max((growth.per_event for growth in growths
                    if growth.larger_seconds > SECONDS_THAT_COUNT), default=None)  # fmt: skip
    return Bar(
        f"no model that takes more than {SECONDS_THAT_COUNT:.0f} s grows {LINEAR_SLACK} times"
        " faster than the data",
        not worse,
        listed or (f"at most {steepest:.2f} times" if steepest else "none takes that long"),
    )


def _bytes(limit: str) -> float:
    """A memory limit as DuckDB writes it, such as 8GiB or 512 MB, in bytes."""
    for power, prefix in enumerate("KMGT", start=1):
        for unit, base in ((f"{prefix}iB", 1024), (f"{prefix}B", 1000)):
            if limit.endswith(unit):
                return float(limit.removesuffix(unit)) * math.pow(base, power)
    raise ConfigurationError(
        f"BIHUAN_MEMORY_LIMIT: found {limit}, allowed: a number and KB to TB or KiB to TiB"
    )


# What is told of each size.
FIGURES: Mapping[str, Callable[[Sized], str]] = {
    "landed rows": lambda sized: f"{sized.landed_rows:,}",
    "register, s": lambda sized: f"{sized.full.register_seconds:.1f}",
    "full build with tests, s": lambda sized: f"{sized.full.seconds:.1f}",
    "full build with tests, events per s": lambda sized: _rate(sized.events, sized.full),
    "models alone, s": lambda sized: f"{sized.full.model_seconds:.1f}",
    "models alone, events per s": lambda sized: f"{sized.events / sized.full.model_seconds:,.0f}",
    "processor time of the full build, s": lambda sized: f"{sized.full.cpu_seconds:.1f}",
    "peak memory, GiB": lambda sized: f"{sized.full.peak_rss_bytes / GIB:.2f}",
    "spilled to disk, MiB": lambda sized: f"{sized.full.spill_bytes / MIB:,.0f}",
    "events of one more day": lambda sized: f"{sized.day_events:,}",
    "one more day, s": lambda sized: f"{sized.day.seconds:.1f}",
    "one more day, peak memory, GiB": lambda sized: f"{sized.day.peak_rss_bytes / GIB:.2f}",
    "plain SQL, s": lambda sized: f"{sized.plain_seconds:.1f}",
    "models alone / plain SQL": lambda sized: f"{sized.ratio:.1f}",
    "load of the machine before": lambda sized: f"{sized.load:.1f}",
}


def _tables(
    measured: Sequence[Sized], histories: Sequence[Sized], growths: Sequence[Growth]
) -> Iterator[Figures]:
    columns = tuple(f"{sized.events:,} events" for sized in measured)
    rows = [(name, *(tell(sized) for sized in measured)) for name, tell in FIGURES.items()]
    yield Figures("Time and memory", ("figure", *columns), as_texts(rows))
    if histories:
        yield _compare_histories(histories)
    growth_of = {(growth.model, growth.larger_events): growth for growth in growths}
    yield Figures(
        "The slowest models",
        ("model", *(f"{column}, s" for column in columns), "time per event grew by"),
        tuple(
            (
                *timed,
                ", ".join(
                    f"{growth_of[timed[0], sized.events].per_event:.2f}"
                    for sized in measured[1:]
                    if (timed[0], sized.events) in growth_of
                ),
            )
            for timed in _slowest([sized.full for sized in measured])
        ),
    )
    yield Figures(
        "The slowest models of one more day",
        ("model", *(f"{column}, s" for column in columns)),
        tuple(_slowest([sized.day for sized in measured])),
    )


def _compare_histories(histories: Sequence[Sized]) -> Figures:
    told: Mapping[str, Callable[[Sized], str]] = {
        "events": lambda sized: f"{sized.events:,}",
        **{
            name: FIGURES[name]
            for name in (
                "full build with tests, s", "events of one more day", "one more day, s",
                "processor time of the full build, s",
            )
        },
        "processor time of one more day, s": lambda sized: f"{sized.day.cpu_seconds:.1f}",
        "one more day, peak memory, GiB": FIGURES["one more day, peak memory, GiB"],
    }  # fmt: skip
    rows = [(name, *(tell(sized) for sized in histories)) for name, tell in told.items()]
    columns = ("figure", f"{DAYS} days", f"{LONG_DAYS} days")
    return Figures("One more day on a long history", columns, as_texts(rows))


def _slowest(builds: Sequence[Build]) -> Iterator[tuple[str, ...]]:
    """The models that take longest in the last of the builds, with their seconds in each."""
    by_seconds = sorted(builds[-1].seconds_by_model.items(), key=lambda model: -model[1])
    for model, _ in by_seconds[:SLOWEST_SHOWN]:
        yield model, *(f"{build.seconds_by_model.get(model, 0):.2f}" for build in builds)


def _rate(events: int, build: Build) -> str:
    return f"{events / build.seconds:,.0f}"


_REMARKS = (
    "The company is made up: thirty days and one more, half of its sessions order, a few people"
    " come far more often than others, one event in two hundred is delivered again with a later"
    " day, one in fifty arrives a day or two late, and one order in thirty-three has a fault.",
    "*Full build* is `register` and `dbt build` with all data tests into an empty file, through the"
    " same door as `bihuan build`; *models alone* is the part of it in which at least one model was"
    " in the making; *one more day* is the same build once more after another day was landed and"
    " the orders of the week before it changed. *Plain SQL* is the least that any solution must do"
    " (one row per event, front end, bill and ERP joined per order, counts per state), without"
    " windows, watermarks, classes, people, evidence and tests. Every run is a process of its own.",
    "A company younger than its windows has hardly a settled case, and one more day builds it anew;"
    " of a long history, one more day judges again what is open or touched.",
    "Other programs may have been at work: the load (processes that wanted a core in the minute"
    " before) says how many.",
)
