"""What the report says in words: the headline and one finding per business line.

Sentences are computed from the marts; the words scale, hold and stop do not belong here, they need
the verdict's rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.decisions.intervals import RateInterval, wilson_interval
from pipeline.report.notation import Words, write_cases, write_count, write_percent
from pipeline.report.rows import BreakRow, LineRow, Marts
from pipeline.report.words import (
    explain_divergence,
    name_line_and_loop,
    name_system,
    spell_lines,
    spell_loops,
)

# The default loop contract's target; a company sets its own per line as `target_closure`.
DEFAULT_TARGET_CLOSURE = 0.95
# Above this share of legs that no source can judge, a rate describes the sources, not the business:
# the data gate of the verdict uses the same 5 %.
MOST_UNKNOWN = 0.05

# The closure rate wanted of a loop of a business line: (business_line, loop) to rate.
Targets = Mapping[tuple[str, str], float]

State = Literal["carried", "unproven", "leaking", "unjudged"]

STATES: dict[State, Words] = {
    "carried": Words("真承接", "Carried"),
    "unproven": Words("未证实", "Unproven"),
    "leaking": Words("有断点", "Leaking"),
    "unjudged": Words("不能判断", "Cannot judge"),
}


@dataclass(frozen=True)
class LineFinding:
    """One loop of a line: how much of what it claims closed, and what breaks first."""

    row: LineRow
    name: Words
    state: State
    state_words: Words
    closure: RateInterval | None
    untouched: RateInterval | None
    target: float
    reason: Words
    grade: Literal["B", "C"]
    grade_words: Words

    @property
    def lost_amount_fen(self) -> int:
        """Claimed money of mature cases that did not close."""
        return self.row.claimed_amount_fen - self.row.closed_amount_fen


@dataclass(frozen=True)
class Headline:
    """The one sentence by its clauses, what it rests on, and the closure rate over all loops."""

    clauses: tuple[Words, ...]
    basis: Words
    closure: RateInterval | None

    @property
    def sentence(self) -> Words:
        """The clauses as one text; Chinese needs no space between them."""
        return Words(
            "".join(clause.zh for clause in self.clauses),
            " ".join(clause.en for clause in self.clauses),
        )


def find_lines(marts: Marts, targets: Targets) -> list[LineFinding]:
    """One finding per loop of a line, the one with most claimed cases first."""
    return [_find_line(row, marts, targets) for row in marts.lines]


def state_headline(lines: list[LineFinding], marts: Marts) -> Headline:
    """Say how many lines are carried, and where the gap between claimed and closed sits."""
    claimed = sum(line.row.claimed_count for line in lines)
    closed = sum(line.row.closed_count for line in lines)
    return Headline(
        clauses=_clauses(lines),
        basis=_basis(claimed, closed, marts),
        closure=wilson_interval(closed, claimed),
    )


def _find_line(row: LineRow, marts: Marts, targets: Targets) -> LineFinding:
    closure = wilson_interval(row.closed_count, row.claimed_count)
    target = targets.get((row.business_line, row.loop), DEFAULT_TARGET_CLOSURE)
    state = _state(closure, target)
    unknown = _share_unknown(row, marts)
    grade: Literal["B", "C"] = "B" if closure and unknown <= MOST_UNKNOWN else "C"
    return LineFinding(
        row=row,
        name=name_line_and_loop(row.business_line, row.loop, marts.loops),
        state=state,
        state_words=STATES[state],
        closure=closure,
        untouched=wilson_interval(row.closed_untouched_count, row.claimed_count),
        target=target,
        reason=_reason(row, marts),
        grade=grade,
        grade_words=Words("证据 B · 逐单核实", "Evidence B · verified")
        if grade == "B"
        else Words("证据 C · 仅前端", "Evidence C · surface only"),
    )


def _state(closure: RateInterval | None, target: float) -> State:
    if closure is None:
        return "unjudged"
    if closure.low >= target:
        return "carried"
    return "leaking" if closure.high < target else "unproven"


def _share_unknown(row: LineRow, marts: Marts) -> float:
    legs = [
        leg
        for leg in marts.legs
        if (leg.loop, leg.business_line) == (row.loop, row.business_line) and leg.is_mandatory
    ]
    owed = sum(leg.claimed_count for leg in legs)
    return sum(leg.unknown_count for leg in legs) / owed if owed else 1.0


def _reason(row: LineRow, marts: Marts) -> Words:
    if row.claimed_count == 0:
        return _reason_unjudged(row, marts)
    open_count = row.claimed_count - row.closed_count
    if open_count == 0:
        return Words("宣称成交的单据全部闭环。", "Every claimed case closed.")
    breaks = [
        item
        for item in marts.breaks
        if (item.loop, item.business_line) == (row.loop, row.business_line)
    ]
    first = _worst_break(breaks)
    if first is None:
        return Words(
            f"{write_count(open_count)} 单未闭环，各环节尚无定论。",
            f"{write_cases(open_count).en} did not close; no leg says why yet.",
        )
    what, share = describe_break(first), write_percent(first.cases_count / open_count, decimals=0)
    system = name_system(first.leg)
    return Words(
        f"先断在{_spaced(system.zh)}：{what.zh}，占未闭环的 {share}。",
        f"Breaks first at {_inside(system.en)}: {what.en}; {share} of what did not close.",
    )


def _reason_unjudged(row: LineRow, marts: Marts) -> Words:
    blind = [
        name_system(item.leg)
        for item in marts.blind
        if (item.loop, item.business_line) == (row.loop, row.business_line)
    ]
    if blind:
        return Words(
            f"无法核实：{'、'.join(b.zh for b in blind)}没有可用的数据源。",
            f"Cannot be verified: no usable source for {', '.join(b.en for b in blind)}.",
        )
    if row.all_claimed_count:
        return Words(
            f"{write_count(row.all_claimed_count)} 单宣称成交，期限都还没到。",
            f"{write_cases(row.all_claimed_count).en} claimed, none old enough to judge.",
        )
    return Words("前端没有宣称成交。", "The front end claims nothing here.")


def _worst_break(breaks: list[BreakRow]) -> BreakRow | None:
    """The commonest leak; what merely cannot be verified counts only where nothing leaks."""
    return max(
        breaks,
        key=lambda item: (item.truth == "refuted", item.cases_count, item.leg, item.divergence),
        default=None,
    )


def describe_break(item: BreakRow) -> Words:
    """Cases that leave the flow at one leg, as number and cause."""
    number = write_count(item.cases_count)
    if item.divergence != "none":
        meaning = explain_divergence(item.divergence)
        return Words(f"{number} 单{_spaced(meaning.zh)}", f"{number} {meaning.en}")
    if item.truth == "pending":
        return Words(f"{number} 单未到期", f"{number} not due yet")
    if item.truth == "unverifiable":
        return Words(f"{number} 单无法核实", f"{number} cannot be verified")
    return Words(f"{number} 单没有记录", f"{number} without a record")


def _clauses(lines: list[LineFinding]) -> tuple[Words, ...]:
    if not lines:
        return (Words("还没有任何业务单据", "There is no business case yet"),)
    every = spell_lines(len({line.row.business_line for line in lines}))
    if _are_lines_whole(lines):
        opening = Words(f"{every.zh}，", f"{every.en[0].upper()}{every.en[1:]};")
    else:
        loops = spell_loops(len(lines))
        opening = Words(
            f"{every.zh}、{loops.zh}，", f"{every.en[0].upper()}{every.en[1:]}, {loops.en};"
        )
    return opening, _say_carried(lines)


def _are_lines_whole(lines: list[LineFinding]) -> bool:
    """Whether each business line has one loop, so that a loop may be called a line."""
    return len({line.row.business_line for line in lines}) == len(lines)


def _say_carried(lines: list[LineFinding]) -> Words:
    total = len(lines)
    carried = sum(line.state == "carried" for line in lines)
    measure = "条" if _are_lines_whole(lines) else "个"
    if all(line.state == "unjudged" for line in lines):
        return Words("现在还不能判断", "too early to judge")
    if carried == 0:
        return Words(
            "还没有证实真正承接" if total == 1 else f"没有一{measure}真正承接",
            "not yet truly carried" if total == 1 else "not one is truly carried",
        )
    if carried == total:
        return Words(
            "真正承接了" if total == 1 else "全部真正承接",
            "truly carried" if total == 1 else "all truly carried",
        )
    number = spell_lines(carried) if measure == "条" else spell_loops(carried)
    return Words(
        f"真正承接的只有{number.zh.removesuffix('业务线').removesuffix('业务流程')}",
        f"only {number.en.partition(' ')[0]} {'is' if carried == 1 else 'are'} truly carried",
    )


def _basis(claimed: int, closed: int, marts: Marts) -> Words:
    if claimed == 0:
        return Words(
            "没有已成熟的宣称成交单，核实率无从算起。",
            "No claimed case is old enough to judge, so there is no rate to show.",
        )
    opening = Words(
        f"前端宣称成交 {write_count(claimed)} 单（均已到期可判），"
        f"各系统逐单核实闭环 {write_count(closed)} 单。",
        f"The front end claims {write_cases(claimed).en} that are old enough to judge; "
        f"{write_count(closed)} are verified in every system. ",
    )
    worst = _worst_break(marts.breaks)
    if worst is None:
        return opening
    line = name_line_and_loop(worst.business_line, worst.loop, marts.loops)
    what = describe_break(worst)
    return opening + Words(
        f"最大的断点在{_spaced(line.zh)}：{what.zh}。",
        f"The widest gap is in {_inside(line.en)}: {what.en}.",
    )


def _spaced(name: str) -> str:
    """Chinese typesetting puts a space between Chinese and Latin letters."""
    return f" {name}" if name[:1].isascii() else name


def _inside(name: str) -> str:
    """An English name inside a sentence: acronyms and product names keep their capitals."""
    first = name.split()[0]
    if first[1:].islower():
        return name[0].lower() + name[1:]
    return f"the {name}" if " " in name else name
