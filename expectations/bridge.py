"""What is expected of the bridge: that it ties to the last fen, and starts from every claim."""

from expectations.judging import Expected, Suite, exactly, one_of
from expectations.words import BRIDGE_STEPS

TIED = Suite(
    table="rpt_bridge_daily",
    frame="""
        with cells as (
            select
                business_day,
                business_line,
                channel,
                any_value(residual_fen) as residual_fen,
                any_value(residual_count) as residual_count,
                sum(case when step = 'erp_total' then -amount_fen else amount_fen end)::bigint
                    as resummed_fen,
                sum(case when step = 'erp_total' then -cases_count else cases_count end)::bigint
                    as resummed_count
            from marts.rpt_bridge_daily
            group by all
        )
        select
            business_day,
            max(abs(residual_fen)) as residual_fen,
            max(abs(residual_count)) as residual_count,
            max(abs(resummed_fen)) as resummed_fen,
            max(abs(resummed_count)) as resummed_count
        from cells
        group by business_day
        order by business_day
    """,
    expected=(
        Expected(
            "the_bridge_ties_to_the_fen",
            "From the claimed total to the ERP's total, per day, line and channel: nothing is left"
            " over.",
            **exactly("residual_fen", 0),
        ),
        Expected(
            "the_bridge_ties_to_the_case",
            "From the claimed cases to the ERP's orders: nothing is left over.",
            **exactly("residual_count", 0),
        ),
        Expected(
            "the_bridge_ties_when_summed_again",
            "Its own steps, added up here, leave nothing over either.",
            **exactly("resummed_fen", 0),
        ),
        Expected(
            "the_bridge_ties_when_counted_again",
            "Its own steps, counted here, leave nothing over either.",
            **exactly("resummed_count", 0),
        ),
    ),
)

WORDS = Suite(
    table="rpt_bridge_daily",
    frame="select step, count(*) as rows_count from marts.rpt_bridge_daily group by step",
    expected=(
        Expected(
            "a_bridge_step_is_a_known_word",
            "Every step of the bridge has a name and a place.",
            **one_of("step", BRIDGE_STEPS),
        ),
    ),
)

COMPLETE = Suite(
    table="rpt_bridge_daily",
    frame="""
        select
            (
                -- An amount that the front end did not say is in the case, not in its claim.
                select coalesce(sum(fct_case_legs.evidence_amount_fen), 0)::bigint
                from marts.fct_case_legs
                inner join marts.fct_cases using (case_id)
                where fct_case_legs.leg = 'submitted' and fct_cases.is_claimed
            ) - (
                select coalesce(sum(amount_fen), 0)::bigint
                from marts.rpt_bridge_daily where step = 'surface_total'
            ) as unbridged_fen
    """,
    expected=(
        Expected(
            "the_bridge_starts_from_every_claim",
            "What the front end claims, case by case, is where the bridge starts.",
            **exactly("unbridged_fen", 0),
        ),
    ),
)

TRUSTWORTHY = (TIED, WORDS, COMPLETE)
