"""Confidence intervals of rates that are counted, not sampled anew: pure functions of counts."""

from dataclasses import dataclass
from math import sqrt

NORMAL_QUANTILE_975 = 1.959963984540054  # two-sided 95 %


@dataclass(frozen=True)
class RateInterval:
    """A rate in 0..1 with its two-sided 95 % interval, and the counts it comes from."""

    successes: int
    trials: int
    rate: float
    low: float
    high: float


def wilson_interval(successes: int, trials: int) -> RateInterval | None:
    """The Wilson score interval of `successes` out of `trials`; None where nothing was tried.

    Wilson and not the textbook normal interval: ours often sit near 0 or 1 on a few dozen cases,
    where the normal one leaves 0..1 and covers far less than it says (Brown, Cai, DasGupta 2001).
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials cannot be")
    if trials == 0:
        return None
    z = NORMAL_QUANTILE_975
    rate = successes / trials
    spread = 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / spread
    half = z * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials)) / spread
    # At 0 and at 1 the algebra gives the bound exactly; floats leave 1e-17 of it.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return RateInterval(successes, trials, rate, low, high)
