"""What the report's queries bring back: one frozen dataclass per result row.

`claimed`, `closed` and `diverging` figures are of mature cases, divergences are the open ones.
"""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True)
class LineRow:
    """One business line of one loop; the `claimed` and `closed` figures are of mature cases."""

    loop: str
    business_line: str
    cases_count: int
    abandoned_count: int
    backend_only_count: int
    mature_cases_count: int
    all_claimed_count: int
    claimed_count: int
    closed_count: int
    closed_untouched_count: int
    claimed_amount_fen: int
    closed_amount_fen: int


@dataclass(frozen=True)
class LegRow:
    """One leg of one line's contract over its mature claimed cases that owe the leg.

    A claim that no back-end record answers is not verified by the claim itself, so `submitted`
    counts the cases that some back-end system knows.
    """

    loop: str
    business_line: str
    leg: str
    leg_rank: int
    is_mandatory: bool
    claimed_count: int
    verified_count: int
    late_count: int
    refuted_count: int
    unknown_count: int


@dataclass(frozen=True)
class BreakRow:
    """Mature claimed cases of one line that leave the flow at one leg, by truth and class.

    A case leaves at its first mandatory leg, in contract order, that is owed and neither verified
    nor late. `divergence` is `none` where the leg is pending or cannot be verified.
    """

    loop: str
    business_line: str
    leg: str
    truth: str
    divergence: str
    cases_count: int
    amount_fen: int


@dataclass(frozen=True)
class HandRow:
    """Mature claimed cases of one line still in the flow after a leg that a human made."""

    loop: str
    business_line: str
    leg: str
    cases_count: int


@dataclass(frozen=True)
class BlindRow:
    """A mandatory leg of one line that no claimed case could be verified on."""

    loop: str
    business_line: str
    leg: str
    cases_count: int


@dataclass(frozen=True)
class SessionRow:
    """Mature sessions of one line: how many converted on the surface, how many in truth."""

    business_line: str
    mature_count: int
    surface_converted_count: int
    verified_converted_count: int


@dataclass(frozen=True)
class ClassRow:
    """One divergence class: its open rows, with the row that has most money at stake.

    `lines` lists `loop:business_line`, separated by commas.
    """

    divergence: str
    legs: str
    owners: str
    lines: str
    rows_count: int
    cases_count: int
    amount_at_stake_fen: int
    example_case_id: str
    example_line: str
    example_channel: str | None
    example_leg: str
    example_day: date | None
    example_claim_fen: int | None
    example_evidence_fen: int | None
    example_lag_seconds: int | None
    example_has_evidence: bool


@dataclass(frozen=True)
class SubClassRow:
    """Open rows of one divergence class by its sub-class, where the class has any."""

    divergence: str
    sub_class: str
    cases_count: int


@dataclass(frozen=True)
class ClassDayRow:
    """Cases with an open divergence of one class, by the day that the case entered."""

    divergence: str
    business_day: date
    cases_count: int


@dataclass(frozen=True)
class DayRow:
    """One business day of entry; `claimed`, `closed` and `diverging` are of mature cases."""

    business_day: date
    cases_count: int
    mature_cases_count: int
    claimed_count: int
    closed_count: int
    diverging_count: int


@dataclass(frozen=True)
class BridgeRow:
    """One step of the bridge from the surface total to the ERP total, over all days."""

    step: str
    step_rank: int
    amount_fen: int
    cases_count: int


@dataclass(frozen=True)
class ResidualRow:
    """What the bridge leaves unexplained, summed without sign over its cells."""

    cells_count: int
    residual_fen: int
    residual_count: int


@dataclass(frozen=True)
class WatermarkRow:
    """One landed table: whether it is connected and up to when it is known complete."""

    table_name: str
    is_connected: bool
    complete_from: datetime | None
    complete_until: datetime | None
    rows_count: int
    quarantined_count: int


@dataclass(frozen=True)
class Marts:
    """Everything that the report draws, read in one go from one published file."""

    as_of: datetime | None
    lines: list[LineRow]
    legs: list[LegRow]
    breaks: list[BreakRow]
    hands: list[HandRow]
    blind: list[BlindRow]
    sessions: list[SessionRow]
    classes: list[ClassRow]
    sub_classes: list[SubClassRow]
    class_days: list[ClassDayRow]
    healed_count: int
    days: list[DayRow]
    bridge: list[BridgeRow]
    residual: ResidualRow
    watermarks: list[WatermarkRow]

    @property
    def loops(self) -> list[str]:
        """The loops that the report tells of, the busiest first."""
        return list(dict.fromkeys(line.loop for line in self.lines))
