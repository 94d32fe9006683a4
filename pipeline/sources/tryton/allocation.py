"""A payment split over what it pays: parts that sum to it exactly, none of them negative."""

from collections.abc import Mapping
from decimal import Decimal

from pipeline.sources.sharing import share

# Money has at least so many decimals here: fen.
DECIMALS = 2


def allocate(amount: Decimal, weights: Mapping[int, Decimal]) -> dict[int, Decimal]:
    """An amount that is not negative, shared out in proportion to the weights.

    A weight below zero counts nothing; where no weight counts, all count alike.
    """
    decimals = max(DECIMALS, -int(amount.as_tuple().exponent))
    units = int(amount.scaleb(decimals))
    counted = {of: _whole(weight) for of, weight in weights.items()}
    shares = share(units, counted) or share(units, dict.fromkeys(counted, 1))
    return {of: Decimal(shares.get(of, 0)).scaleb(-decimals) for of in sorted(counted)}


def _whole(weight: Decimal) -> int:
    """A weight as a whole number: sums of money have at most so many decimals."""
    return int(weight.scaleb(6))
