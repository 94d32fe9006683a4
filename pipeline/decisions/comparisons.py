"""Whether one rate exceeds another by more than chance, and how often such findings are wrong."""

from collections.abc import Sequence
from math import erfc, sqrt


def chance_of_rise(
    earlier_successes: int, earlier_trials: int, later_successes: int, later_trials: int
) -> float | None:
    """The chance (one-sided p-value) of so great a rise from earlier to later if there were none.

    The pooled two-proportion z test (Fleiss, Levin and Paik 2003, Statistical Methods for Rates
    and Proportions, section 3.2, without the correction for continuity). None where either side
    was not tried; 1 where nothing varies, for then nothing rose.
    """
    for successes, trials in ((earlier_successes, earlier_trials), (later_successes, later_trials)):
        if not 0 <= successes <= trials:
            raise ValueError(f"{successes} successes of {trials} trials cannot be")
    if not earlier_trials or not later_trials:
        return None
    pooled = (earlier_successes + later_successes) / (earlier_trials + later_trials)
    if pooled in (0.0, 1.0):
        return 1.0
    rise = later_successes / later_trials - earlier_successes / earlier_trials
    spread = sqrt(pooled * (1 - pooled) * (1 / earlier_trials + 1 / later_trials))
    return 0.5 * erfc(rise / spread / sqrt(2))


def adjust_for_many(chances: Sequence[float | None]) -> list[float | None]:
    """Each p-value as it counts among all of them; those at most q are found at a false rate of q.

    Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57: the step-up procedure, as adjusted
    p-values. Where nothing was tested (None) nothing is said, and nothing is counted.
    """
    told = sorted((chance, place) for place, chance in enumerate(chances) if chance is not None)
    adjusted: list[float | None] = [None] * len(chances)
    least = 1.0
    for rank, (chance, place) in reversed(list(enumerate(told, start=1))):
        least = min(least, chance * len(told) / rank)
        adjusted[place] = least
    return adjusted
