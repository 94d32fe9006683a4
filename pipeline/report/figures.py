"""The figures of the report as numbers: flow, funnel, matrix, classes, days, bridge, sources.

Geometry does not belong here; whatever a mark shows is a field of one of these classes.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from pipeline.decisions.intervals import RateInterval, wilson_interval
from pipeline.report.notation import Words, mask_key, write_day, write_fen
from pipeline.report.queries import BreakRow, ClassRow, LegRow, LineRow, Marts
from pipeline.report.words import (
    explain_divergence,
    name_channel,
    name_divergence,
    name_leg,
    name_line,
    name_owners,
    name_source,
    name_step,
    name_sub_class,
    name_system,
)

MOST_INLETS = 7  # more bands than that are hairlines; the smallest lines share the last one

ExitKind = Literal["leak", "unknown"]
EXIT_WORDS: dict[ExitKind, Words] = {
    "leak": Words("没有记录", "No record"),
    "unknown": Words("无法核实", "Cannot be verified"),
}


@dataclass(frozen=True)
class Exit:
    """Cases that leave the flow between two systems for one reason."""

    kind: ExitKind
    divergence: str
    label: Words
    cases_count: int


@dataclass(frozen=True)
class Stage:
    """One system of the flow: the cases that reach it, and those that left on the way."""

    leg: str
    system: Words
    cases_count: int
    human_count: int
    exits: tuple[Exit, ...]

    @property
    def lost_count(self) -> int:
        return sum(item.cases_count for item in self.exits)

    def lost_as(self, kind: ExitKind) -> int:
        return sum(item.cases_count for item in self.exits if item.kind == kind)


@dataclass(frozen=True)
class Inlet:
    """One business line, or the smallest ones together, entering the flow."""

    name: Words
    cases_count: int


@dataclass(frozen=True)
class Flow:
    """Mature claimed cases of one loop through its mandatory legs, in contract order."""

    loop: str
    inlets: tuple[Inlet, ...]
    stages: tuple[Stage, ...]
    backend_only_count: int


@dataclass(frozen=True)
class FunnelStep:
    """One leg: the claimed cases that owe it and those among them with evidence."""

    leg: str
    name: Words
    is_mandatory: bool
    claimed_count: int
    verified_count: int
    late_count: int

    @property
    def unbacked_count(self) -> int:
        return self.claimed_count - self.verified_count


@dataclass(frozen=True)
class Cell:
    """One line and leg of the matrix; None as rate where no case owes the leg."""

    leg: str
    claimed_count: int
    verified_count: int
    is_weakest: bool

    @property
    def rate(self) -> float | None:
        return self.verified_count / self.claimed_count if self.claimed_count else None


@dataclass(frozen=True)
class MatrixRow:
    """One business line of the matrix."""

    name: Words
    business_line: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Matrix:
    """Business line by leg: the share of claimed cases with evidence."""

    legs: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True)
class Conversion:
    """Mature sessions of one line: the share that converted on the surface, and in truth."""

    business_line: str
    name: Words
    surface: RateInterval
    verified: RateInterval


@dataclass(frozen=True)
class ClassFigure:
    """One divergence class with its open cases by day of entry."""

    divergence: str
    label: Words
    meaning: Words
    legs: Words
    lines: Words
    owners: Words
    sub_classes: Words | None
    rows_count: int
    cases_count: int
    amount_at_stake_fen: int
    example: Words
    days: tuple[int, ...]


@dataclass(frozen=True)
class DayPoint:
    """One day of entry: the share of mature claimed cases that diverge, and that did not close."""

    day: date
    claimed_count: int
    diverging_count: int
    open_count: int
    diverging: RateInterval | None
    maturity: float | None


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


def figure_flows(marts: Marts) -> list[Flow]:
    """One flow per loop that has a mature claimed case."""
    loops = list(dict.fromkeys(line.loop for line in marts.lines if line.claimed_count))
    return [_figure_flow(loop, marts) for loop in loops]


def _figure_flow(loop: str, marts: Marts) -> Flow:
    lines = [line for line in marts.lines if line.loop == loop]
    legs = [leg for leg in _legs_in_order(marts.legs, loop) if _is_mandatory(leg, loop, marts.legs)]
    lost: dict[str, list[BreakRow]] = defaultdict(list)
    for item in marts.breaks:
        if item.loop == loop:
            lost[item.leg].append(item)
    remaining = sum(line.claimed_count for line in lines)
    stages = [Stage("submitted", name_system("submitted"), remaining, 0, ())]
    # What breaks at the front end itself leaves on the way to the first system behind it.
    carried_over = lost.pop("submitted", [])
    for leg in legs:
        if leg == "submitted":
            continue
        exits = _exits([*carried_over, *lost[leg]])
        carried_over = []
        remaining -= sum(item.cases_count for item in exits)
        hands = sum(h.cases_count for h in marts.hands if (h.loop, h.leg) == (loop, leg))
        stages.append(Stage(leg, name_system(leg), remaining, hands, exits))
    return Flow(loop, _inlets(lines), tuple(stages), sum(x.backend_only_count for x in lines))


def _exits(breaks: Iterable[BreakRow]) -> tuple[Exit, ...]:
    counts: dict[tuple[ExitKind, str], int] = defaultdict(int)
    for item in breaks:
        kind: ExitKind = "leak" if item.truth == "refuted" else "unknown"
        counts[kind, item.divergence] += item.cases_count
    exits = [
        Exit(
            kind,
            divergence,
            EXIT_WORDS[kind] if divergence == "none" else name_divergence(divergence),
            number,
        )
        for (kind, divergence), number in counts.items()
    ]
    kinds = list(EXIT_WORDS)
    return tuple(sorted(exits, key=lambda e: (kinds.index(e.kind), -e.cases_count, e.divergence)))


def _inlets(lines: list[LineRow]) -> tuple[Inlet, ...]:
    feeding = [line for line in lines if line.claimed_count]
    shown = feeding if len(feeding) <= MOST_INLETS else feeding[: MOST_INLETS - 1]
    inlets = [Inlet(name_line(line.business_line), line.claimed_count) for line in shown]
    rest = feeding[len(shown) :]
    if rest:
        name = Words(f"其余 {len(rest)} 条", f"{len(rest)} other lines")
        inlets.append(Inlet(name, sum(line.claimed_count for line in rest)))
    return tuple(inlets)


def _legs_in_order(legs: list[LegRow], loop: str) -> list[str]:
    ranks: dict[str, int] = {}
    for leg in legs:
        if leg.loop == loop:
            ranks[leg.leg] = min(leg.leg_rank, ranks.get(leg.leg, leg.leg_rank))
    return sorted(ranks, key=lambda name: (ranks[name], name))


def _is_mandatory(leg: str, loop: str, legs: list[LegRow]) -> bool:
    return any(row.is_mandatory for row in legs if (row.loop, row.leg) == (loop, leg))


def figure_funnel(marts: Marts, loop: str) -> list[FunnelStep]:
    """The legs of one loop over all its lines: claimed, and verified among the claimed."""
    steps = []
    for leg in _legs_in_order(marts.legs, loop):
        rows = [row for row in marts.legs if (row.loop, row.leg) == (loop, leg)]
        steps.append(
            FunnelStep(
                leg=leg,
                name=name_leg(leg),
                is_mandatory=_is_mandatory(leg, loop, marts.legs),
                claimed_count=sum(row.claimed_count for row in rows),
                verified_count=sum(row.verified_count for row in rows),
                late_count=sum(row.late_count for row in rows),
            )
        )
    return [step for step in steps if step.claimed_count]


def figure_matrix(marts: Marts, loop: str) -> Matrix:
    """The funnel again, line by line; each line's weakest mandatory leg is marked."""
    legs = tuple(
        leg
        for leg in _legs_in_order(marts.legs, loop)
        if any(row.claimed_count for row in marts.legs if (row.loop, row.leg) == (loop, leg))
    )
    rows = []
    for line in marts.lines:
        own = {
            row.leg: row
            for row in marts.legs
            if (row.loop, row.business_line) == (loop, line.business_line)
        }
        if line.loop == loop and own:
            weakest = _weakest_leg(own.values())
            cells = tuple(_cell(own.get(leg), weakest) for leg in legs)
            rows.append(MatrixRow(name_line(line.business_line), line.business_line, cells))
    return Matrix(legs, tuple(rows))


def _weakest_leg(rows: Iterable[LegRow]) -> str | None:
    """The mandatory leg with the least share of evidence; None where every leg is whole."""
    shares = [
        (row.verified_count / row.claimed_count, row.leg_rank, row.leg)
        for row in rows
        if row.is_mandatory and row.claimed_count and row.verified_count < row.claimed_count
    ]
    return min(shares)[2] if shares else None


def _cell(row: LegRow | None, weakest: str | None) -> Cell | None:
    if row is None:
        return None
    return Cell(row.leg, row.claimed_count, row.verified_count, row.leg == weakest)


def figure_conversions(marts: Marts, loop: str) -> list[Conversion]:
    """Both conversions per line of the loop that has mature sessions, in the order of the lines."""
    by_line = {row.business_line: row for row in marts.sessions}
    conversions = []
    for name in (line.business_line for line in marts.lines if line.loop == loop):
        row = by_line.get(name)
        if row is None:
            continue
        surface = wilson_interval(row.surface_converted_count, row.mature_count)
        verified = wilson_interval(row.verified_converted_count, row.mature_count)
        if surface and verified:
            conversions.append(Conversion(name, name_line(name), surface, verified))
    return conversions


def figure_classes(marts: Marts) -> list[ClassFigure]:
    """The open divergences, the class with most money at stake first."""
    days = [point.day for point in figure_days(marts)]
    by_day = {(row.divergence, row.business_day): row.cases_count for row in marts.class_days}
    return [
        ClassFigure(
            divergence=row.divergence,
            label=name_divergence(row.divergence),
            meaning=explain_divergence(row.divergence),
            legs=_list(name_system(leg) for leg in row.legs.split(",")),
            lines=_list(name_line(line) for line in row.lines.split(",")),
            owners=name_owners(row.owners),
            sub_classes=_sub_classes(row.divergence, marts),
            rows_count=row.rows_count,
            cases_count=row.cases_count,
            amount_at_stake_fen=row.amount_at_stake_fen,
            example=_example(row),
            days=tuple(by_day.get((row.divergence, day), 0) for day in days),
        )
        for row in marts.classes
    ]


def _list(names: Iterable[Words]) -> Words:
    listed = list(names)
    return Words("、".join(n.zh for n in listed), ", ".join(n.en for n in listed))


def _sub_classes(divergence: str, marts: Marts) -> Words | None:
    named = [
        (name_sub_class(row.sub_class), row.cases_count)
        for row in marts.sub_classes
        if row.divergence == divergence
    ]
    if not named:
        return None
    return Words(
        "、".join(f"{words.zh} {number}" for words, number in named),
        ", ".join(f"{words.en} {number}" for words, number in named),
    )


def _example(row: ClassRow) -> Words:
    """The row with most money at stake: masked key, day, channel, the two amounts."""
    where = Words(f"{mask_key(row.example_case_id)}", f"{mask_key(row.example_case_id)}")
    if row.example_day:
        where += Words(" · ", " · ") + write_day(row.example_day)
    where += Words(" · ", " · ") + name_channel(row.example_channel)
    claim, found = row.example_claim_fen, row.example_evidence_fen
    if claim is None and found is None:
        return where
    if claim is not None and claim == found:
        return where + f" · {write_fen(claim)}"
    return where + Words(
        f" · 宣称 {write_fen(claim)}，查得 {write_fen(found) if found is not None else '无'}",
        f" · claimed {write_fen(claim)}, found {write_fen(found) if found is not None else 'none'}",
    )


def figure_days(marts: Marts) -> list[DayPoint]:
    """Every day from the first entry to the last, also those on which nothing entered."""
    if not marts.days:
        return []
    rows = {row.business_day: row for row in marts.days}
    first, last = min(rows), max(rows)
    points = []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        row = rows.get(day)
        claimed = row.claimed_count if row else 0
        diverging = row.diverging_count if row else 0
        points.append(
            DayPoint(
                day=day,
                claimed_count=claimed,
                diverging_count=diverging,
                open_count=claimed - row.closed_count if row else 0,
                diverging=wilson_interval(diverging, claimed),
                maturity=row.mature_cases_count / row.cases_count if row else None,
            )
        )
    return points


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
