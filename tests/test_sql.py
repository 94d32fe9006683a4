"""Tables of a database: exact amounts, half-open windows, counts that tie, and clear refusals."""

import re
import shutil
import socket
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import connectorx
import pytest

from pipeline.company import load_company
from pipeline.errors import (
    BrokenContentError,
    ConfigurationError,
    PermanentSourceError,
    TransientSourceError,
)
from pipeline.landing import Extract, Landing, day_end, day_start
from pipeline.sources import open_source
from pipeline.sources.sql import SqlSource
from tests.sql_company import (
    DAYS,
    FIRST_DAY,
    ORDER_ROWS,
    ORDERS,
    make_company,
    open_orders,
)

PAGE = Path(__file__).parents[1] / "docs" / "connectors" / "sql.md"
ORDER_TABLE = """create table t_sal_order (
    FBILLNO varchar(40), FTHIRDBILLNO varchar(40), FLINKPHONE varchar(20), FSTATUS char(1),
    FDATE datetime, FMODIFYDATE datetime, FAMOUNT decimal(18, 2))"""


def execute(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "erp.sqlite")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def erp(tmp_path: Path) -> Path:
    """A folder with an ERP of four orders: one old, one at the end of a day, one at its start."""
    with closing(sqlite3.connect(tmp_path / "erp.sqlite")) as connection, connection:
        connection.execute(ORDER_TABLE)
        connection.executemany("insert into t_sal_order values (?, ?, ?, ?, ?, ?, ?)", ORDER_ROWS)
    return tmp_path


def numbers(extract: Extract) -> list[str]:
    found: list[str] = extract.rows.column("erp_order_no").to_pylist()
    return found


def land(folder: Path, source: SqlSource, extracts: list[Extract]) -> list[int]:
    landing = Landing(folder / "landing", hash_key=b"0123456789abcdef")
    return [
        landing.land(source.table, extract, connector="sql").sums["amount_fen"]
        for extract in extracts
    ]


def test_each_day_gets_its_half_open_window_of_the_sources_own_zone(erp: Path) -> None:
    extracts = list(open_orders(erp).extract(DAYS))
    assert [numbers(extract) for extract in extracts] == [["S0", "S1"], ["S2"], ["S3"]]
    at = extracts[1].rows.column("ordered_at")[0].as_py()
    assert at.astimezone(UTC) == day_start(DAYS[1])


def test_amounts_arrive_to_the_fen(erp: Path) -> None:
    source = open_orders(erp)
    assert land(erp, source, list(source.extract(DAYS))) == [10 + 19999, 1234567890123, 700]


def test_days_apart_are_read_apart(erp: Path) -> None:
    extracts = list(open_orders(erp).extract([DAYS[2], DAYS[0]]))
    assert [numbers(extract) for extract in extracts] == [["S0", "S1"], ["S3"]]


def test_a_day_without_rows_is_delivered_empty(erp: Path) -> None:
    (extract,) = open_orders(erp, last_day=None).extract([date(2026, 10, 9)])
    assert extract.rows.num_rows == 0
    assert extract.control is not None
    assert extract.control.rows == 0


def test_the_databases_own_count_of_a_day_is_its_control(
    erp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_orders(erp)
    assert [e.control.rows for e in source.extract(DAYS) if e.control] == [2, 1, 1]
    read = connectorx.read_sql

    def lose_a_row(url: str, query: str, **options: Any) -> Any:
        rows = read(url, query, **options)
        return rows.slice(1) if "FBILLNO" in rows.column_names and rows.num_rows else rows

    monkeypatch.setattr(connectorx, "read_sql", lose_a_row)
    with pytest.raises(TransientSourceError, match=r"read 3 rows.*the database counts 4"):
        list(source.extract(DAYS))


def test_an_unknown_state_is_set_aside_on_its_own_day_and_still_counted(erp: Path) -> None:
    execute(erp, "update t_sal_order set FSTATUS = '已关闭' where FBILLNO = 'S2'")
    execute(
        erp, "update t_sal_order set FAMOUNT = 'x', FLINKPHONE = '13800138000' where FBILLNO = 'S3'"
    )
    source = open_orders(erp)
    extracts = list(source.extract(DAYS))
    (state,), (amount,) = extracts[1].rejected, extracts[2].rejected
    assert state.place == "key S2"
    assert state.reason == "state: found '已关闭' in FSTATUS, allowed: A, C"
    assert amount.reason.startswith("amount_fen: found 'x' in FAMOUNT, allowed: yuan")
    assert "13800138000" not in amount.raw
    assert land(erp, source, extracts) == [20009, 0, 0]


@pytest.mark.parametrize(
    ("written", "zone", "day"),
    [
        ("2026-10-01T15:59:59", "UTC", 0),
        ("2026-10-01T16:00:00", "UTC", 1),
        ("2026-10-01 16:00:00Z", "Asia/Shanghai", 1),
        ("2026-10-01T23:59:59+08:00", "UTC", 0),
        ("2026-10-02", "Asia/Shanghai", 1),
        ("", "Asia/Shanghai", 0),
        ("2026/13/45", "Asia/Shanghai", 0),
    ],
)
def test_instants_fall_on_their_shanghai_day_however_they_are_written(
    erp: Path, written: str, zone: str, day: int
) -> None:
    execute(erp, "delete from t_sal_order where FBILLNO <> 'S1'")
    execute(erp, f"update t_sal_order set FDATE = '{written}'")
    extracts = list(open_orders(erp, time_zone=zone).extract(DAYS))
    found = [extract.rows.num_rows + len(extract.rejected) for extract in extracts]
    assert found == [int(number == day) for number in range(3)]
    assert [e.control.rows for e in extracts if e.control] == found


@pytest.mark.parametrize(("unit", "factor"), [("seconds", 1), ("milliseconds", 1000)])
def test_epochs_make_windows_too(erp: Path, unit: str, factor: int) -> None:
    for name, at in (("S1", day_end(DAYS[0])), ("S2", day_start(DAYS[2]) - timedelta(seconds=1))):
        seconds = int(at.timestamp()) * factor
        execute(erp, f"update t_sal_order set FDATE = {seconds} where FBILLNO = '{name}'")
    execute(erp, "delete from t_sal_order where FBILLNO not in ('S1', 'S2')")
    columns = ORDERS["columns"] | {
        name: {"from": "FDATE", "unit": unit} for name in ("ordered_at", "created_at")
    }
    extracts = list(open_orders(erp, columns=columns).extract(DAYS))
    assert [numbers(extract) for extract in extracts] == [[], ["S1", "S2"], []]


def test_a_query_is_read_like_a_table_and_names_are_found_in_any_case(erp: Path) -> None:
    columns = {
        name: (source.lower() if isinstance(source, str) else source)
        for name, source in ORDERS["columns"].items()
    }
    query = "select * from t_sal_order where FSTATUS = 'C' -- those that are paid"
    source = open_orders(
        erp, table=None, query=query, columns=columns, changed_column="fmodifydate"
    )
    assert [numbers(extract) for extract in source.extract(DAYS)] == [["S1"], ["S2"], ["S3"]]


def test_a_table_without_a_time_column_lands_whole_on_the_first_day(erp: Path) -> None:
    execute(
        erp,
        "create table lines (erp_order_no, line_no int, sku, quantity, amount_fen int)",
        "insert into lines values ('S1', 1, 'a', 2.5, 100), ('S3', 1, 'a', 1, 100)",
    )
    company = make_company(erp, {"erp_order_lines": {"table": "lines"}})
    source = open_source("erp_order_lines", company)
    extracts = list(source.extract(DAYS))
    assert [extract.rows.num_rows for extract in extracts] == [2, 0, 0]
    assert next(source.extract(DAYS[1:])).rows.num_rows == 0
    later = datetime(2026, 11, 1, tzinfo=UTC)
    assert source.changed_days(later, dict.fromkeys(DAYS, "sha")) == {FIRST_DAY}


def test_days_with_rows_changed_since_are_found_late_commits_included(erp: Path) -> None:
    source, known = open_orders(erp), dict.fromkeys(DAYS, "sha")
    since = datetime(2026, 10, 3, 2, tzinfo=UTC)
    assert source.changed_days(since, known) == set()
    execute(
        erp,
        "update t_sal_order set FMODIFYDATE = '2026-10-03 11:00:00' where FBILLNO = 'S0'",
        "update t_sal_order set FMODIFYDATE = '2026-10-03 09:55:00', FSTATUS = '?'"
        " where FBILLNO = 'S2'",
    )
    assert source.changed_days(since, known) == {DAYS[0], DAYS[1]}
    assert source.changed_days(since, {DAYS[2]: "sha"}) == set()
    assert source.changed_days(None, known) == set(known)


def test_a_changed_order_lands_as_a_revision(erp: Path) -> None:
    source = open_orders(erp)
    landing = Landing(erp / "landing", hash_key=b"0123456789abcdef")
    (before,) = (landing.land(source.table, e, connector="sql") for e in source.extract(DAYS[:1]))
    execute(erp, "update t_sal_order set FAMOUNT = 200 where FBILLNO = 'S1'")
    (after,) = (landing.land(source.table, e, connector="sql") for e in source.extract(DAYS[:1]))
    (again,) = (landing.land(source.table, e, connector="sql") for e in source.extract(DAYS[:1]))
    assert after.revises == before.batch_id
    assert again.batch_id == after.batch_id
    assert after.sums["amount_fen"] == 20010


def test_in_a_closed_period_every_day_is_complete_at_its_end(erp: Path) -> None:
    extracts = list(open_orders(erp).extract(DAYS))
    assert [extract.complete_until for extract in extracts] == [day_end(day) for day in DAYS]


def test_an_open_day_is_complete_as_far_as_any_table_of_the_database_shows(erp: Path) -> None:
    shown = datetime(2026, 10, 3, 1, 30, tzinfo=UTC)
    extracts = list(open_orders(erp, last_day=None).extract([*DAYS, date(2026, 10, 4)]))
    assert [extract.complete_until for extract in extracts] == [
        day_end(DAYS[0]), day_end(DAYS[1]), shown, shown,
    ]  # fmt: skip
    execute(
        erp,
        "create table refunds (refund_doc_no, amount_fen int, posted_at)",
        "insert into refunds values ('R0', 1, '9999-12-31')",
    )
    tables = {
        "erp_orders": ORDERS,
        "erp_refunds": {"table": "refunds", "time_zone": "Asia/Shanghai"},
    }
    company = make_company(erp, tables, last_day=None)
    *_, last = open_source("erp_orders", company).extract(DAYS)
    assert last.complete_until == shown
    execute(erp, "insert into refunds values ('R1', 1, '2026-10-04 00:00:05')")
    for name in tables:
        *_, last = open_source(name, company).extract(DAYS)
        assert last.complete_until == day_end(DAYS[2])


def test_a_mistyped_date_ahead_of_the_clock_completes_no_day(erp: Path) -> None:
    execute(
        erp,
        "create table refunds (refund_doc_no, amount_fen int, posted_at)",
        "insert into refunds values ('R0', 1, '2026-10-01 09:00:00')",
        "insert into refunds values ('R1', 1, '2062-10-01 09:00:00')",
    )
    table = {"erp_refunds": {"table": "refunds", "time_zone": "Asia/Shanghai"}}
    company = make_company(erp, table, last_day=None)
    extracts = list(open_source("erp_refunds", company).extract(DAYS))
    assert {extract.complete_until for extract in extracts} == {
        datetime(2026, 10, 1, 1, tzinfo=UTC)
    }


def test_a_probe_counts_what_it_reached(erp: Path) -> None:
    assert open_orders(erp).probe() == "erp.sqlite: t_sal_order with 4 rows, 7 columns read"


def test_a_misspelt_table_is_named_with_its_nearest_match(erp: Path) -> None:
    with pytest.raises(PermanentSourceError, match=r"t_sale_order.*did you mean 't_sal_order'"):
        open_orders(erp, table="t_sale_order").probe()


def test_a_misspelt_column_is_named_with_its_nearest_match(erp: Path) -> None:
    columns = ORDERS["columns"] | {"order_no": "FTHIRDBILNO"}
    with pytest.raises(PermanentSourceError, match=r"'FTHIRDBILNO'.*did you mean 'FTHIRDBILLNO'"):
        list(open_orders(erp, columns=columns).extract(DAYS))
    with pytest.raises(PermanentSourceError, match=r"changed_column.*did you mean 'FMODIFYDATE'"):
        open_orders(erp, changed_column="FMODIFIEDDATE").probe()


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(PermanentSourceError, match=r"erp\.sqlite: cannot be opened"):
        open_orders(tmp_path).probe()
    assert not (tmp_path / "erp.sqlite").exists()
    (tmp_path / "erp.sqlite").write_text("no database, but a text")
    with pytest.raises(BrokenContentError, match=r"no SQLite database"):
        open_orders(tmp_path).probe()


def test_text_that_is_not_utf8_is_named_not_guessed(erp: Path) -> None:
    execute(erp, "update t_sal_order set FTHIRDBILLNO = cast(x'b5c4' as text)")
    with pytest.raises(BrokenContentError, match=r"t_sal_order.*not UTF-8"):
        list(open_orders(erp).extract(DAYS))


def test_a_folder_may_bear_any_name(erp: Path) -> None:
    folder = erp / "数据 库%20#?"
    folder.mkdir()
    shutil.copy(erp / "erp.sqlite", folder)
    assert "4 rows" in open_orders(folder).probe()


def test_the_example_of_the_page_is_a_sources_yml_without_a_mistake(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    (tmp_path / "company.yml").write_text("name: example\nfirst_day: 2026-10-01\n")
    (tmp_path / "sources.yml").write_text(example, encoding="utf-8")
    company = load_company(tmp_path, environment={"BIHUAN_HASH_KEY": "k" * 32})
    assert company.sources.tables["erp_orders"].changed_columns == ("updated_at", "created_at")


def test_a_list_of_change_columns_is_a_mistake_where_the_connector_reads_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "company.yml").write_text("name: example\nfirst_day: 2026-10-01\n")
    (tmp_path / "sources.yml").write_text(
        "connections: {drop: {folder: drop}}\ntables:\n  erp_orders: {connector: files,"
        " connection: drop, files: a.csv, changed_column: [a, b], reconcile_days: 3}\n"
    )
    with pytest.raises(ConfigurationError) as told:
        load_company(tmp_path, environment={"BIHUAN_HASH_KEY": "k" * 32})
    said = " ".join(told.value.mistakes)
    assert "changed_column: found 2 columns, allowed: one" in said
    assert "changed_column: a key that connector 'files' does not read" in said
    assert "reconcile_days: a key that connector 'files' does not read" in said


def test_a_server_that_does_not_answer_is_told_at_once_without_its_password(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"postgresql://reader:hunter2@127.0.0.1:{port}/erp"
    company = make_company(tmp_path, {"erp_orders": ORDERS}, url=url)
    with pytest.raises(
        TransientSourceError, match=f"127.0.0.1:{port}/erp: cannot be reached"
    ) as told:
        open_source("erp_orders", company).probe()
    assert "hunter2" not in str(told.value)


def test_a_database_of_an_unknown_kind_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    company = make_company(tmp_path, {"erp_orders": ORDERS}, url="db2://x@127.0.0.1/erp")
    with pytest.raises(ConfigurationError, match=r"found 'db2://', allowed: sqlite, postgresql"):
        open_source("erp_orders", company).probe()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('db error: FATAL: password authentication failed for user "reader"', PermanentSourceError),
        ("db error: ERROR: permission denied for table t_sal_order", PermanentSourceError),
        ("database is locked", TransientSourceError),
        ("timed out waiting for connection", TransientSourceError),
        ("invalid input: 13800138000", PermanentSourceError),
        ('db error: ERROR: column "closed_at" does not exist', PermanentSourceError),
        ('db error: ERROR: syntax error at or near "password"', PermanentSourceError),
    ],
)
def test_what_a_database_says_decides_whether_to_try_again(
    erp: Path, monkeypatch: pytest.MonkeyPatch, said: str, kind: type[Exception]
) -> None:
    def refuse(url: str, query: str, **options: Any) -> Any:
        raise RuntimeError(f"{url} {query} {options}: {said}")

    monkeypatch.setattr(connectorx, "read_sql", refuse)
    with pytest.raises(kind, match=r"t_sal_order in erp.sqlite: ") as told:
        open_orders(erp).probe()
    assert "13800138000" not in str(told.value)
    assert str(erp) not in str(told.value)
