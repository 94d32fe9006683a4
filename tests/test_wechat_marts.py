"""WeChat's own figures from landed rows to the published marts, beside what the company tracked."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from expectations.judging import judge
from expectations.visits import TRACKED
from pipeline.company import Company, load_company
from pipeline.landed import TABLES
from pipeline.landing import Landing
from pipeline.sources import open_source
from pipeline.warehouse import Warehouse
from tests.small_company import (
    COMPLETE_UNTIL,
    ORDERS_A_DAY,
    Row,
    entered_at,
    orders,
    write_company,
    write_table,
)

DAYS = (date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 3))
# The last day of the visits is not known yet.
KNOWN_UNTIL = {
    "mp_daily": "2026-10-02T16:00:00+00:00",
    "mp_sources": "2026-10-02T16:00:00+00:00",
}
NOTIFIED, UNHEARD_OF = "O0000", "M-unknown"
LOST_OPENS = 60
PERSONAL = ("o" + NOTIFIED, "u" + NOTIFIED)


def result(message_id: str, status: str) -> Row:
    return {
        "message_id": message_id, "kind": "template", "template_id": "T1", "status": status,
        "status_at": (entered_at(NOTIFIED) + timedelta(hours=10)).isoformat(),
    }  # fmt: skip


def figures() -> dict[str, list[Row]]:
    """What WeChat tells of the small company, and one shipping notice of which it is silent."""
    sent_at = (entered_at(NOTIFIED) + timedelta(hours=9)).isoformat()
    return {
        "messages": [
            {
                "message_id": "M1", "kind": "template", "template_id": "T1", "due_at": sent_at,
                "openid": f"o{NOTIFIED}", "unionid": f"u{NOTIFIED}", "business_line": "retail",
                "case_no": NOTIFIED, "node": "shipping_notice", "sent_at": sent_at,
            }
        ],
        "message_results": [result(UNHEARD_OF, "success")],
        "mp_daily": [
            {"ref_date": DAYS[0], "session_cnt": ORDERS_A_DAY, "visit_uv": 8},
            {"ref_date": DAYS[1], "session_cnt": LOST_OPENS, "visit_uv": 9},
        ],
        "mp_sources": [
            {"ref_date": DAYS[0], "index": "access_source_session_cnt", "key": 1, "value": 8},
            {"ref_date": DAYS[1], "index": "access_source_session_cnt", "key": 1, "value": 60},
        ],
        "oa_users": [
            {"ref_date": DAYS[0], "user_source": 0, "new_user": 0, "cancel_user": 0,
             "cumulate_user": 100},
            {"ref_date": DAYS[1], "user_source": 0, "new_user": 3, "cancel_user": 1,
             "cumulate_user": 101},
        ],
        "pay_fund_flow": [
            {"account_type": "BASIC", "booked_at": f"{DAYS[0]}T12:00:00+08:00", "flow_no": "F1",
             "business_type": "交易", "direction": "income",
             "amount_fen": sum(1000 + order for order in range(ORDERS_A_DAY))},
        ],
    }  # fmt: skip


def write_figures(folder: Path) -> Company:
    tables = orders() | figures()
    # The bill tells what was settled, which the rest of the small company does not ask for.
    tables["pay_bill"] = [
        row | {"settled_amount_fen": row["order_amount_fen"]} for row in tables["pay_bill"]
    ]
    company = write_company(folder, connected=list(tables))
    for name, rows in tables.items():
        write_table(folder / "drop", name, rows)
    told = "".join(f"{name},{KNOWN_UNTIL.get(name, COMPLETE_UNTIL)}\n" for name in tables)
    (folder / "drop" / "_manifest.csv").write_text(f"table,complete_until\n{told}")
    return load_company(company, environment={})


def land(company: Company) -> Warehouse:
    landing = Landing(company.data / "landing", hash_key=company.hash_key)
    for name in company.sources.tables:
        source = open_source(name, company)
        days = [day for day in DAYS if name not in KNOWN_UNTIL or day < DAYS[2]]
        for extract in source.extract(days):
            batch = landing.land(TABLES[name], extract, connector=source.connector)
            assert not batch.quarantined, landing.rejected(batch)
    warehouse = Warehouse(company.data)
    warehouse.register(landing, company)
    return warehouse


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("figures")


@pytest.fixture(scope="module")
def company(folder: Path) -> Company:
    return write_figures(folder)


@pytest.fixture(scope="module")
def published(company: Company) -> Warehouse:
    warehouse = land(company)
    warehouse.transform()
    warehouse.write_candidate()
    warehouse.vouch()
    warehouse.publish()
    return warehouse


def rows_of(warehouse: Warehouse, query: str) -> Sequence[tuple[Any, ...]]:
    with warehouse.read() as connection:
        return connection.execute(query).fetchall()


def test_opens_that_nobody_tracked_are_named_and_an_unknown_day_is_no_zero(
    published: Warehouse,
) -> None:
    assert rows_of(
        published,
        "select business_day, source_group, wechat_count, tracked_count, verdict"
        " from marts.rpt_tracking_gap order by all",
    ) == [
        (DAYS[0], "all", 8, 8, "agrees"),
        (DAYS[0], "direct_recent", 8, 8, "agrees"),
        (DAYS[1], "all", LOST_OPENS, 8, "tracking_lost"),
        (DAYS[1], "direct_recent", LOST_OPENS, 8, "tracking_lost"),
        (DAYS[2], "all", None, 8, "not_comparable"),
        (DAYS[2], "direct_recent", None, 8, "not_comparable"),
    ]


def test_the_lost_day_is_the_evidence_of_the_expectation(published: Warehouse) -> None:
    with published.read() as connection:
        (judgement,) = judge(TRACKED, connection)
    assert not judgement.is_met
    assert [row["business_day"] for row in judgement.evidence] == [str(DAYS[1])]


def test_followers_that_wechats_own_figures_cannot_explain_are_shown(
    published: Warehouse,
) -> None:
    assert rows_of(
        published,
        "select followers_count, followers_expected_count, unexplained_count"
        " from marts.rpt_followers_daily where business_day = date '2026-10-02'",
    ) == [(101, 102, -1)]


def test_the_fund_flow_is_held_against_the_bill_of_its_day(published: Warehouse) -> None:
    assert rows_of(
        published,
        "select business_day, payments_difference_fen, verdict from marts.rpt_settlement_daily"
        " where business_day < date '2026-10-03' order by business_day",
    ) == [
        (DAYS[0], 0, "agrees"),
        (DAYS[1], -sum(1008 + n for n in range(ORDERS_A_DAY) if n != 3), "differs"),
    ]


def test_a_message_that_the_log_does_not_know_is_on_no_rung(published: Warehouse) -> None:
    assert rows_of(
        published,
        "select business_line, due_count, sent_count, delivered_count, outside_log_count"
        " from marts.rpt_message_ladder where not is_total order by business_line",
    ) == [("retail", 1, 1, 0, 0), ("unknown", 0, 0, 0, 1)]


def test_nobody_is_named_in_the_marts(published: Warehouse) -> None:
    with published.read() as connection:
        tables = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'marts'"
            " and table_name like 'rpt_%'"
        ).fetchall()
        assert ("rpt_message_ladder",) in tables
        for (table,) in tables:
            text = connection.execute(f"select {table}::varchar from marts.{table}").fetchall()
            assert not [row for row in text if any(name in row[0] for name in PERSONAL)], table


def test_a_status_called_back_later_judges_its_case_again(
    company: Company, folder: Path, published: Warehouse
) -> None:
    """The message itself is the same: only its result touches the case."""
    notified = (
        "select divergence from marts.fct_case_legs"
        f" where case_id = 'order:{NOTIFIED}' and leg = 'notified'"
    )
    with published.open() as built:
        before = built.execute(notified).fetchall()
        # Of so young a company all would be built anew.
        built.execute("update state.built set settled_share = 1")
    results = [result(UNHEARD_OF, "success"), result("M1", "user_block")]
    write_table(folder / "drop", "message_results", results)
    warehouse = land(company)
    # Without the tests of the models, which have passed on the same rows.
    warehouse.run_dbt("build", "--exclude-resource-type", "unit_test", "test")
    with warehouse.open() as built:
        assert built.execute("select is_rejudging from state.run").fetchall() == [(True,)]
        after = built.execute(notified).fetchall()
    assert before != [("notify_failed",)]
    assert after == [("notify_failed",)]
