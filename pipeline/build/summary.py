"""What a build came to, for a person and for machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from pipeline.build.watching import Watcher
from pipeline.company import Company
from pipeline.landing import Landing
from pipeline.warehouse import Warehouse


@dataclass(frozen=True)
class TableLanded:
    """One connected table: what this build landed of it, and how far it is complete now."""

    table: str
    connector: str
    days_count: int
    rows_count: int
    quarantined_count: int
    revisions_count: int
    rows_changed_count: int
    complete_until: datetime | None
    not_ready: str = ""
    """What the source said of a day that it has not built yet; the days before it are landed."""


@dataclass(frozen=True)
class DivergenceTotal:
    """The open divergences of one class."""

    divergence: str
    count: int
    amount_at_stake_fen: int


@dataclass(frozen=True)
class CheckOutcome:
    """One check of this build. Failing `trustworthy` checks never come here: they raise."""

    name: str
    asset: str
    is_met: bool
    severity: str
    description: str
    evidence: tuple[Any, ...] = ()


@dataclass(frozen=True)
class AlertsTold:
    """What this build decided and sent."""

    decided_count: int
    open_count: int
    sent_count: int
    pending_count: int
    failed_count: int
    errors: tuple[str, ...]


@dataclass(frozen=True)
class BuildSummary:
    """One build, from landing to report."""

    company: str
    first_day: date
    last_day: date
    tables: tuple[TableLanded, ...]
    as_of: datetime | None
    cases_count: int
    divergences: tuple[DivergenceTotal, ...]
    bridge_residual_fen: int
    bridge_residual_count: int
    checks: tuple[CheckOutcome, ...]
    alerts: AlertsTold
    published: Path
    report: Path
    seconds_by_stage: dict[str, float]
    seconds: float

    @property
    def rows_count(self) -> int:
        return sum(table.rows_count for table in self.tables)

    @property
    def quarantined_count(self) -> int:
        return sum(table.quarantined_count for table in self.tables)

    @property
    def revisions_count(self) -> int:
        return sum(table.revisions_count for table in self.tables)

    @property
    def checks_not_met(self) -> tuple[CheckOutcome, ...]:
        return tuple(check for check in self.checks if not check.is_met)


def summarise(
    company: Company, asked: Sequence[date], watcher: Watcher, *, seconds: float
) -> BuildSummary:
    """Read the summary from what the run said and from the file that it published."""
    warehouse = Warehouse(company.data)
    told = watcher.materialized["alerts/told"]
    with warehouse.read() as connection:
        ((as_of, cases_count),) = connection.execute(
            "select max(as_of), count(*) from marts.fct_cases"
        ).fetchall()
        ((residual_fen, residual_count),) = connection.execute(
            "select coalesce(max(abs(residual_fen)), 0)::bigint,"
            " coalesce(max(abs(residual_count)), 0)::bigint from marts.rpt_bridge_daily"
        ).fetchall()
        divergences = _read_divergences(connection)
    return BuildSummary(
        company=company.name,
        first_day=asked[0],
        last_day=asked[-1],
        tables=_tables(company, watcher),
        as_of=as_of,
        cases_count=cases_count,
        divergences=divergences,
        bridge_residual_fen=residual_fen,
        bridge_residual_count=residual_count,
        checks=_outcomes(watcher),
        alerts=AlertsTold(
            decided_count=told["decided"],
            open_count=told["open"],
            sent_count=told["sent"],
            pending_count=told["pending"],
            failed_count=told["failed"],
            errors=tuple(told["errors"]),
        ),
        published=warehouse.published,
        report=Path(watcher.materialized["report/page"]["path"]),
        seconds_by_stage=dict(watcher.seconds),
        seconds=seconds,
    )


def _tables(company: Company, watcher: Watcher) -> tuple[TableLanded, ...]:
    landing = Landing(company.data / "landing", hash_key=company.hash_key)
    watermarks = landing.watermarks()
    rows = []
    for name, settings in company.sources.tables.items():
        landed = watcher.landed[name]
        watermark = watermarks.get(name)
        rows.append(
            TableLanded(
                table=name,
                connector=settings.connector,
                days_count=landed["days"],
                rows_count=landed["rows"],
                quarantined_count=landed["quarantined"],
                revisions_count=landed["revisions"],
                rows_changed_count=landed["rows_changed"],
                complete_until=watermark.complete_until if watermark else None,
                not_ready=landed.get("not_ready", ""),
            )
        )
    return tuple(rows)


def _read_divergences(connection: duckdb.DuckDBPyConnection) -> tuple[DivergenceTotal, ...]:
    rows = connection.execute(
        "select divergence, count(*), coalesce(sum(amount_at_stake_fen), 0)::bigint"
        " from marts.fct_divergences where healed_at is null"
        " group by divergence order by count(*) desc, divergence"
    ).fetchall()
    return tuple(DivergenceTotal(*row) for row in rows)


def _outcomes(watcher: Watcher) -> tuple[CheckOutcome, ...]:
    return tuple(
        CheckOutcome(
            name=check.check_name,
            asset=check.asset_key.to_user_string(),
            is_met=check.passed,
            severity=check.severity.value,
            description=check.description or "",
            evidence=_evidence(check),
        )
        for check in watcher.checks
    )


def _evidence(check: dg.AssetCheckEvaluation) -> tuple[Any, ...]:
    told = check.metadata.get("evidence")
    return tuple(told.value) if told is not None and isinstance(told.value, list) else ()
