"""The open divergences: by class, with an example row, and by the day that the case entered."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.decisions.intervals import RateInterval, wilson_interval
from pipeline.report.notation import Words, mask_key, write_day, write_fen
from pipeline.report.rows import ClassRow, Marts
from pipeline.report.words import (
    explain_divergence,
    name_channel,
    name_divergence,
    name_line_and_loop,
    name_owners,
    name_sub_class,
    name_system,
)


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

    @property
    def is_ripe(self) -> bool:
        """Whether every case of the day is old enough to judge.

        Where some are not, the judged ones are those that closed early: their rate flatters.
        """
        return self.maturity == 1


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
            lines=_list(_name_lines(row, marts)),
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


def _name_lines(row: ClassRow, marts: Marts) -> Iterator[Words]:
    for listed in row.lines.split(","):
        loop, _, line = listed.partition(":")
        yield name_line_and_loop(line, loop, marts.loops)


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
