"""Claimed and verified leg by leg: over all lines, line by line, and for whole sessions."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.decisions.intervals import RateInterval, wilson_interval
from pipeline.report.notation import Words
from pipeline.report.rows import LegRow, Marts
from pipeline.report.words import (
    name_leg,
    name_line,
)


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


# A line that sells or takes bookings converts by those; one that only enrols, by enrolling.
ACTS = ("order", "booking", "member", "aftersale")


def list_legs(legs: list[LegRow], loop: str) -> list[str]:
    """The legs of a loop in the order of its contracts."""
    ranks: dict[str, int] = {}
    for leg in legs:
        if leg.loop == loop:
            ranks[leg.leg] = min(leg.leg_rank, ranks.get(leg.leg, leg.leg_rank))
    return sorted(ranks, key=lambda name: (ranks[name], name))


def is_mandatory_leg(leg: str, loop: str, legs: list[LegRow]) -> bool:
    """Whether any line of the loop owes the leg."""
    return any(row.is_mandatory for row in legs if (row.loop, row.leg) == (loop, leg))


def figure_funnel(marts: Marts, loop: str) -> list[FunnelStep]:
    """The legs of one loop over all its lines: claimed, and verified among the claimed."""
    steps = []
    for leg in list_legs(marts.legs, loop):
        rows = [row for row in marts.legs if (row.loop, row.leg) == (loop, leg)]
        steps.append(
            FunnelStep(
                leg=leg,
                name=name_leg(leg),
                is_mandatory=is_mandatory_leg(leg, loop, marts.legs),
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
        for leg in list_legs(marts.legs, loop)
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
    """Both conversions per line with mature sessions that convert by the loop, as lines are listed.

    Sessions are counted once per line: they stand with the loop whose act converts them.
    """
    by_line = {row.business_line: row for row in marts.sessions}
    conversions = []
    for name in (line.business_line for line in marts.lines if line.loop == loop):
        row = by_line.get(name)
        if row is None or _act(name, marts) != loop:
            continue
        surface = wilson_interval(row.surface_converted_count, row.mature_count)
        verified = wilson_interval(row.verified_converted_count, row.mature_count)
        if surface and verified:
            conversions.append(Conversion(name, name_line(name), surface, verified))
    return conversions


def _act(line: str, marts: Marts) -> str | None:
    loops = {row.loop for row in marts.lines if row.business_line == line}
    return next((act for act in ACTS if act in loops), None)
