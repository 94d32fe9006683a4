"""What is expected of the daily rates: shares of a whole, with their bounds in order."""

from expectations import tolerances
from expectations.judging import Expected, Suite, exactly, within

RATES = (
    "maturity_rate", "surface_conversion", "verified_conversion", "verified_conversion_low",
    "verified_conversion_high", "verified_conversion_wilson_low",
    "verified_conversion_wilson_high", "surface_precision", "backend_recall", "closure_rate",
    "closure_rate_untouched", "closure_rate_money", "interruption_rate",
)  # fmt: skip

IN_BOUNDS = Suite(
    table="rpt_conversion_daily",
    frame=f"""
        select
            count(*) as rows_count,
            count(*) - count(distinct (business_day, business_line, channel)) as repeated_count,
            count(*) filter (
                where {" or ".join(f"not ({rate} between 0 and 1)" for rate in RATES)}
            ) as out_of_bounds_count,
            count(*) filter (
                where verified_conversion_low > verified_conversion
                or verified_conversion > verified_conversion_high
            ) as out_of_order_count,
            count(*) filter (
                where mature_cases_count > cases_count or closed_count > mature_claimed_count
                or claimed_and_evidenced_count > least(claimed_count, evidenced_count)
            ) as more_than_the_whole_count
        from marts.rpt_conversion_daily
    """,
    expected=(
        Expected("days_exist", "At least one day was counted.", **within("rows_count", low=1)),
        Expected(
            "a_day_is_counted_once",
            "One row per day, line and channel.",
            **exactly("repeated_count", 0),
        ),
        Expected(
            "rates_are_shares", "Every rate lies in 0 to 1.", **exactly("out_of_bounds_count", 0)
        ),
        Expected(
            "bounds_enclose_the_rate",
            "The verified rate lies between all unknown lost and all unknown won.",
            **exactly("out_of_order_count", 0),
        ),
        Expected(
            "parts_are_not_more_than_the_whole",
            "No count exceeds the one that it is a part of.",
            **exactly("more_than_the_whole_count", 0),
        ),
    ),
)

KNOWABLE = Suite(
    table="fct_cases",
    frame="""
        select
            business_line,
            count(*) as cases_count,
            count(*) filter (where is_unknown) as unknown_count,
            round(1 - unknown_count / cases_count, 4) as known_share
        from marts.fct_cases
        where is_mature
        group by business_line
        order by business_line
    """,
    expected=(
        Expected(
            "outcomes_are_known",
            "Of the cases old enough to judge, their outcome can be told. At least"
            f" **{tolerances.CASES_KNOWABLE.least:.0%}** per line."
            f" {tolerances.CASES_KNOWABLE.reason}",
            **within("known_share", low=tolerances.CASES_KNOWABLE.least, high=1),
        ),
    ),
)

TRUSTWORTHY = (IN_BOUNDS,)
AGREEING = (KNOWABLE,)
