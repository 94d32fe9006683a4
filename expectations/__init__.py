"""What "the funnel agrees with the back end" means, in business words: one module per subject.

`TRUSTWORTHY` guards publishing: whether the comparison itself can be believed. `AGREEING` tells:
whether the systems agree, each against a tolerance that states its reason.
"""

from expectations import (
    bridge,
    cases,
    closure,
    depth,
    divergences,
    entrants,
    legs,
    rates,
    sources,
    visits,
)

TRUSTWORTHY = (
    cases.TRUSTWORTHY,
    *legs.TRUSTWORTHY,
    *divergences.TRUSTWORTHY,
    *bridge.TRUSTWORTHY,
    *rates.TRUSTWORTHY,
    *closure.TRUSTWORTHY,
    *depth.TRUSTWORTHY,
    *entrants.TRUSTWORTHY,
    *sources.TRUSTWORTHY,
)
AGREEING = (
    *legs.AGREEING,
    *rates.AGREEING,
    *closure.AGREEING,
    *depth.AGREEING,
    *sources.AGREEING,
    *visits.AGREEING,
)
