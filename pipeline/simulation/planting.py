"""Choosing the cases that are broken: one fault each, and only where its finding is due in time.

Which faults there are stands in `faults.py` and `service_faults.py`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Generic, TypeVar

from pipeline.simulation.cases import Attempt
from pipeline.simulation.clerks import Chore, draw_size, is_weekend
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
    gets, on its shallow line first. What clerks do is done in sittings: `chore` is the list that
    they work off.
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
    chore: Chore[Attempted] | None = None

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
        (fault, [case for case in healthy if fault.is_open_to(case, end)]) for fault in faults
    ]
    choices.sort(key=lambda choice: len(choice[1]))
    if rate is None:
        counts = Counter(case.business_line for case in cases)
        chosen = _by_shares(choices, counts, bench.random)
    else:
        chosen = _by_rate(choices, rate, bench.random)
    return [
        _break(case, fault, bench)
        for fault, broken in chosen
        for case in _in_order_of_work(fault, broken, bench.random)
    ]


Choices = Sequence[tuple[Fault[Attempted], list[Attempted]]]
"""Each fault with cases: all that it could break, or those that it does."""


def _break(case: Attempted, fault: Fault[Attempted], bench: Bench) -> Expected:
    settled_at = fault.settled(case)
    case.variant = fault.name
    fault.act(case, bench)
    return Expected(
        case.case_id, fault.leg, fault.divergence, fault.sub_class, fault.name,
        settled_at.isoformat(timespec="seconds"),
    )  # fmt: skip


def _by_shares(
    choices: Choices[Attempted], counts: Mapping[str, int], random: Random
) -> Choices[Attempted]:
    """Each fault's shares of each line, topped up from what is left to its least number."""
    taken: set[str] = set()
    chosen = []
    for fault, cases in choices:
        free = [case for case in cases if case.case_id not in taken]
        broken = _take(fault, free, _wanted(fault, free, counts), random)
        taken |= {case.case_id for case in broken}
        chosen.append((fault, broken))
    return chosen


def _wanted(
    fault: Fault[Attempted], free: Sequence[Attempted], counts: Mapping[str, int]
) -> Counter[str]:
    """How many cases of each line a fault breaks, of those that are free to be broken."""
    spare = Counter(case.business_line for case in free)
    wanted = Counter[str]()
    for line, share in fault.shares.items():
        wanted[line] = min(round(share * counts[line]), spare[line])
    for line in fault.shares:
        short = max(0, fault.at_least - wanted.total())
        wanted[line] += min(short, spare[line] - wanted[line])
    return wanted


def _by_rate(choices: Choices[Attempted], rate: float, random: Random) -> Choices[Attempted]:
    """An equal part of the wanted number for each fault; what one cannot take, others do."""
    left = {case.case_id: case for _, cases in choices for case in cases}
    wanted = round(rate * len(left))
    chosen = []
    for place, (fault, cases) in enumerate(choices):
        part = -(-wanted // (len(choices) - place))
        free = [case for case in cases if case.case_id in left]
        drawn = random.sample(free, min(part, len(free)))
        broken = _take(fault, free, Counter(case.business_line for case in drawn), random)
        chosen.append((fault, broken))
        wanted -= len(broken)
        for case in broken:
            del left[case.case_id]
    # The last to choose may find that the earlier ones took its cases: theirs take others.
    rest = {case_id: left[case_id] for case_id in random.sample(sorted(left), wanted)}
    for (_, broken), (_, cases) in zip(chosen, choices, strict=True):
        extra = [case for case in cases if case.case_id in rest]
        broken += extra
        for case in extra:
            del rest[case.case_id]
    return chosen


def _take(
    fault: Fault[Attempted], cases: Sequence[Attempted], wanted: Counter[str], random: Random
) -> list[Attempted]:
    """So many cases of each line, at random; a clerk's a sitting at a time, weekdays first."""
    left, taken = Counter(wanted), list[Attempted]()

    def take(waiting: Sequence[Attempted], at_most: int) -> None:
        before = len(taken)
        for case in waiting:
            if left[case.business_line] and len(taken) < before + at_most:
                left[case.business_line] -= 1
                taken.append(case)

    shuffled = random.sample(cases, len(cases))
    if fault.chore is None:
        take(shuffled, len(shuffled))
        return taken
    waiting: dict[datetime, list[Attempted]] = {}
    for case in shuffled:
        waiting.setdefault(fault.chore.sitting(case), []).append(case)
    for at in _busiest_first(waiting, random):
        size = draw_size(random)
        # Nobody comes back for the last two or three.
        take(waiting[at], size if left.total() > size + 3 else left.total())
    # A sitting lasts longer where too much is left.
    done = {case.case_id for case in taken}
    take([case for case in shuffled if case.case_id not in done], len(shuffled))
    return taken


def _busiest_first(
    waiting: Mapping[datetime, Sequence[Attempted]], random: Random
) -> list[datetime]:
    """Sittings in an order of chance in which long lists and weekdays come early more often.

    Nobody sits down for two entries while longer lists wait.
    """
    rank = {
        at: (
            len(listed) < 3,
            is_weekend(at) and random.random() < 0.8,
            -(random.random() ** (1 / len(listed))),
        )
        for at, listed in waiting.items()
    }
    return sorted(waiting, key=lambda at: rank[at])


def _in_order_of_work(
    fault: Fault[Attempted], cases: Sequence[Attempted], random: Random
) -> list[Attempted]:
    """The cases as they are broken: a clerk's down each sitting's list, or up."""
    if fault.chore is None:
        return list(cases)
    chore, listed = fault.chore, dict[datetime, list[Attempted]]()
    for case in sorted(cases, key=lambda case: (chore.listed_at(case), case.number)):
        listed.setdefault(chore.sitting(case), []).append(case)
    return [
        case
        for at in sorted(listed)
        for case in (listed[at] if random.random() < 0.7 else reversed(listed[at]))
    ]
