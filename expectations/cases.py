"""What is expected of the cases."""

from expectations.judging import Expected, Suite, exactly, within

TRUSTWORTHY = Suite(
    table="fct_cases",
    frame="""
        select
            count(*) as cases_count,
            count(*) - count(distinct case_id) as repeated_count,
            count(*) filter (
                where case_id is null or loop is null or business_line is null
                or entered_at is null or business_day is null or as_of is null
            ) as without_key_count,
            count(*) filter (
                where is_claimed is null or is_abandoned is null or is_mature is null
                or surface_converted is null or verified_converted is null or is_closed is null
            ) as undecided_count,
            count(*) filter (where is_abandoned and is_claimed) as abandoned_and_claimed_count,
            count(*) filter (where is_closed and not is_claimed) as closed_unclaimed_count
        from marts.fct_cases
    """,
    expected=(
        Expected("cases_exist", "At least one case was found.", **within("cases_count", low=1)),
        Expected(
            "a_case_has_one_row", "No case number is counted twice.", **exactly("repeated_count", 0)
        ),
        Expected(
            "a_case_has_its_keys",
            "Every case says which it is, of which loop and line, and when it was entered.",
            **exactly("without_key_count", 0),
        ),
        Expected(
            "a_case_is_decided",
            "Claimed, abandoned, mature, converted, closed: each is yes or no, never unknown.",
            **exactly("undecided_count", 0),
        ),
        Expected(
            "no_abandoned_case_is_claimed",
            "What the front end claims as done is never counted as given up.",
            **exactly("abandoned_and_claimed_count", 0),
        ),
        Expected(
            "only_claimed_cases_are_closed",
            "A loop closes only where the front end claims its act.",
            **exactly("closed_unclaimed_count", 0),
        ),
    ),
)
