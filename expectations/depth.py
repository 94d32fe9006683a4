"""What is expected of integration depth: levels of the ladder that its gates bear out."""

from expectations.judging import Expected, Suite, exactly, one_of, within
from expectations.words import GATES

STATUSES = ("proven", "not yet provable", "not met")
RATES = (
    "exists_rate", "exists_rate_low", "interface_rate", "interface_rate_low", "key_carried_rate",
    "key_carried_rate_low", "agreeing_rate", "agreeing_rate_low", "reflowed_rate",
    "reflowed_rate_low", "in_time_rate", "duplicates_rate", "healed_within_24h_rate",
    "resolved_within_sla_rate",
)  # fmt: skip

LEGS = Suite(
    table="rpt_integration_depth",
    frame=f"""
        select
            count(*) as legs_count,
            count(*) - count(distinct (business_line, loop, leg)) as repeated_count,
            count(*) filter (
                where (level between 0 and 4 and level_proven between 0 and 4) is not true
            ) as off_the_ladder_count,
            count(*) filter (where level_proven > level) as overproven_count,
            count(*) filter (
                where {" or ".join(f"not ({rate} between 0 and 1)" for rate in RATES)}
            ) as out_of_bounds_count,
            (
                select count(*)
                from marts.dim_legs
                left join marts.rpt_integration_depth using (business_line, loop, leg)
                where rpt_integration_depth.level is null
            ) as unrated_count
        from marts.rpt_integration_depth
    """,
    expected=(
        Expected("rated_legs_exist", "At least one leg was rated.", **within("legs_count", low=1)),
        Expected("a_leg_is_rated_once", "One row per leg.", **exactly("repeated_count", 0)),
        Expected(
            "a_level_is_on_the_ladder",
            "Every leg stands on one of the levels 0 to 4.",
            **exactly("off_the_ladder_count", 0),
        ),
        Expected(
            "nothing_is_proven_that_is_not_observed",
            "The level that is proven is never above the one that is read.",
            **exactly("overproven_count", 0),
        ),
        Expected(
            "depth_rates_are_shares",
            "Every rate and limit lies in 0 to 1.",
            **exactly("out_of_bounds_count", 0),
        ),
        Expected(
            "every_leg_of_a_contract_is_rated",
            "No leg that a contract asks for is left out of the ladder.",
            **exactly("unrated_count", 0),
        ),
    ),
)

GATES_BORNE_OUT = Suite(
    table="rpt_depth_gates",
    frame="""
        select
            gate,
            status,
            count(*) filter (
                where status = 'proven' and is_by_lower_limit
                and (lower_limit >= bar) is not true
                or status = 'proven' and subjects_count > 0 and (rate >= bar) is not true
                or status = 'not met' and (rate < bar) is not true
                or status = 'not yet provable' and (rate < bar or cases_still_needed <= 0)
            ) as unfounded_count
        from marts.rpt_depth_gates
        group by gate, status
    """,
    expected=(
        Expected("a_gate_is_a_known_word", "No other gate.", **one_of("gate", GATES)),
        Expected("a_status_is_a_known_word", "No other status.", **one_of("status", STATUSES)),
        Expected(
            "a_gate_is_passed_by_its_figures",
            "Proven, not met, not yet provable: each as the rate, its lower limit and the bar say.",
            **exactly("unfounded_count", 0),
        ),
    ),
)

LINES = Suite(
    table="rpt_line_depth",
    frame="""
        with least as (
            select business_line, loop, min(level) as level, min(level_proven) as level_proven
            from marts.rpt_integration_depth
            where is_mandatory
            group by all
        )
        select count(*) as untied_count
        from least
        full join marts.rpt_line_depth using (business_line, loop)
        where
            rpt_line_depth.level is distinct from least.level
            or rpt_line_depth.level_proven is distinct from least.level_proven
    """,
    expected=(
        Expected(
            "a_line_is_as_deep_as_its_least_deep_leg",
            "The depth of a line is the least over its mandatory legs.",
            **exactly("untied_count", 0),
        ),
    ),
)

SEEN = Suite(
    table="rpt_node_coverage",
    frame="""
        select
            business_line || ' ' || loop as line,
            count(*) filter (where is_blind and blind_reason <> 'no checked case yet')
                as blind_count,
            list(leg || ': ' || blind_reason order by leg_rank)
                filter (where is_blind) as blind_legs
        from marts.rpt_node_coverage
        where is_mandatory
        group by business_line, loop
        order by line
    """,
    expected=(
        Expected(
            "every_mandatory_leg_is_seen",
            "The source of every leg that a contract asks for is connected, and not more than 48"
            " hours behind the newest.",
            **exactly("blind_count", 0),
        ),
    ),
)

TRUSTWORTHY = (LEGS, GATES_BORNE_OUT, LINES)
AGREEING = (SEEN,)
