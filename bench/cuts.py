"""What a build says when a source is late or missing, held against what it says with all of it.

Late data must raise no alarm, and a source that nobody connected makes its legs unverifiable. Each
is tried on every source: its watermark moved back, or the source taken away.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import duckdb

from bench.scratch import Models, rerun
from pipeline.company import Company
from pipeline.landing import Watermark

HOURS = (1, 24, 72)

CaseLeg = tuple[str, str]

_LEGS = """
    select case_id, leg, truth, divergence, claim_at
    from marts.fct_case_legs
"""
# Legs whose evidence lies in a source, that have none, and that are judged all the same. A leg may
# take over what the leg that broke before it came to, and a claim waits where its record may still
# be another case's.
_JUDGED_WITHOUT = """
    with legs as (
        select * from marts.fct_case_legs
    ),
    sources as (
        select loop, leg from seeds.leg_sources
        where table_name = ?
    ),
    broken as (
        select distinct legs.case_id, leg_ancestors.leg, legs.truth
        from legs
        inner join seeds.leg_ancestors
            on legs.loop = leg_ancestors.loop and legs.leg = leg_ancestors.ancestor
        where legs.truth in ('refuted', 'pending') or legs.divergence = 'surface_only'
    )
    select
        count(case when legs.truth = 'unverifiable' then 1 end) as unverifiable_count,
        count(
            case
                when
                    broken.case_id is null
                    and (
                        legs.truth = 'refuted'
                        or (legs.truth = 'pending' and legs.leg <> 'submitted')
                    )
                    then 1
            end
        ) as judged_count
    from legs
    inner join sources on legs.loop = sources.loop and legs.leg = sources.leg
    left join (select distinct case_id, leg from broken) as broken
        on legs.case_id = broken.case_id and legs.leg = broken.leg
    where not legs.has_evidence and legs.truth <> 'not_due'
"""


@dataclass(frozen=True)
class Leg:
    """One leg of one case; `claim_at` is when what makes it due came about."""

    truth: str
    divergence: str
    claim_at: datetime | None


@dataclass(frozen=True)
class Cut:
    """One source known `hours` less far. `hours` None: the source is not connected.

    `false_alarms` are findings of the cut that the whole does not have; `moved` are those on a
    case that diverges in the whole too, on another leg. Of the refuted legs that the cut takes
    back, `pending` wait, `unowed` wait too, for what made them due is not known yet, and `lost` are
    neither: an alarm that was right and is gone. `judged_without` are legs of a missing source that
    were judged without it, `unverifiable` those that were rightly not.
    """

    table: str
    hours: int | None
    findings: int
    false_alarms: tuple[CaseLeg, ...]
    moved: tuple[CaseLeg, ...] = ()
    pending: int = 0
    unowed: int = 0
    lost: tuple[CaseLeg, ...] = ()
    unverifiable: int = 0
    judged_without: int = 0

    @property
    def alarms_of_sound_cases(self) -> tuple[CaseLeg, ...]:
        """The false alarms on cases of which the whole has no finding at all."""
        return tuple(alarm for alarm in self.false_alarms if alarm not in self.moved)


def cut_everything(
    connection: duckdb.DuckDBPyConnection,
    models: Models,
    company: Company,
    watermarks: Mapping[str, Watermark],
) -> Iterator[Cut]:
    """Cut every connected source, one after another; the connection holds the whole before."""
    whole = read_legs(connection)
    for table in watermarks:
        yield from cut_source(connection, models, company, watermarks, table, whole)


def cut_source(
    connection: duckdb.DuckDBPyConnection,
    models: Models,
    company: Company,
    watermarks: Mapping[str, Watermark],
    table: str,
    whole: Mapping[CaseLeg, Leg],
) -> Iterator[Cut]:
    """Cut one source back by each of HOURS, then take it away.

    Afterwards the landed tables are as they were, and the marts are those of the last cut.
    """
    known = watermarks[table]
    for hours in HOURS:
        until = known.complete_until - timedelta(hours=hours)
        cut_back = {**watermarks, table: replace(known, complete_until=until)}
        rerun(connection, models, company, cut_back)
        yield compare_cut(whole, read_legs(connection), table, hours, until)
    yield _disconnect(connection, models, company, watermarks, table, whole)


def compare_cut(
    whole: Mapping[CaseLeg, Leg],
    cut: Mapping[CaseLeg, Leg],
    table: str,
    hours: int,
    until: datetime,
) -> Cut:
    """What became of the findings and of the refuted legs when a source was cut back."""
    findings, alarms, moved = _alarms(whole, cut)
    pending, unowed, lost = 0, 0, []
    for case_leg, leg in whole.items():
        after = cut.get(case_leg)
        if leg.truth != "refuted" or (after and after.truth == "refuted"):
            continue
        if after and after.truth == "pending":
            pending += 1
        elif leg.claim_at and leg.claim_at >= until and (not after or after.truth == "not_due"):
            unowed += 1
        else:
            lost.append(case_leg)
    return Cut(
        table=table,
        hours=hours,
        findings=findings,
        false_alarms=alarms,
        moved=moved,
        pending=pending,
        unowed=unowed,
        lost=tuple(sorted(lost)),
    )


def _disconnect(
    connection: duckdb.DuckDBPyConnection,
    models: Models,
    company: Company,
    watermarks: Mapping[str, Watermark],
    table: str,
    whole: Mapping[CaseLeg, Leg],
) -> Cut:
    """Take a source away, rows and all, build, and put it back."""
    tables = {name: told for name, told in company.sources.tables.items() if name != table}
    without = company.model_copy(
        update={"sources": company.sources.model_copy(update={"tables": tables})}
    )
    connection.execute(f"create temp table kept as from landing.{table}")
    connection.execute(f"delete from landing.{table}")
    left = {name: known for name, known in watermarks.items() if name != table}
    rerun(connection, models, without, left)
    findings, alarms, moved = _alarms(whole, read_legs(connection))
    ((unverifiable, judged),) = connection.execute(_JUDGED_WITHOUT, [table]).fetchall()
    connection.execute(f"insert into landing.{table} from kept")
    connection.execute("drop table kept")
    return Cut(
        table=table,
        hours=None,
        findings=findings,
        false_alarms=alarms,
        moved=moved,
        unverifiable=unverifiable,
        judged_without=judged,
    )


def read_legs(connection: duckdb.DuckDBPyConnection) -> dict[CaseLeg, Leg]:
    """Every leg of every case, as the marts of a connection judge it."""
    rows = connection.execute(_LEGS).fetchall()
    return {(case_id, leg): Leg(*told) for case_id, leg, *told in rows}


def _alarms(
    whole: Mapping[CaseLeg, Leg], cut: Mapping[CaseLeg, Leg]
) -> tuple[int, tuple[CaseLeg, ...], tuple[CaseLeg, ...]]:
    """How many findings a cut has, which of them the whole has not, and which of those moved."""
    right, found = _findings(whole), _findings(cut)
    alarms = sorted(found - right)
    diverging = {case_id for case_id, _ in right}
    return len(found), tuple(alarms), tuple(alarm for alarm in alarms if alarm[0] in diverging)


def _findings(legs: Mapping[CaseLeg, Leg]) -> set[CaseLeg]:
    return {case_leg for case_leg, leg in legs.items() if leg.divergence != "none"}
