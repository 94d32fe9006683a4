"""What the marts said as of a past run, what they say now, and what changed since, with the cause.

Reads the published file alone: every run's words are kept in it. How it looks on a terminal is
the concern of `pipeline.terminal`.
"""

from dataclasses import dataclass
from datetime import date, datetime

from pipeline.errors import BihuanError
from pipeline.landing import day_end
from pipeline.warehouse import Warehouse

SHOWN_CHANGES = 10


class UnknownRunError(BihuanError):
    """The published file remembers no such run."""


@dataclass(frozen=True)
class Run:
    """One remembered run."""

    run_no: int
    as_of: datetime | None


@dataclass(frozen=True)
class LineThen:
    """One business line and loop: (then, now) of each figure. Money is fen at stake."""

    business_line: str
    loop: str
    legs: tuple[int, int]
    refuted: tuple[int, int]
    pending: tuple[int, int]
    divergences: tuple[int, int]
    at_stake_fen: tuple[int, int]


@dataclass(frozen=True)
class CauseCount:
    """Legs told otherwise since, by cause; `restated_count` of them after their day had closed."""

    cause: str
    changes_count: int
    restated_count: int


@dataclass(frozen=True)
class Change:
    """One leg that was told otherwise since."""

    case_id: str
    leg: str
    truth_before: str
    truth_after: str | None
    divergence_before: str
    divergence_after: str | None
    cause: str
    cause_ref: str | None
    changed_run: int
    is_restatement: bool


@dataclass(frozen=True)
class Reported:
    """A past run held against the newest. `changes` begins with the restatements."""

    then: Run
    now: Run
    lines: tuple[LineThen, ...]
    causes: tuple[CauseCount, ...]
    changes: tuple[Change, ...]


RUNS = "select run_no, as_of from marts.fct_runs order by run_no"

LINES = """
    with said as (
        select
            business_line, loop, divergence, truth, amount_at_stake_fen,
            from_run <= $run and coalesce(until_run > $run, true) as was_said,
            until_run is null as is_said
        from marts.fct_leg_reports
    )
    select
        business_line,
        loop,
        count(*) filter (where was_said), count(*) filter (where is_said),
        count(*) filter (where was_said and truth = 'refuted'),
        count(*) filter (where is_said and truth = 'refuted'),
        count(*) filter (where was_said and truth = 'pending'),
        count(*) filter (where is_said and truth = 'pending'),
        count(*) filter (where was_said and divergence <> 'none'),
        count(*) filter (where is_said and divergence <> 'none'),
        coalesce(sum(amount_at_stake_fen) filter (where was_said), 0)::bigint,
        coalesce(sum(amount_at_stake_fen) filter (where is_said), 0)::bigint
    from said
    where was_said or is_said
    group by business_line, loop
    order by business_line, loop
"""

CAUSES = """
    select cause, count(*), count(*) filter (where is_restatement)
    from marts.fct_leg_changes
    where earlier_run <= $run and changed_run > $run
    group by cause
    order by count(*) desc, cause
"""

CHANGES = """
    select
        case_id, leg, truth_before, truth_after, divergence_before, divergence_after, cause,
        cause_ref, changed_run, is_restatement
    from marts.fct_leg_changes
    where earlier_run <= $run and changed_run > $run
    order by
        is_restatement desc, divergence_before = 'none' and divergence_after = 'none',
        changed_run desc, case_id, leg
    limit $shown
"""


def tell_reported(
    warehouse: Warehouse, *, run_no: int | None = None, on: date | None = None
) -> Reported:
    """Hold a past run against the newest: run `run_no`, or the last that could know day `on`.

    Raises UnknownRunError with the runs that are remembered, WarehouseError without a file.
    """
    with warehouse.read() as connection:
        runs = [Run(*row) for row in connection.execute(RUNS).fetchall()]
        then = _choose(runs, run_no, on)
        asked = {"run": then.run_no}
        return Reported(
            then=then,
            now=runs[-1],
            lines=tuple(_line(row) for row in connection.execute(LINES, asked).fetchall()),
            causes=tuple(CauseCount(*row) for row in connection.execute(CAUSES, asked).fetchall()),
            changes=tuple(
                Change(*row)
                for row in connection.execute(CHANGES, asked | {"shown": SHOWN_CHANGES}).fetchall()
            ),
        )


def _line(row: tuple[object, ...]) -> LineThen:
    line, loop, *figures = row
    pairs = [(int(str(a)), int(str(b))) for a, b in zip(figures[::2], figures[1::2], strict=True)]
    return LineThen(str(line), str(loop), *pairs)


def _choose(runs: list[Run], run_no: int | None, on: date | None) -> Run:
    if not runs:
        raise UnknownRunError("the published file remembers no run", next_step="run bihuan build")
    if run_no is not None:
        fitting = [run for run in runs if run.run_no == run_no]
    elif on is not None:
        until = day_end(on)
        fitting = [run for run in runs if run.as_of is not None and run.as_of <= until]
    else:
        fitting = runs[:-1] or runs
    if not fitting:
        asked = f"run {run_no}" if run_no is not None else f"no run as of {on} or before"
        raise UnknownRunError(
            f"found {asked}" if on is not None and run_no is None else f"found no {asked}",
            next_step=f"remembered are runs {runs[0].run_no} to {runs[-1].run_no},"
            f" as of {runs[0].as_of} to {runs[-1].as_of}",
        )
    return fitting[-1]
