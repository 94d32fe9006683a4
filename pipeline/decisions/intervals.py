"""Confidence intervals of rates that are counted, not sampled anew: pure functions of counts."""

from dataclasses import dataclass
from math import log, sqrt

NORMAL_QUANTILE_975 = 1.959963984540054  # two-sided 95 %
TAIL = 0.025  # either tail of a two-sided 95 % interval

# No company waits for more: beyond a thousand million cases a gate reads as out of reach.
MOST_CASES = 10**9


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


def clopper_pearson_interval(successes: int, trials: int) -> RateInterval | None:
    """The exact two-sided 95 % interval of `successes` out of `trials`; None where none was tried.

    Clopper and Pearson 1934, Biometrika 26. Exact and not Wilson's where something is *passed*:
    whatever the true rate, the lower limit lies above it in at most 2.5 % of all samples, so no
    gate is passed by luck more often than that.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials cannot be")
    if trials == 0:
        return None
    failures = trials - successes
    low = 0.0 if successes == 0 else _beta_quantile(TAIL, successes, failures + 1)
    high = 1.0 if failures == 0 else _beta_quantile(1 - TAIL, successes + 1, failures)
    return RateInterval(successes, trials, successes / trials, low, high)


def cases_needed(successes: int, trials: int, gate: float) -> int | None:
    """How many cases it takes, `trials` at least, for the lower limit to reach `gate`.

    The rate is taken to stay as observed, `successes` to grow with the cases (and so to be a
    fraction between them). None where nothing was observed, where the observed rate does not
    exceed the gate (a rate of just the gate never passes it), and beyond MOST_CASES.
    """
    if not 0 <= successes <= trials or not 0 < gate < 1:
        raise ValueError(f"{successes} successes of {trials} trials cannot pass a gate of {gate}")
    if trials == 0 or successes / trials <= gate:
        return None
    passing = trials
    while not _passes(successes / trials, passing, gate):
        passing *= 2
        if passing > MOST_CASES:
            return None
    failing = max(trials - 1, passing // 2)
    while passing - failing > 1:
        middle = (passing + failing) // 2
        if _passes(successes / trials, middle, gate):
            passing = middle
        else:
            failing = middle
    return passing


def _passes(rate: float, trials: int, gate: float) -> bool:
    """Whether a rate observed over so many trials has its lower limit at the gate or above."""
    if rate == 1.0:
        # n of n: the limit is the n-th root of the tail.
        return trials >= log(TAIL) / log(gate)
    return _beta_quantile(TAIL, rate * trials, (1 - rate) * trials + 1) >= gate


def _beta_quantile(share: float, a: float, b: float) -> float:
    """What `scipy.stats.beta.ppf` gives, a hundred times faster on single numbers."""
    from scipy.special import betaincinv  # a quarter of a second that every command would pay

    return float(betaincinv(a, b, share))
