"""The flow of claimed cases through the systems, and what leaves it where."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipeline.report.figures.legs import is_mandatory_leg, list_legs
from pipeline.report.notation import Words
from pipeline.report.rows import BreakRow, LineRow, Marts
from pipeline.report.words import (
    name_divergence,
    name_line,
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


def figure_flows(marts: Marts) -> list[Flow]:
    """One flow per loop that has a mature claimed case."""
    loops = list(dict.fromkeys(line.loop for line in marts.lines if line.claimed_count))
    return [_figure_flow(loop, marts) for loop in loops]


def _figure_flow(loop: str, marts: Marts) -> Flow:
    lines = [line for line in marts.lines if line.loop == loop]
    legs = [leg for leg in list_legs(marts.legs, loop) if is_mandatory_leg(leg, loop, marts.legs)]
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
