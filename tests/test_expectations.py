"""Every expectation shown red: each by the defect that it is there for, and on no data at all."""

from collections.abc import Iterator

import duckdb
import pandas as pd
import pytest

from expectations import AGREEING, TRUSTWORTHY, closure, depth
from expectations.judging import (
    Expected,
    Judgement,
    Suite,
    exactly,
    judge,
    judge_frame,
    one_of,
    within,
)
from expectations.rates import RATES

AS_OF = "timestamptz '2026-10-03 00:00:00+08'"

# A hundred cases of one line that agree on everything, and the one divergence of a hundred-first.
MARTS = f"""
create schema marts;
create table marts.fct_cases as
    select
        'order:' || number as case_id, 'order' as loop, 'retail' as business_line,
        'mini_program' as channel, timestamptz '2026-10-01 10:00:00+08' as entered_at,
        date '2026-10-01' as business_day, 1000::bigint as amount_fen,
        true as is_claimed, false as is_abandoned, true as is_mature, false as is_unknown,
        true as surface_converted, number <> 1 as verified_converted, number <> 1 as is_closed,
        {AS_OF} as as_of
    from range(1000) as numbers (number);
create table marts.fct_case_legs as
    select
        case_id, loop, business_line, leg,
        case when leg = 'booked' and case_id = 'order:1' then 'refuted' else 'verified' end
            as truth,
        case when leg = 'booked' and case_id = 'order:1' then 'paid_not_booked' else 'none' end
            as divergence,
        truth = 'verified' as has_evidence, amount_fen as evidence_amount_fen,
        'interface' as made_by, as_of
    from marts.fct_cases
    cross join (
        select unnest([
            'submitted', 'paid', 'booked', 'received', 'fulfilled', 'known', 'reflowed',
            'notified', 'refunded'
        ]) as leg
    );
create table marts.fct_divergences as
    select
        case_id, leg, divergence, 1000::bigint as amount_at_stake_fen, as_of as first_seen_at,
        as_of as last_seen_at, null::timestamptz as healed_at, as_of
    from marts.fct_case_legs where divergence <> 'none';
create table marts.fct_sessions as
    select
        'session ' || case_id as session_id, business_line, entered_at as started_at, is_mature,
        surface_converted, verified_converted, as_of
    from marts.fct_cases;
create table marts.dim_people as select 'person 1' as person_id, {AS_OF} as as_of;
create table marts.source_watermarks as
    select
        table_name, true as is_connected, timestamptz '2026-10-01 00:00:00+08' as complete_from,
        {AS_OF} as complete_until, 100::bigint as rows_count, 0::bigint as quarantined_count,
        {AS_OF} as as_of
    from (select unnest(['pay_bill', 'erp_orders']) as table_name);
create table marts.rpt_bridge_daily as
    select
        date '2026-10-01' as business_day, 'retail' as business_line, 'mini_program' as channel,
        step, amount_fen::bigint as amount_fen, cases_count::bigint as cases_count,
        0::bigint as residual_fen, 0::bigint as residual_count, {AS_OF} as as_of
    from (
        values ('surface_total', 1000000, 1000), ('paid_not_booked', -1000, -1),
        ('erp_total', 999000, 999)
    ) as steps (step, amount_fen, cases_count);
create table marts.rpt_conversion_daily as
    select
        date '2026-10-01' as business_day, 'retail' as business_line, 'mini_program' as channel,
        {", ".join(f"0.5::double as {rate}" for rate in RATES)},
        1000 as cases_count, 1000 as mature_cases_count, 1000 as claimed_count,
        1000 as evidenced_count, 1000 as claimed_and_evidenced_count, 999 as closed_count,
        1000 as mature_claimed_count, {AS_OF} as as_of;
create table marts.dim_legs as
    select 'retail' as business_line, 'order' as loop, leg, leg_rank, true as is_mandatory,
        {AS_OF} as as_of
    from (values ('paid', 2), ('booked', 3)) as legs (leg, leg_rank);
create table marts.fct_checkouts as select session_id, as_of from marts.fct_sessions;
create table marts.fct_reflows as select case_id, as_of from marts.fct_cases;
create table marts.rpt_surface_trend as select 'retail' as business_line, {AS_OF} as as_of;
create table marts.rpt_interfaces as select leg, as_of from marts.dim_legs;
create table marts.rpt_closure_daily as
    select
        date '2026-10-01' as business_day, 'retail' as business_line, 'order' as loop,
        'mini_program' as channel, 1000 as mature_cases_count, 1000 as mature_claimed_count,
        999 as closed_count, 990 as closed_untouched_count, 6000 as hand_offs_count,
        1 as broken_hand_offs_count, 999 as changes_count, 999 as changes_shown_count,
        1100 as checkouts_count, 101 as interrupted_count, 80 as user_cancel_count,
        20 as technical_count, 1 as backend_late_count, 0 as unknown_count,
        {", ".join(f"0.5::double as {rate}" for rate in closure.RATES)}, {AS_OF} as as_of;
create table marts.rpt_closure_legs_daily as
    select business_day, as_of from marts.rpt_closure_daily;
create table marts.rpt_closure_legs as
    select
        business_line, loop, leg, case leg when 'paid' then 1.0 else 0.999 end::double as pass_rate,
        999 as passed_count, as_of
    from marts.dim_legs;
create table marts.rpt_closure as
    select
        'retail' as business_line, 'order' as loop, 1000 as mature_claimed_count,
        999 as closed_count, 0.999::double as closure_rate, 0.99::double as closure_rate_untouched,
        0.98::double as closure_rate_untouched_low, 0.995::double as closure_rate_untouched_high,
        0.95::double as target_closure, 'proven' as target_status, false as is_smooth_but_shallow,
        {AS_OF} as as_of;
create table marts.rpt_depth_gates as
    select
        business_line, loop, leg, 'record_exists' as gate, true as is_by_lower_limit,
        0.95::double as bar, 1000 as subjects_count, 0.999::double as rate,
        0.994::double as lower_limit, 'proven' as status, 0 as cases_still_needed, as_of
    from marts.dim_legs;
create table marts.rpt_integration_depth as
    select
        business_line, loop, leg, is_mandatory, case leg when 'paid' then 4 else 3 end as level,
        case leg when 'paid' then 2 else 3 end as level_proven,
        {", ".join(f"0.5::double as {rate}" for rate in depth.RATES)}, as_of
    from marts.dim_legs;
create table marts.rpt_line_depth as
    select 'retail' as business_line, 'order' as loop, 3 as level, 2 as level_proven,
        {AS_OF} as as_of;
create table marts.rpt_node_coverage as
    select *, false as is_blind, null::varchar as blind_reason from marts.dim_legs;
create table marts.rpt_tracking_gap as
    select
        date '2026-09-22' + day::integer as business_day, source_group,
        case source_group when 'other' then 'tracked_more' else 'agrees' end as verdict,
        100 as wechat_count, 99 as tracked_count, 1 as gap_count, 0 as definition_count,
        {AS_OF} as as_of
    from range(10) as days (day)
    cross join (select unnest(['all', 'other']) as source_group);
create table marts.rpt_visits_daily as select business_day, as_of from marts.rpt_tracking_gap;
create table marts.rpt_followers_daily as select business_day, as_of from marts.rpt_tracking_gap;
create table marts.rpt_followers_sources_daily as
    select business_day, as_of from marts.rpt_tracking_gap;
create table marts.rpt_articles as select business_day, as_of from marts.rpt_tracking_gap;
create table marts.rpt_message_ladder as select business_day, as_of from marts.rpt_tracking_gap;
create table marts.rpt_quota as select business_day, as_of from marts.rpt_tracking_gap;
create table marts.rpt_settlement_daily as select business_day, as_of from marts.rpt_tracking_gap;
"""

# What an upstream defect would write, for each expectation that is there to catch it.
DEFECTS = {
    "cases_exist": "delete from marts.fct_cases",
    "a_case_has_one_row": "insert into marts.fct_cases from marts.fct_cases limit 1",
    "a_case_has_its_keys": "update marts.fct_cases set business_line = null"
    " where case_id = 'order:7'",
    "a_case_is_decided": "update marts.fct_cases set is_mature = null where case_id = 'order:7'",
    "no_abandoned_case_is_claimed": "update marts.fct_cases set is_abandoned = true",
    "only_claimed_cases_are_closed": "update marts.fct_cases set is_claimed = false",
    "legs_exist": "delete from marts.fct_case_legs",
    "a_leg_is_judged_once": "insert into marts.fct_case_legs from marts.fct_case_legs limit 1",
    "every_leg_has_its_case": "delete from marts.fct_cases where case_id = 'order:7'",
    "every_case_is_judged": "delete from marts.fct_case_legs where case_id = 'order:7'",
    "every_case_has_the_legs_of_its_contract": "delete from marts.fct_case_legs"
    " where case_id = 'order:7' and leg = 'known'",
    "nothing_is_verified_without_evidence": "update marts.fct_case_legs set has_evidence = false",
    "truth_is_a_known_word": "update marts.fct_case_legs set truth = 'probably'"
    " where case_id = 'order:7'",
    "divergence_is_a_known_word": "update marts.fct_case_legs set divergence = 'other'"
    " where case_id = 'order:7'",
    "maker_is_a_known_word": "update marts.fct_case_legs set made_by = 'intern'"
    " where case_id = 'order:7'",
    "open_divergences_are_those_of_the_legs": "delete from marts.fct_divergences",
    "a_leg_diverges_once": "insert into marts.fct_divergences from marts.fct_divergences",
    "money_at_stake_is_not_negative": "update marts.fct_divergences set amount_at_stake_fen = -1",
    "a_divergence_is_seen_before_it_is_seen_last": "update marts.fct_divergences"
    " set first_seen_at = last_seen_at + interval 1 hour",
    "a_listed_divergence_is_a_known_word": "update marts.fct_divergences set divergence = 'none'",
    "the_bridge_ties_to_the_fen": "update marts.rpt_bridge_daily set residual_fen = 1",
    "the_bridge_ties_to_the_case": "update marts.rpt_bridge_daily set residual_count = -1",
    "the_bridge_ties_when_summed_again": "update marts.rpt_bridge_daily set amount_fen = 999001"
    " where step = 'erp_total'",
    "the_bridge_ties_when_counted_again": "update marts.rpt_bridge_daily set cases_count = 1000"
    " where step = 'erp_total'",
    "a_bridge_step_is_a_known_word": "update marts.rpt_bridge_daily set step = 'other'"
    " where step = 'paid_not_booked'",
    "the_bridge_starts_from_every_claim": "update marts.fct_case_legs"
    " set evidence_amount_fen = 1001 where case_id = 'order:7'",
    "days_exist": "delete from marts.rpt_conversion_daily",
    "a_day_is_counted_once": "insert into marts.rpt_conversion_daily"
    " from marts.rpt_conversion_daily",
    "rates_are_shares": "update marts.rpt_conversion_daily set closure_rate = 'inf'::double",
    "bounds_enclose_the_rate": "update marts.rpt_conversion_daily"
    " set verified_conversion_high = 0.4",
    "parts_are_not_more_than_the_whole": "update marts.rpt_conversion_daily"
    " set closed_count = 1001",
    "closure_days_exist": "delete from marts.rpt_closure_daily",
    "a_closure_day_is_counted_once": "insert into marts.rpt_closure_daily"
    " from marts.rpt_closure_daily",
    "closure_rates_are_shares": "update marts.rpt_closure_daily set reflow_rate = 1.01",
    "what_closes_was_claimed": "update marts.rpt_closure_daily set closed_untouched_count = 1000",
    "an_interruption_has_one_cause": "update marts.rpt_closure_daily set technical_count = 21",
    "closing_lines_exist": "delete from marts.rpt_closure",
    "a_closing_line_is_counted_once": "insert into marts.rpt_closure from marts.rpt_closure",
    "days_add_up_to_their_line": "update marts.rpt_closure_daily set closed_count = 998",
    "legs_multiply_to_closure": "update marts.rpt_closure_legs set pass_rate = 0.998"
    " where leg = 'paid'",
    "limits_enclose_closure": "update marts.rpt_closure set closure_rate_untouched_low = 0.991",
    "a_line_is_labelled": "update marts.rpt_closure set is_smooth_but_shallow = null",
    "lines_close_as_their_contract_asks": "update marts.rpt_closure set target_status = 'not met'",
    "rated_legs_exist": "delete from marts.rpt_integration_depth",
    "a_leg_is_rated_once": "insert into marts.rpt_integration_depth"
    " from marts.rpt_integration_depth",
    "a_level_is_on_the_ladder": "update marts.rpt_integration_depth set level = 5",
    "nothing_is_proven_that_is_not_observed": "update marts.rpt_integration_depth"
    " set level_proven = 4 where leg = 'booked'",
    "depth_rates_are_shares": "update marts.rpt_integration_depth set exists_rate_low = -0.01",
    "every_leg_of_a_contract_is_rated": "delete from marts.rpt_integration_depth"
    " where leg = 'paid'",
    "a_gate_is_a_known_word": "update marts.rpt_depth_gates set gate = 'golden'",
    "a_status_is_a_known_word": "update marts.rpt_depth_gates set status = 'likely'",
    "a_gate_is_passed_by_its_figures": "update marts.rpt_depth_gates set lower_limit = 0.949",
    "a_line_is_as_deep_as_its_least_deep_leg": "update marts.rpt_line_depth set level = 4",
    "every_mandatory_leg_is_seen": "update marts.rpt_node_coverage set is_blind = true,"
    " blind_reason = 'stale' where leg = 'paid'",
    "sessions_exist": "delete from marts.fct_sessions",
    "a_session_is_counted_once": "insert into marts.fct_sessions from marts.fct_sessions limit 1",
    "a_session_is_decided": "update marts.fct_sessions set started_at = null",
    "a_person_has_one_row": "insert into marts.dim_people from marts.dim_people",
    "a_person_has_an_id": "update marts.dim_people set person_id = null",
    "sources_are_connected": "delete from marts.source_watermarks where table_name = 'pay_bill'",
    "every_connected_source_has_a_watermark": "update marts.source_watermarks"
    " set complete_until = null where table_name = 'pay_bill'",
    "watermarks_run_forward": "update marts.source_watermarks set complete_from = complete_until",
    "all_tables_speak_of_one_instant": "update marts.dim_people set as_of = as_of + interval 1 day",
    "every_row_says_as_of_when": "update marts.dim_people set as_of = null",
    "claims_are_backed": "update marts.fct_case_legs set divergence = 'surface_only'"
    " where leg = 'submitted' and case_id like '%5'",
    "payments_agree_with_claims": "update marts.fct_case_legs set divergence = 'booked_not_paid'"
    " where leg = 'paid' and case_id like '%5'",
    "orders_agree_with_payments": "update marts.fct_case_legs set divergence = 'duplicate'"
    " where leg = 'booked' and case_id like '%5'",
    "receipts_agree_with_payments": "update marts.fct_case_legs set divergence = 'not_received'"
    " where leg = 'received' and case_id like '%5'",
    "orders_are_fulfilled": "update marts.fct_case_legs set divergence = 'not_fulfilled'"
    " where leg = 'fulfilled' and case_id like '%5'",
    "buyers_are_known": "update marts.fct_case_legs set divergence = 'not_known'"
    " where leg = 'known' and case_id like '%5'",
    "states_flow_back": "update marts.fct_case_legs set divergence = 'not_reflowed'"
    " where leg = 'reflowed' and case_id like '%5'",
    "customers_are_told": "update marts.fct_case_legs set divergence = 'not_notified'"
    " where leg = 'notified' and case_id[-1] in ('4', '5')",
    "refunds_agree": "update marts.fct_case_legs set divergence = 'refund_missing'"
    " where leg = 'refunded' and case_id like '%5'",
    "orders_are_booked_by_the_interface": "update marts.fct_case_legs set made_by = 'human'"
    " where leg = 'booked' and case_id like '%5'",
    "outcomes_are_known": "update marts.fct_cases set is_unknown = true where case_id like '%5'",
    "sources_are_up_to_date": "update marts.source_watermarks"
    " set complete_until = complete_until - interval 37 hour where table_name = 'pay_bill'",
    "rows_are_readable": "update marts.source_watermarks set quarantined_count = 1"
    " where table_name = 'pay_bill'",
    "wechats_openings_are_tracked": "update marts.rpt_tracking_gap set verdict = 'tracking_lost'"
    " where source_group = 'all' and business_day = date '2026-09-25'",
}

ALL = {expected.name: suite for suite in (*TRUSTWORTHY, *AGREEING) for expected in suite.expected}


@pytest.fixture(scope="module")
def written() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(MARTS)
        yield connection


@pytest.fixture
def marts(written: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The marts to spoil: what a test writes is taken back after it."""
    written.execute("begin")
    yield written
    written.execute("rollback")


def judgement_of(name: str, connection: duckdb.DuckDBPyConnection) -> Judgement:
    return next(
        judgement for judgement in judge(ALL[name], connection) if judgement.expected.name == name
    )


def test_marts_that_agree_meet_every_expectation(marts: duckdb.DuckDBPyConnection) -> None:
    judgements = [j for suite in (*TRUSTWORTHY, *AGREEING) for j in judge(suite, marts)]
    assert [(j.expected.name, j.reason, j.error) for j in judgements if not j.is_met] == []


def test_every_expectation_has_a_defect_that_it_catches() -> None:
    assert sorted(DEFECTS) == sorted(ALL)


def test_every_expectation_has_a_name_of_its_own() -> None:
    names = [e.name for suite in (*TRUSTWORTHY, *AGREEING) for e in suite.expected]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", DEFECTS)
def test_an_expectation_turns_red_on_its_defect(
    name: str, marts: duckdb.DuckDBPyConnection
) -> None:
    marts.execute(DEFECTS[name])
    judgement = judgement_of(name, marts)
    assert not judgement.is_met
    assert judgement.reason
    assert not judgement.error, "bad data, not a broken check"


def test_a_line_that_disagrees_is_named_in_the_evidence(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(DEFECTS["payments_agree_with_claims"])
    judgement = judgement_of("payments_agree_with_claims", marts)
    assert judgement.evidence == (
        {
            "business_line": "retail",
            "judged_count": 1000,
            "diverging_count": 100,
            "agreeing_share": 0.9,
        },
    )


@pytest.mark.parametrize(
    "nothing_known",
    [
        "delete from marts.rpt_tracking_gap",
        "update marts.rpt_tracking_gap set verdict = null",
        "update marts.rpt_tracking_gap set verdict = 'not_comparable'",
        "update marts.rpt_tracking_gap set verdict = 'tracked_more'",
    ],
)
def test_openings_of_which_nothing_is_known_are_not_said_to_be_tracked(
    nothing_known: str, marts: duckdb.DuckDBPyConnection
) -> None:
    marts.execute(nothing_known)
    judgement = judgement_of("wechats_openings_are_tracked", marts)
    assert not judgement.is_met
    assert not judgement.error


def test_only_a_company_that_says_so_may_have_no_sessions(
    marts: duckdb.DuckDBPyConnection,
) -> None:
    marts.execute("delete from marts.fct_sessions")
    tracking = "marts.source_watermarks where table_name = 'tracking_events'"
    marts.execute(f"delete from {tracking}")
    assert not judgement_of("sessions_exist", marts).is_met
    for is_connected, is_met in (("true", False), ("null", False), ("false", True)):
        marts.execute(f"delete from {tracking}")
        marts.execute(
            "insert into marts.source_watermarks (table_name, is_connected)"
            f" values ('tracking_events', {is_connected})"
        )
        assert judgement_of("sessions_exist", marts).is_met == is_met


def test_tracking_that_was_lost_and_mended_a_week_ago_is_not_held_against_it(
    marts: duckdb.DuckDBPyConnection,
) -> None:
    marts.execute(
        "update marts.rpt_tracking_gap set verdict = 'tracking_lost'"
        " where business_day = date '2026-09-24'"
    )
    assert judgement_of("wechats_openings_are_tracked", marts).is_met


def test_a_file_without_the_marts_is_an_error_and_no_finding() -> None:
    with duckdb.connect() as empty:
        judgements = [j for suite in (*TRUSTWORTHY, *AGREEING) for j in judge(suite, empty)]
    assert all(not j.is_met and "Catalog Error" in j.error for j in judgements)


SUITE = Suite(
    table="any",
    frame="",
    expected=(
        Expected("a_word", "", **one_of("word", ["yes", "no"])),
        Expected("a_number", "", **exactly("count", 0)),
        Expected("a_share", "", **within("share", low=0.9, high=1)),
    ),
)
GOOD = {"word": ["yes", "no"], "count": [0, 0], "share": [0.95, 1.0]}


def met(frame: pd.DataFrame) -> list[bool]:
    return [judgement.is_met for judgement in judge_frame(SUITE, frame)]


def test_a_good_frame_is_met() -> None:
    assert met(pd.DataFrame(GOOD)) == [True, True, True]


def test_an_empty_frame_is_red() -> None:
    assert met(pd.DataFrame(GOOD).head(0)) == [False, False, False]


def test_an_empty_frame_is_lawful_only_where_the_suite_says_so() -> None:
    lawful = Suite("any", "", SUITE.expected, may_be_empty=True)
    assert all(j.is_met for j in judge_frame(lawful, pd.DataFrame(GOOD).head(0)))


def test_a_frame_of_nulls_is_red() -> None:
    assert met(pd.DataFrame({name: [None, None] for name in GOOD})) == [False, False, False]


def test_one_null_among_good_values_is_red() -> None:
    holed = pd.DataFrame(GOOD | {"share": [0.95, None]})
    assert met(holed) == [True, True, False]


def test_a_value_out_of_bounds_is_red_and_told() -> None:
    broken = pd.DataFrame(GOOD | {"share": [0.95, 0.2]})
    judgements = judge_frame(SUITE, broken)
    assert [j.is_met for j in judgements] == [True, True, False]
    assert "found 0.2" in judgements[2].reason
    assert judgements[2].evidence[0]["word"] == "no"


def test_a_check_of_a_column_that_is_not_there_is_an_error() -> None:
    without = pd.DataFrame({name: values for name, values in GOOD.items() if name != "share"})
    judgements = judge_frame(SUITE, without)
    assert judgements[2].error
    assert judgements[2].reason == "could not be judged"
