"""What the pipeline found, held against what was planted. The one reader of the truth."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from pipeline.simulation.truth import TRUTH, Expected, read_truth

SHOWN_EXAMPLES = 5
UNTRACKED_DAYS = """
    select business_day
    from marts.rpt_tracking_gap
    where source_group = 'all' and verdict = 'tracking_lost'
    order by business_day
"""

OPEN_DIVERGENCES = """
    select case_id, leg, divergence, sub_class
    from marts.fct_divergences
    where healed_at is null
    order by case_id, leg
"""


@dataclass(frozen=True)
class Tally:
    """One divergence class. A rate is None where there is nothing to divide by."""

    divergence: str
    planted: int
    found: int
    true_positives: int

    @property
    def precision(self) -> float | None:
        return self.true_positives / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        return self.true_positives / self.planted if self.planted else None

    def describe(self) -> str:
        """Its rates in words."""
        rates = f"precision {_rate(self.precision)}, recall {_rate(self.recall)}"
        return f"{rates} ({self.planted} planted, {self.found} found)"

    def cells(self) -> tuple[str, ...]:
        """Its row as text: class, planted, found, precision, recall."""
        return (
            self.divergence, str(self.planted), str(self.found),
            _rate(self.precision), _rate(self.recall),
        )  # fmt: skip


@dataclass(frozen=True)
class Score:
    """Per class and in all; `missed` was planted and not found, `wrong` found and not planted.

    A finding counts where case, leg and class agree, and for differing amounts the sub-class.
    """

    tallies: tuple[Tally, ...]
    missed: tuple[Expected, ...]
    wrong: tuple[Expected, ...]

    @property
    def total(self) -> Tally:
        return Tally(
            "all",
            planted=sum(tally.planted for tally in self.tallies),
            found=sum(tally.found for tally in self.tallies),
            true_positives=sum(tally.true_positives for tally in self.tallies),
        )

    @property
    def is_perfect(self) -> bool:
        return bool(self.tallies) and not self.missed and not self.wrong

    def of(self, divergence: str) -> Tally:
        """The tally of one class, which nobody may have planted or found."""
        tallies = (tally for tally in self.tallies if tally.divergence == divergence)
        return next(tallies, Tally(divergence, planted=0, found=0, true_positives=0))

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Table rows of text: class, planted, found, precision, recall; the total comes last."""
        for tally in (*self.tallies, self.total):
            yield tally.cells()

    def table(self) -> str:
        """The rows as aligned text, with the first cases that were missed or wrong."""
        lines = [("divergence", "planted", "found", "precision", "recall"), *self.rows()]
        width = max(len(line[0]) for line in lines)
        text = [
            f"{line[0]:<{width}}" + "".join(f"{cell:>10}" for cell in line[1:]) for line in lines
        ]
        for title, listed in (("missed", self.missed), ("wrong", self.wrong)):
            text += [f"{title}: {_describe(row)}" for row in listed[:SHOWN_EXAMPLES]]
            if len(listed) > SHOWN_EXAMPLES:
                text.append(f"{title}: and {len(listed) - SHOWN_EXAMPLES} more")
        return "\n".join(text)


def score(company_folder: Path, published: Path) -> Score:
    """Compare the open divergences of a published file with the company's truth.

    Raises FileNotFoundError where the company was not simulated or nothing was published.
    """
    if not published.exists():
        raise FileNotFoundError(f"{published}: nothing was published")
    with duckdb.connect(str(published), read_only=True) as connection:
        found = [Expected(*row) for row in connection.execute(OPEN_DIVERGENCES).fetchall()]
    return compare(read_truth(company_folder / TRUTH), found)


def untracked_days(published: Path) -> list[date]:
    """The days on which, as published, tracking lost openings that WeChat counted."""
    with duckdb.connect(str(published), read_only=True) as connection:
        return [day for (day,) in connection.execute(UNTRACKED_DAYS).fetchall()]


def compare(planted: Iterable[Expected], found: Iterable[Expected]) -> Score:
    """Hold findings against the truth, one by one."""
    wanted = {_identity(row): row for row in planted}
    seen = {_identity(row): row for row in found}
    right = wanted.keys() & seen.keys()
    planted_counts = Counter(row.divergence for row in wanted.values())
    found_counts = Counter(row.divergence for row in seen.values())
    right_counts = Counter(wanted[key].divergence for key in right)
    tallies = tuple(
        Tally(name, planted_counts[name], found_counts[name], right_counts[name])
        for name in sorted(planted_counts | found_counts)
    )
    return Score(
        tallies=tallies,
        missed=tuple(sorted(wanted[key] for key in wanted.keys() - right)),
        wrong=tuple(sorted(seen[key] for key in seen.keys() - right)),
    )


def _identity(row: Expected) -> tuple[str, str, str, str | None]:
    sub_class = row.sub_class if row.divergence == "amount_mismatch" else None
    return row.case_id, row.leg, row.divergence, sub_class


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.3f}"


def _describe(row: Expected) -> str:
    sub_class = f" ({row.sub_class})" if row.sub_class else ""
    fault = f", planted as {row.fault}" if row.fault else ""
    return f"{row.case_id} {row.leg}: {row.divergence}{sub_class}{fault}"
