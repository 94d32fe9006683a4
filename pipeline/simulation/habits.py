"""How the simulated WeChat behaves where the real one may behave in several ways.

The defaults are those of a good day: figures are whole when asked for, and anybody may call. Faults
that come by a schedule are in `outages.py`.
"""

from dataclasses import dataclass
from datetime import time


@dataclass(frozen=True)
class Habits:
    """Yesterday's figures are refused with 61503 until one hour of the day (Beijing), then empty
    until another, then there. `is_delayed_at_first` lets the article figures lag on the first pull.
    An account with a `whitelist` gives no token to other addresses."""

    refused_until: time = time.min
    empty_until: time = time.min
    is_delayed_at_first: bool = False
    whitelist: frozenset[str] = frozenset()
    calls_a_day: int = 10_000
