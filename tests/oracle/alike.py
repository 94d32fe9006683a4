"""What two judgements of the same cases differ in, told by kind."""

from collections import defaultdict
from collections.abc import Hashable, Mapping

Judgement = Mapping[tuple[str, str], Hashable]  # by case and leg, or what else is judged of a case


def differing(expected: Judgement, found: Judgement) -> set[tuple[str, str]]:
    """The cases and legs of which one says otherwise than the other, or nothing."""
    return {key for key in {*expected, *found} if expected.get(key) != found.get(key)}


def assert_alike(expected: Judgement, found: Judgement) -> None:
    """Fail with every kind of difference, the commonest first, and the first cases of each."""
    assert expected, "the oracle judged nothing"
    kinds: dict[tuple[str, Hashable, Hashable], list[str]] = defaultdict(list)
    for case, about in sorted(differing(expected, found)):
        here = expected.get((case, about), "nothing")
        there = found.get((case, about), "nothing")
        kinds[about, here, there].append(case)
    told = [
        f"{len(cases)} x {about}: oracle {here}, marts {there} ({', '.join(cases[:4])})"
        for (about, here, there), cases in sorted(kinds.items(), key=lambda kind: -len(kind[1]))
    ]
    assert not told, "\n".join(["the marts and the oracle differ:", *told])
