"""Choosing the cases that are broken: one fault each, and only where its finding is due in time.

Which faults there are stands in `faults.py` and `service_faults.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Generic, TypeVar

from pipeline.simulation.cases import Attempt
from pipeline.simulation.sabotage import Bench
from pipeline.simulation.truth import Expected

Attempted = TypeVar("Attempted", bound=Attempt)


def _always(case: Attempt) -> bool:
    return True


@dataclass(frozen=True)
class Fault(Generic[Attempted]):
    """One kind of fault and the single divergence it must show as.

    `settled` bounds the instant from which the finding is due, told on the healthy case. `retail`
    to `membership` are shares of the line's cases; `at_least` is how many even a small company
    gets, on its shallow line first.
    """

    name: str
    leg: str
    divergence: str
    act: Callable[[Attempted, Bench], None]
    settled: Callable[[Attempted], datetime]
    retail: float = 0.0
    flash_sale: float = 0.006
    fitting: float = 0.0
    membership: float = 0.0
    at_least: int = 5
    fits: Callable[[Attempted], bool] = _always
    sub_class: str | None = None

    @property
    def shares(self) -> Mapping[str, float]:
        """Share of the cases that are broken, by business line, the shallow line first."""
        return {
            "flash_sale": self.flash_sale, "retail": self.retail, "fitting": self.fitting,
            "membership": self.membership,
        }  # fmt: skip

    def is_open_to(self, case: Attempted, end: datetime) -> bool:
        """Whether a healthy case can be broken so, and the finding be due by `end`."""
        return self.fits(case) and self.settled(case) <= end


@dataclass(frozen=True)
class _Open(Generic[Attempted]):
    """A fault and the healthy cases that it can break."""

    fault: Fault[Attempted]
    cases: Sequence[Attempted]

    @property
    def unbroken(self) -> list[Attempted]:
        return [case for case in self.cases if not case.variant]


def plant_faults(
    cases: Sequence[Attempted],
    faults: Sequence[Fault[Attempted]],
    end: datetime,
    bench: Bench,
    rate: float | None = None,
) -> list[Expected]:
    """Break healthy cases of one loop, one fault each, and return what must be found.

    Only cases whose finding is due before `end` are broken: those after it stay pending. Without
    a `rate` each fault takes its shares; with one, that share of all cases which some fault can
    break is broken, every kind as often as it can be. The scarcest faults choose first, so that
    a short period still has some of each.
    """
    healthy = [case for case in cases if not case.variant]
    choices = [
        _Open(fault, [case for case in healthy if fault.is_open_to(case, end)]) for fault in faults
    ]
    choices.sort(key=lambda choice: len(choice.cases))
    if rate is None:
        counts = Counter(case.business_line for case in cases)
        chosen = _by_shares(choices, counts, bench.random)
    else:
        chosen = _by_rate(choices, rate, bench.random)
    return [_break(case, fault, bench) for fault, case in chosen]


def _break(case: Attempted, fault: Fault[Attempted], bench: Bench) -> Expected:
    settled_at = fault.settled(case)
    case.variant = fault.name
    fault.act(case, bench)
    return Expected(
        case.case_id, fault.leg, fault.divergence, fault.sub_class, fault.name,
        settled_at.isoformat(timespec="seconds"),
    )  # fmt: skip


def _by_shares(
    choices: Sequence[_Open[Attempted]], counts: Mapping[str, int], random: Random
) -> Iterator[tuple[Fault[Attempted], Attempted]]:
    """Each fault's shares of each line, topped up from what is left to its least number."""
    for choice in choices:
        unbroken = choice.unbroken
        shuffled = random.sample(unbroken, len(unbroken))
        chosen: list[Attempted] = []
        spare: list[Attempted] = []
        for line, share in choice.fault.shares.items():
            of_line = [case for case in shuffled if case.business_line == line]
            count = round(share * counts[line])
            chosen += of_line[:count]
            spare += of_line[count:]
        missing = max(0, choice.fault.at_least - len(chosen))
        for case in chosen + spare[:missing]:
            yield choice.fault, case


def _by_rate(
    choices: Sequence[_Open[Attempted]], rate: float, random: Random
) -> Iterator[tuple[Fault[Attempted], Attempted]]:
    """An equal part of the wanted number for each fault; what one cannot take, others do."""
    faults: dict[str, list[Fault[Attempted]]] = {}
    cases: dict[str, Attempted] = {}
    for choice in choices:
        for case in choice.cases:
            cases[case.case_id] = case
            faults.setdefault(case.case_id, []).append(choice.fault)
    wanted = round(rate * len(cases))
    for place, choice in enumerate(choices):
        unbroken = choice.unbroken
        part = min(len(unbroken), -(-wanted // (len(choices) - place)))
        for case in random.sample(unbroken, part):
            yield choice.fault, case
        wanted -= part
    # The last to choose may find that the earlier ones took its cases.
    left = sorted(case_id for case_id, case in cases.items() if not case.variant)
    for case_id in random.sample(left, wanted):
        yield random.choice(faults[case_id]), cases[case_id]
