"""A payment split over what it pays: parts that sum to it exactly, none of them negative."""

from collections.abc import Mapping
from decimal import Decimal

# Money has at least so many decimals here: fen.
DECIMALS = 2


def allocate(amount: Decimal, weights: Mapping[int, Decimal]) -> dict[int, Decimal]:
    """An amount that is not negative, shared out in proportion to the weights.

    What rounding leaves goes to those who lost most by it, among equals to the lesser number, so
    that the same payment is always shared out alike. A weight below zero counts nothing; where no
    weight counts, all count alike.
    """
    if not weights:
        return {}
    decimals = max(DECIMALS, -int(amount.as_tuple().exponent))
    units = int(amount.scaleb(decimals))
    counted = {of: _whole(max(weight, Decimal(0))) for of, weight in sorted(weights.items())}
    if not any(counted.values()):
        counted = dict.fromkeys(counted, 1)
    total = sum(counted.values())
    shares = {of: divmod(units * weight, total) for of, weight in counted.items()}
    left = units - sum(share for share, _ in shares.values())
    first = sorted(shares, key=lambda of: (-shares[of][1], of))[:left]
    return {
        of: Decimal(share + (of in first)).scaleb(-decimals) for of, (share, _) in shares.items()
    }


def _whole(weight: Decimal) -> int:
    """A weight as a whole number: sums of money have at most so many decimals."""
    return int(weight.scaleb(6))
