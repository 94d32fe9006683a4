"""What is expected of the divergences: that none is lost between the legs and the list."""

from expectations.judging import Expected, Suite, exactly, one_of
from expectations.words import DIVERGENCES

TIED = Suite(
    table="fct_divergences",
    frame="""
        with open_ones as (
            select case_id, leg, divergence, amount_at_stake_fen
            from marts.fct_divergences
            where healed_at is null
        ),
        on_legs as (
            select case_id, leg, divergence from marts.fct_case_legs where divergence <> 'none'
        )
        select
            (
                select count(*)
                from on_legs full join open_ones using (case_id, leg, divergence)
                where on_legs.case_id is null or open_ones.case_id is null
            ) as untied_count,
            (select count(*) - count(distinct (case_id, leg)) from open_ones) as repeated_count,
            (select count(*) from open_ones where amount_at_stake_fen < 0) as negative_count,
            (
                select count(*) from marts.fct_divergences
                where first_seen_at is null or last_seen_at is null or last_seen_at < first_seen_at
            ) as timeless_count
    """,
    expected=(
        Expected(
            "open_divergences_are_those_of_the_legs",
            "The list of open divergences and the judged legs name the same cases and classes.",
            **exactly("untied_count", 0),
        ),
        Expected(
            "a_leg_diverges_once",
            "At most one open class per case and leg.",
            **exactly("repeated_count", 0),
        ),
        Expected(
            "money_at_stake_is_not_negative",
            "No divergence sets money at stake below zero.",
            **exactly("negative_count", 0),
        ),
        Expected(
            "a_divergence_is_seen_before_it_is_seen_last",
            "Every divergence says since when and until when it was seen.",
            **exactly("timeless_count", 0),
        ),
    ),
)

WORDS = Suite(
    table="fct_divergences",
    frame="select divergence, count(*) as divergences_count from marts.fct_divergences group by 1",
    expected=(
        Expected(
            "a_listed_divergence_is_a_known_word",
            "The list of divergences holds known classes only, and never none.",
            **one_of("divergence", DIVERGENCES),
        ),
    ),
    may_be_empty=True,
)

TRUSTWORTHY = (TIED, WORDS)
