"""What is expected of the legs: that they tie to the cases, and that the systems agree on them."""

from expectations import tolerances
from expectations.judging import Expected, Suite, exactly, one_of, within
from expectations.tolerances import Tolerance
from expectations.words import DIVERGENCES, MAKERS, TRUTHS

LEGS_TIE_TO_CASES = Suite(
    table="fct_case_legs",
    frame="""
        with legs as (
            select loop, business_line, case_id, count(*) as legs_count
            from marts.fct_case_legs
            group by all
        ),
        contracts as (
            select loop, business_line, max(legs_count) as legs_count from legs group by all
        )
        select
            (select count(*) from marts.fct_case_legs) as legs_count,
            (select count(*) - count(distinct (case_id, leg)) from marts.fct_case_legs)
                as repeated_count,
            (
                select count(*) from marts.fct_case_legs as one
                where not exists (from marts.fct_cases as c where c.case_id = one.case_id)
            ) as legs_without_case_count,
            (
                select count(*) from marts.fct_cases as c
                where not exists (from marts.fct_case_legs as one where one.case_id = c.case_id)
            ) as cases_without_legs_count,
            (
                select count(*) from legs inner join contracts using (loop, business_line)
                where legs.legs_count <> contracts.legs_count
            ) as cases_with_fewer_legs_count,
            (
                select count(*) from marts.fct_case_legs
                where truth in ('verified', 'late') and not has_evidence and leg <> 'submitted'
            ) as unfounded_count
    """,
    expected=(
        Expected("legs_exist", "At least one leg was judged.", **within("legs_count", low=1)),
        Expected(
            "a_leg_is_judged_once", "One row per case and leg.", **exactly("repeated_count", 0)
        ),
        Expected(
            "every_leg_has_its_case",
            "No leg was judged of a case that is not there.",
            **exactly("legs_without_case_count", 0),
        ),
        Expected(
            "every_case_is_judged",
            "No case is without legs.",
            **exactly("cases_without_legs_count", 0),
        ),
        Expected(
            "every_case_has_the_legs_of_its_contract",
            "All cases of a line and loop have equally many legs.",
            **exactly("cases_with_fewer_legs_count", 0),
        ),
        Expected(
            "nothing_is_verified_without_evidence",
            "Verified and late say that a record was found; then it is named.",
            **exactly("unfounded_count", 0),
        ),
    ),
)

LEG_WORDS = Suite(
    table="fct_case_legs",
    frame="""
        select truth, divergence, made_by, count(*) as legs_count
        from marts.fct_case_legs
        group by all
    """,
    expected=(
        Expected("truth_is_a_known_word", "No other verdict exists.", **one_of("truth", TRUTHS)),
        Expected(
            "divergence_is_a_known_word",
            "Every leg carries exactly one known class, or none.",
            **one_of("divergence", (*DIVERGENCES, "none")),
        ),
        Expected(
            "maker_is_a_known_word",
            "A record was made by an interface, by a human, or nobody can tell.",
            **one_of("made_by", MAKERS),
        ),
    ),
)


def _agreement(leg: str, name: str, description: str, tolerance: Tolerance) -> Suite:
    """Per line, the share of judged legs without a divergence. A line without any is left out."""
    return Suite(
        table="fct_case_legs",
        frame=f"""
            select
                business_line,
                count(*) as judged_count,
                count(*) filter (where divergence <> 'none') as diverging_count,
                round(1 - diverging_count / judged_count, 4) as agreeing_share
            from marts.fct_case_legs
            where leg = '{leg}' and truth in ('verified', 'late', 'refuted')
            group by business_line
            order by business_line
        """,
        expected=(
            Expected(
                name,
                f"{description} At least **{tolerance.least:.1%}** per line. {tolerance.reason}",
                **within("agreeing_share", low=tolerance.least, high=1),
            ),
        ),
    )


AGREEMENTS = (
    _agreement(
        "submitted", "claims_are_backed",
        "What the front end shows is known to the back end, and the other way round.",
        tolerances.ORDERS_AGREEING,
    ),
    _agreement(
        "paid", "payments_agree_with_claims",
        "The trade bill holds each claimed payment, with the claimed amount.",
        tolerances.PAYMENTS_AGREEING,
    ),
    _agreement(
        "booked", "orders_agree_with_payments",
        "The ERP holds one order for each payment: same amount, same channel, in time.",
        tolerances.ORDERS_AGREEING,
    ),
    _agreement(
        "received", "receipts_agree_with_payments",
        "The ERP has booked the money that the bill shows.",
        tolerances.RECEIPTS_AGREEING,
    ),
    _agreement(
        "fulfilled", "orders_are_fulfilled",
        "What was ordered was shipped in time.",
        tolerances.FULFILMENTS_AGREEING,
    ),
    _agreement(
        "known", "buyers_are_known",
        "The CRM knows who ordered.",
        tolerances.BUYERS_KNOWN,
    ),
    _agreement(
        "reflowed", "states_flow_back",
        "The customer's order list shows what the back end did.",
        tolerances.STATES_FLOWING_BACK,
    ),
)  # fmt: skip

# Not owed by every company, so having none of them is lawful.
RARE_AGREEMENTS = tuple(
    Suite(suite.table, suite.frame, suite.expected, may_be_empty=True)
    for suite in (
        _agreement(
            "notified", "customers_are_told",
            "Customers get the messages that are due.",
            tolerances.CUSTOMERS_TOLD,
        ),
        _agreement(
            "refunded", "refunds_agree",
            "Refunds in the bill and in the ERP answer each other.",
            tolerances.REFUNDS_AGREEING,
        ),
    )
)  # fmt: skip

HAND_MADE = Suite(
    table="fct_case_legs",
    frame="""
        select
            business_line,
            count(*) as records_count,
            count(*) filter (where made_by = 'human') as made_by_human_count,
            round(1 - made_by_human_count / records_count, 4) as by_interface_share
        from marts.fct_case_legs
        where leg = 'booked' and has_evidence
        group by business_line
        order by business_line
    """,
    expected=(
        Expected(
            "orders_are_booked_by_the_interface",
            "Orders reach the ERP without a person typing them again. At least"
            f" **{tolerances.MADE_BY_INTERFACE.least:.1%}** per line."
            f" {tolerances.MADE_BY_INTERFACE.reason}",
            **within("by_interface_share", low=tolerances.MADE_BY_INTERFACE.least, high=1),
        ),
    ),
)

TRUSTWORTHY = (LEGS_TIE_TO_CASES, LEG_WORDS)
AGREEING = (*AGREEMENTS, *RARE_AGREEMENTS, HAND_MADE)
