"""A total shared out in whole numbers: parts that sum to it exactly, the same every time."""

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K", bound=int | None)


def share(total: int, weights: Mapping[K, int]) -> dict[K, int]:
    """A total in proportion to weights, in whole numbers that sum to it; the same every time.

    Without any weight above nothing, nobody has a share. What does not divide goes where the
    remainders are largest, then to the lowest numbers.
    """
    positive = {key: weight for key, weight in weights.items() if weight > 0}
    whole = sum(positive.values())
    shares = {key: total * weight // whole for key, weight in positive.items()}
    by_remainder = sorted(
        positive, key=lambda key: (-(total * positive[key] % whole), key is None, key or 0)
    )
    for key in by_remainder[: total - sum(shares.values())]:
        shares[key] += 1
    return shares
