"""What is expected of closure: shares of a whole that add up from days to lines and from legs."""

from expectations.judging import Expected, Suite, exactly, one_of, within

RATES = (
    "maturity_rate", "closure_rate", "closure_rate_untouched", "closure_rate_money",
    "closure_rate_untouched_money", "touchless_rate", "information_break_rate", "reflow_rate",
    "interruption_rate", "user_cancel_rate", "technical_rate", "backend_late_rate", "unknown_rate",
)  # fmt: skip

DAYS = Suite(
    table="rpt_closure_daily",
    frame=f"""
        select
            count(*) as rows_count,
            count(*) - count(distinct (business_day, business_line, loop, channel))
                as repeated_count,
            count(*) filter (
                where {" or ".join(f"not ({rate} between 0 and 1)" for rate in RATES)}
            ) as out_of_bounds_count,
            count(*) filter (
                where mature_claimed_count > mature_cases_count
                or closed_count > mature_claimed_count or closed_untouched_count > closed_count
                or broken_hand_offs_count > hand_offs_count
                or changes_shown_count > changes_count or interrupted_count > checkouts_count
            ) as more_than_the_whole_count,
            count(*) filter (
                where interrupted_count is distinct from
                user_cancel_count + technical_count + backend_late_count + unknown_count
            ) as causeless_count
        from marts.rpt_closure_daily
    """,
    expected=(
        Expected("closure_days_exist", "A day was counted.", **within("rows_count", low=1)),
        Expected(
            "a_closure_day_is_counted_once",
            "One row per day, line, loop and channel.",
            **exactly("repeated_count", 0),
        ),
        Expected(
            "closure_rates_are_shares",
            "Every rate lies in 0 to 1.",
            **exactly("out_of_bounds_count", 0),
        ),
        Expected(
            "what_closes_was_claimed",
            "No count exceeds the one that it is a part of.",
            **exactly("more_than_the_whole_count", 0),
        ),
        Expected(
            "an_interruption_has_one_cause",
            "The four causes add up to the interruptions.",
            **exactly("causeless_count", 0),
        ),
    ),
)

LINES = Suite(
    table="rpt_closure",
    frame="""
        with days as (
            select
                business_line,
                loop,
                sum(mature_claimed_count) as claimed,
                sum(closed_count) as closed
            from marts.rpt_closure_daily
            group by all
        ),
        chains as (
            select business_line, loop, product(pass_rate) as closure_rate
            from marts.rpt_closure_legs
            group by all
            having min(passed_count) > 0
        )
        select
            count(*) as lines_count,
            count(*) - count(distinct (business_line, loop)) as repeated_count,
            count(*) filter (
                where mature_claimed_count <> coalesce(days.claimed, 0)
                or closed_count <> coalesce(days.closed, 0)
            ) as untied_count,
            count(*) filter (where abs(chains.closure_rate - rpt_closure.closure_rate) > 1e-9)
                as unchained_count,
            count(*) filter (
                where not (
                    closure_rate_untouched_low <= closure_rate_untouched
                    and closure_rate_untouched <= closure_rate_untouched_high
                    and closure_rate_untouched_low >= 0 and closure_rate_untouched_high <= 1
                )
            ) as out_of_order_count,
            count(*) filter (where is_smooth_but_shallow is null) as unlabelled_count
        from marts.rpt_closure
        left join days using (business_line, loop)
        left join chains using (business_line, loop)
    """,
    expected=(
        Expected("closing_lines_exist", "A line was counted.", **within("lines_count", low=1)),
        Expected(
            "a_closing_line_is_counted_once",
            "One row per line and loop.",
            **exactly("repeated_count", 0),
        ),
        Expected(
            "days_add_up_to_their_line",
            "A line's closure is that of its days.",
            **exactly("untied_count", 0),
        ),
        Expected(
            "legs_multiply_to_closure",
            "The pass rates of a line's legs multiply to its closure rate.",
            **exactly("unchained_count", 0),
        ),
        Expected(
            "limits_enclose_closure",
            "Untouched closure lies between its limits, and they in 0 to 1.",
            **exactly("out_of_order_count", 0),
        ),
        Expected(
            "a_line_is_labelled",
            "Smooth but shallow is yes or no, never unknown.",
            **exactly("unlabelled_count", 0),
        ),
    ),
)

TARGETS = Suite(
    table="rpt_closure",
    frame="""
        select
            business_line || ' ' || loop as line,
            target_status,
            round(closure_rate_untouched, 4) as closure_rate_untouched,
            target_closure
        from marts.rpt_closure
        where mature_claimed_count > 0
        order by line
    """,
    expected=(
        Expected(
            "lines_close_as_their_contract_asks",
            "The share of claimed cases that close without hand-work is not below the target of"
            " the line's contract; too few cases to prove it are no offence.",
            **one_of("target_status", ("proven", "not yet provable")),
        ),
    ),
    may_be_empty=True,
)

TRUSTWORTHY = (DAYS, LINES)
AGREEING = (TARGETS,)
