"""What the figures rest on: the bridge of totals, the sources, the maturity of the cases."""

from dataclasses import dataclass
from datetime import datetime

from pipeline.report.notation import Words
from pipeline.report.rows import Marts
from pipeline.report.words import (
    name_source,
    name_step,
)


@dataclass(frozen=True)
class BridgeStep:
    """One step of the bridge; `start` and `end` are running totals in fen."""

    step: str
    name: Words
    is_total: bool
    amount_fen: int
    cases_count: int
    start_fen: int
    end_fen: int


@dataclass(frozen=True)
class Bridge:
    """From the surface total to the ERP total; what is left over is stated, also when it is 0."""

    steps: tuple[BridgeStep, ...]
    cells_count: int
    residual_fen: int
    residual_count: int


@dataclass(frozen=True)
class Source:
    """One landed table and how far it is known."""

    table: str
    name: Words
    is_connected: bool
    complete_from: datetime | None
    complete_until: datetime | None
    rows_count: int
    quarantined_count: int


@dataclass(frozen=True)
class Maturity:
    """How many cases are old enough to judge."""

    cases_count: int
    mature_count: int
    abandoned_count: int

    @property
    def rate(self) -> float | None:
        return self.mature_count / self.cases_count if self.cases_count else None


def figure_bridge(marts: Marts) -> Bridge | None:
    """The bridge over all days, lines and channels; None where there is none."""
    if not marts.bridge:
        return None
    steps, running = [], 0
    for row in marts.bridge:
        is_total = row.step in ("surface_total", "erp_total")
        start = 0 if is_total else running
        running = row.amount_fen if is_total else running + row.amount_fen
        steps.append(
            BridgeStep(
                step=row.step,
                name=name_step(row.step),
                is_total=is_total,
                amount_fen=row.amount_fen,
                cases_count=row.cases_count,
                start_fen=start,
                end_fen=running,
            )
        )
    residual = marts.residual
    return Bridge(
        tuple(steps), residual.cells_count, residual.residual_fen, residual.residual_count
    )


def figure_sources(marts: Marts) -> list[Source]:
    """The landed tables: connected ones first, the one that is behind the others at the top."""
    sources = [
        Source(
            table=row.table_name,
            name=name_source(row.table_name),
            is_connected=row.is_connected,
            complete_from=row.complete_from,
            complete_until=row.complete_until,
            rows_count=row.rows_count,
            quarantined_count=row.quarantined_count,
        )
        for row in marts.watermarks
    ]
    return sorted(
        sources,
        key=lambda s: (
            not s.is_connected,
            s.complete_until.timestamp() if s.complete_until else 0.0,
            s.table,
        ),
    )


def figure_maturity(marts: Marts) -> Maturity:
    """All cases, and those old enough to judge."""
    return Maturity(
        cases_count=sum(line.cases_count for line in marts.lines),
        mature_count=sum(line.mature_cases_count for line in marts.lines),
        abandoned_count=sum(line.abandoned_count for line in marts.lines),
    )
