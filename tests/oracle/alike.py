"""What two judgements of the same cases differ in, told by kind."""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import NamedTuple

Judgement = Mapping[tuple[str, str], Hashable]  # by case and leg, or what else is judged of a case


class Kind(NamedTuple):
    """One way to differ, whatever the case."""

    loop: str
    about: str
    expected: Hashable
    found: Hashable

    def __str__(self) -> str:
        return f"{self.loop} {self.about}: oracle {self.expected}, marts {self.found}"


def kinds_of(expected: Judgement, found: Judgement) -> dict[Kind, list[str]]:
    """The cases of every kind of difference; what one of them does not judge is `nothing`."""
    kinds: dict[Kind, list[str]] = defaultdict(list)
    for case, about in sorted({*expected, *found}):
        here = expected.get((case, about), "nothing")
        there = found.get((case, about), "nothing")
        if here != there:
            kinds[Kind(case.partition(":")[0], about, here, there)].append(case)
    return kinds


def assert_alike(expected: Judgement, found: Judgement) -> None:
    """Fail with every kind of difference, the commonest first, and the first cases of each."""
    assert expected, "the oracle judged nothing"
    kinds = kinds_of(expected, found)
    told = [
        f"{len(kinds[kind])} x {kind} ({', '.join(kinds[kind][:4])})"
        for kind in sorted(kinds, key=lambda kind: -len(kinds[kind]))
    ]
    assert not told, "\n".join(["the marts and the oracle differ:", *told])
