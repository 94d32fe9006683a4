"""Live PostgreSQL, MariaDB and SQLite: one table reads alike from all, and refusals are clear."""

import itertools
import sqlite3
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.errors import (
    BrokenContentError,
    PermanentSourceError,
    SourceError,
    TransientSourceError,
)
from pipeline.landing import day_end
from pipeline.sources import open_source
from pipeline.sources.sql import SqlSource
from tests.servers import BreakingLine, MariaDbServer, PostgresServer, Server, open_folder, running
from tests.sql_company import (
    DAYS,
    FIRST_DAY,
    ORDERS,
    catch_up,
    landed,
    landing_in,
    make_company,
    open_orders,
    order_table,
)

SERVERS = ["postgres", "mariadb"]
_numbers = itertools.count()


@dataclass(frozen=True)
class Erp:
    """An empty database. `instant` and `amount` are its usual types of these."""

    kind: str
    url: str
    execute: Callable[[str], str]
    instant: str = "timestamp"
    amount: str = "numeric"
    server: Server | None = None


def open_erp(kind: str, request: pytest.FixtureRequest, folder: Path) -> Erp:
    if kind == "sqlite":
        return Erp("sqlite", "sqlite:///erp.sqlite", lambda statements: run(folder, statements))
    server: Server = request.getfixturevalue(kind)
    # One database, emptied for each test: a new one each would take a second and 8 MB.
    if kind == "postgres":
        empty = "drop schema public cascade; create schema public; grant usage on schema public"
        server.execute(f"{empty} to public; alter database postgres reset all")
    else:
        server.execute("drop database if exists erp; create database erp")
    name = "postgres" if kind == "postgres" else "erp"
    return Erp(
        kind,
        server.url(name),
        lambda statements: server.execute(statements, database=name),
        instant="timestamp" if kind == "postgres" else "datetime(3)",
        amount="numeric" if kind == "postgres" else "decimal(20, 4)",
        server=server,
    )


def run(folder: Path, statements: str) -> str:
    with closing(sqlite3.connect(folder / "erp.sqlite")) as connection, connection:
        connection.executescript(statements)
    return ""


@pytest.fixture(params=["sqlite", *SERVERS])
def erp(request: pytest.FixtureRequest, tmp_path: Path) -> Erp:
    return open_erp(request.param, request, tmp_path)


@pytest.fixture(params=SERVERS)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Erp:
    return open_erp(request.param, request, tmp_path)


def orders(erp: Erp, folder: Path, **changed: Any) -> SqlSource:
    return open_orders(folder, url=erp.url, **changed)


def numbers_of(source: SqlSource) -> list[list[str]]:
    return [e.rows.column("erp_order_no").to_pylist() for e in source.extract(DAYS)]


# ------------------------------------------------------------------------------------ days and fen

EVERY_INSTANT = [
    ("sqlite", "text"),
    ("postgres", "timestamp"),
    ("postgres", "timestamptz"),
    ("mariadb", "datetime(3)"),
    ("mariadb", "timestamp(3)"),
]


@pytest.mark.parametrize(("kind", "instant"), EVERY_INSTANT)
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "UTC"])
def test_an_order_falls_on_its_shanghai_day_whatever_type_and_zone_it_is_kept_in(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, instant: str, zone: str
) -> None:
    erp = open_erp(kind, request, tmp_path)
    hours = 0 if zone == "UTC" else 8
    if kind == "postgres":
        erp.execute("alter database postgres set timezone to 'America/Lima'")
    begin = f"set time zone {hours};" if kind == "postgres" else ""
    begin = f"set time_zone = '+{hours:02}:00';" if kind == "mariadb" else begin
    ends = [day_end(day) + timedelta(hours=hours) - timedelta(milliseconds=1) for day in DAYS]
    rows = [
        (f"S{count}", None, None, "C", f"{at:%Y-%m-%d %H:%M:%S.%f}", None, "1.00")
        for count, at in enumerate([*ends, ends[0] + timedelta(milliseconds=1)])
    ]
    erp.execute(begin + order_table(instant, erp.amount, rows=rows))
    columns = ORDERS["columns"] | {"updated_at": "FDATE"}
    source = orders(erp, tmp_path, time_zone=zone, columns=columns, changed_column="FDATE")
    extracts = list(source.extract(DAYS))
    assert numbers_of(source) == [["S0"], ["S1", "S3"], ["S2"]]
    assert [extract.control.rows for extract in extracts if extract.control] == [1, 2, 1]
    assert source.counts(DAYS) == dict(zip(DAYS, [1, 2, 1], strict=True))
    at = extracts[0].rows.column("ordered_at")[0].as_py()
    assert at.astimezone(UTC) == day_end(DAYS[0]) - timedelta(milliseconds=1)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_column_of_days_counts_from_midnight_of_the_zone_that_it_is_of(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    erp = open_erp(kind, request, tmp_path)
    rows = [
        (f"S{count}", None, None, "C", str(FIRST_DAY + timedelta(days=count)), None, "1.00")
        for count in range(3)
    ]
    erp.execute(order_table("date", erp.amount, rows=rows))
    columns = ORDERS["columns"] | {"updated_at": "FDATE"}
    for zone in ("UTC", "Asia/Shanghai"):
        source = orders(erp, tmp_path, time_zone=zone, columns=columns)
        assert numbers_of(source) == [["S0"], ["S1"], ["S2"]]


def test_rows_and_fen_equal_the_database_and_again_after_it_was_changed(
    erp: Erp, tmp_path: Path
) -> None:
    erp.execute(order_table(erp.instant, erp.amount))
    columns = ORDERS["columns"] | {"updated_at": ["FMODIFYDATE", "FDATE"]}
    source = orders(erp, tmp_path, columns=columns)
    assert [batch.day for batch in catch_up(tmp_path, source)] == DAYS
    assert landed(tmp_path) == {DAYS[0]: (2, 20009), DAYS[1]: (1, 1234567890123), DAYS[2]: (1, 700)}
    assert catch_up(tmp_path, source) == []
    erp.execute(
        "update t_sal_order set FAMOUNT = '199.98', FMODIFYDATE = '2026-10-03 23:58:00'"
        " where FBILLNO = 'S1';"
        "insert into t_sal_order values"
        " ('S4', null, null, 'C', '2026-10-02 08:00:00', null, '3.5')"
    )
    again = catch_up(tmp_path, source)
    assert [(batch.day, batch.revises is not None) for batch in again] == [
        (DAYS[0], True), (DAYS[1], True),
    ]  # fmt: skip
    assert landed(tmp_path) == {
        DAYS[0]: (2, 20008), DAYS[1]: (2, 1234567890473), DAYS[2]: (1, 700),
    }  # fmt: skip


def test_a_deleted_order_vanishes_from_its_day_at_the_next_run(erp: Erp, tmp_path: Path) -> None:
    erp.execute(order_table(erp.instant, erp.amount))
    source = orders(erp, tmp_path)
    catch_up(tmp_path, source)
    erp.execute("delete from t_sal_order where FBILLNO in ('S0', 'S3')")
    assert [batch.day for batch in catch_up(tmp_path, source)] == [DAYS[0], DAYS[2]]
    assert landed(tmp_path) == {DAYS[0]: (1, 19999), DAYS[1]: (1, 1234567890123), DAYS[2]: (0, 0)}
    assert catch_up(tmp_path, source) == []


def test_rows_set_aside_and_repeated_ones_are_counted_as_landed(erp: Erp, tmp_path: Path) -> None:
    erp.execute(order_table(erp.instant, erp.amount))
    erp.execute("update t_sal_order set FSTATUS = '?' where FBILLNO = 'S2'")
    erp.execute("insert into t_sal_order select * from t_sal_order where FBILLNO = 'S3'")
    source = orders(erp, tmp_path)
    batches = catch_up(tmp_path, source)
    assert [(batch.rows, batch.quarantined, batch.repeated) for batch in batches] == [
        (2, 0, 0), (0, 1, 0), (1, 0, 1),
    ]  # fmt: skip
    assert catch_up(tmp_path, source) == []


def test_only_the_latest_days_are_counted(erp: Erp, tmp_path: Path) -> None:
    erp.execute(order_table(erp.instant, erp.amount))
    assert orders(erp, tmp_path, reconcile_days=2).counts(DAYS) == {DAYS[1]: 1, DAYS[2]: 1}
    assert orders(erp, tmp_path, reconcile_days=0).counts(DAYS) == {}


def test_a_change_time_that_is_null_until_the_first_change_has_another_beside_it(
    erp: Erp, tmp_path: Path
) -> None:
    erp.execute(order_table(erp.instant, erp.amount))
    erp.execute("update t_sal_order set FMODIFYDATE = null")
    since, known = datetime(2026, 10, 2, 4, tzinfo=UTC), dict.fromkeys(DAYS, "sha")
    assert orders(erp, tmp_path).changed_days(since, known) == set()
    both = orders(erp, tmp_path, changed_column=["FMODIFYDATE", "FDATE"])
    assert both.changed_days(since, known) == {DAYS[2]}
    erp.execute("update t_sal_order set FMODIFYDATE = '2026-10-02 11:51:00' where FBILLNO = 'S0'")
    assert both.changed_days(since, known) == {DAYS[0], DAYS[2]}
    erp.execute("update t_sal_order set FMODIFYDATE = '2026-10-02 11:49:00' where FBILLNO = 'S0'")
    assert both.changed_days(since, known) == {DAYS[2]}


def test_a_query_is_read_like_a_table(erp: Erp, tmp_path: Path) -> None:
    erp.execute(order_table(erp.instant, erp.amount))
    query = "select o.*, FAMOUNT + 0 as total from t_sal_order o where FSTATUS = 'C';"
    columns = ORDERS["columns"] | {"amount_fen": {"from": "TOTAL", "unit": "yuan"}}
    source = orders(erp, tmp_path, table=None, query=query, columns=columns)
    catch_up(tmp_path, source)
    assert landed(tmp_path) == {DAYS[0]: (1, 19999), DAYS[1]: (1, 1234567890123), DAYS[2]: (1, 700)}
    assert source.probe().endswith("the query of erp_orders with 3 rows, 7 columns read")


def test_a_query_whose_dates_are_text_is_refused(served: Erp, tmp_path: Path) -> None:
    served.execute(order_table(served.instant, served.amount))
    query = "select o.*, concat('', FDATE) as told from t_sal_order o"
    columns = ORDERS["columns"] | {"ordered_at": "told"}
    with pytest.raises(PermanentSourceError, match=r"found told of type \w*(text|string), allowed"):
        list(orders(served, tmp_path, table=None, query=query, columns=columns).extract(DAYS))


def test_an_open_day_is_complete_as_far_as_the_database_shows(served: Erp, tmp_path: Path) -> None:
    served.execute(order_table(served.instant, served.amount))
    *_, last = orders(served, tmp_path, last_day=None).extract(DAYS)
    assert last.complete_until == datetime(2026, 10, 3, 1, 30, tzinfo=UTC)


def test_an_empty_table_lands_empty_days(erp: Erp, tmp_path: Path) -> None:
    erp.execute(order_table(erp.instant, erp.amount, rows=[]))
    batches = catch_up(tmp_path, orders(erp, tmp_path))
    assert [(batch.rows, batch.quarantined) for batch in batches] == [(0, 0)] * 3


def test_a_table_without_a_time_column_lands_whole_on_the_first_day(
    erp: Erp, tmp_path: Path
) -> None:
    erp.execute(
        "create table order_lines (erp_order_no varchar(9), line_no int, sku varchar(9),"
        f" quantity {erp.amount}, amount_fen int);"
        "insert into order_lines values ('S1', 1, 'a', 2.5, 100), ('S3', 1, 'a', 1, 100)"
    )
    company = make_company(tmp_path, {"erp_order_lines": {"table": "order_lines"}}, url=erp.url)
    source = open_source("erp_order_lines", company)
    assert [extract.rows.num_rows for extract in source.extract(DAYS)] == [2, 0, 0]
    assert source.counts(DAYS) == {}


@pytest.mark.parametrize("most_rows", [1, 2, 7])
def test_days_too_large_to_be_read_at_once_are_read_in_parts(
    erp: Erp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_rows: int
) -> None:
    old = [("R", None, None, "C", f"2026-0{count}-01 10:00:00", None, "1") for count in (6, 7, 8)]
    crowded = [("T", None, None, "C", f"2026-10-02 {hour:02}:30:00", None, "1")
               for hour in range(0, 24, 3)]  # fmt: skip
    undated = [("U", None, None, "C", None, None, "1")]
    rows = [(f"{row[0]}{count}", *row[1:]) for count, row in enumerate([*old, *crowded, *undated])]
    erp.execute(order_table(f"{erp.instant} null", erp.amount, rows=rows))
    columns = ORDERS["columns"] | {"updated_at": "FDATE"}
    monkeypatch.setattr("pipeline.sources.sql.MOST_ROWS", most_rows)
    source = orders(erp, tmp_path, columns=columns)
    found = [
        set(extract.rows.column("erp_order_no").to_pylist()) for extract in source.extract(DAYS)
    ]
    assert found == [{"R0", "R1", "R2", "U11"}, {f"T{n}" for n in range(3, 11)}, set()]


# ----------------------------------------------------------------------------------- awkward types


def test_postgres_types_arrive_exact(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    erp = open_erp("postgres", request, tmp_path)
    erp.execute(
        "create type stage as enum ('neu', 'bezahlt'); create domain yuan as numeric;"
        "create table t (no bigint, third varchar(40), paid bool, kind stage, at timestamptz,"
        " exact numeric, floating double precision, single real, locale money, own yuan,"
        " padded char(9), place point, life interval);"
        "insert into t values"
        " (9223372036854775807, '订单🧧 4-byte', true, 'bezahlt', '2026-10-01 10:00:00+08',"
        " 99999999999.99, 199.99, 12345.67, '1234.56', 0.01, 'S1', '(1,2)', '1 day')"
    )
    columns = {
        "erp_order_no": "no",
        "order_no": "padded",
        "channel": "third",
        "state": {"from": "kind", "values": {"bezahlt": "paid", "neu": "draft"}},
        "created_via": {"from": "paid", "values": {"true": "interface", "false": "ui"}},
        "ordered_at": "at",
        "created_at": "at",
        "updated_at": "at",
        "amount_fen": {"from": "exact", "unit": "yuan"},
        "freight_fen": {"from": "floating", "unit": "yuan", "plus": ["single"]},
        "discount_fen": {"from": "locale", "unit": "yuan", "plus": ["own"]},
    }
    row = land_one_row(orders(erp, tmp_path, table="t", columns=columns, changed_column="at"))
    assert row["erp_order_no"] == "9223372036854775807"
    assert (row["order_no"], row["channel"]) == ("S1", "订单🧧 4-byte")
    assert (row["state"], row["created_via"]) == ("paid", "interface")
    assert row["amount_fen"] == 9999999999999
    assert row["freight_fen"] == 19999 + 1234567
    assert row["discount_fen"] == 123456 + 1


def test_mariadb_types_arrive_exact(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    erp = open_erp("mariadb", request, tmp_path)
    erp.execute(
        "create table t (no bigint unsigned, third varchar(40), paid tinyint(1), bits bit(3),"
        " kind enum('neu', 'bezahlt'), at timestamp null, exact decimal(20, 6),"
        " floating double, gb varchar(20) character set gbk, note longtext);"
        "insert into t values (18446744073709551615, '订单🧧 4-byte', 1, b'101', 'bezahlt',"
        " '2026-10-01 02:00:00', 99999999999.99, 12345678.91, '国标', repeat('长', 70000))"
    )
    columns = {
        "erp_order_no": "no",
        "order_no": "gb",
        "channel": "third",
        "customer_code": {"from": "note", "pattern": "^长"},
        "state": {"from": "kind", "values": {"bezahlt": "paid", "neu": "draft"}},
        "currency": "bits",
        "created_via": {"from": "paid", "values": {"1": "interface", "0": "ui"}},
        "ordered_at": "at",
        "created_at": "at",
        "updated_at": "at",
        "amount_fen": {"from": "exact", "unit": "yuan"},
        "freight_fen": {"from": "floating", "unit": "yuan"},
    }
    row = land_one_row(orders(erp, tmp_path, table="t", columns=columns, changed_column="at"))
    assert row["erp_order_no"] == "18446744073709551615"
    assert (row["order_no"], row["channel"]) == ("国标", "订单🧧 4-byte")
    assert (row["state"], row["created_via"], row["currency"]) == ("paid", "interface", "5")
    assert row["customer_code"] == "长"
    assert row["amount_fen"] == 9999999999999
    assert row["freight_fen"] == 1234567891


def land_one_row(source: SqlSource) -> dict[str, Any]:
    """The one row of a source as it stands in its file, whose types are those of the table."""
    folder = source._company.folder
    (batch,) = [batch for batch in catch_up(folder, source) if batch.rows or batch.quarantined]
    assert [refused.reason for refused in landing_in(folder).rejected(batch)] == []
    assert pq.read_schema(batch.path).equals(source.table.schema)
    (row,) = pq.ParquetFile(batch.path).read().to_pylist()
    found: dict[str, Any] = row
    return found


def test_an_amount_that_a_single_float_has_bent_is_refused_not_rounded(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    erp = open_erp("mariadb", request, tmp_path)
    erp.execute(order_table("datetime", "float"))
    first, *_ = catch_up(tmp_path, orders(erp, tmp_path))
    erp.execute("update t_sal_order set FAMOUNT = 1234567.89 where FBILLNO = 'S1'")
    (extract,) = orders(erp, tmp_path).extract(DAYS[:1])
    assert first.sums["amount_fen"] == 20009
    assert [refused.reason[:36] for refused in extract.rejected] == [
        "amount_fen: found '1234567.875' in F"
    ]


def test_a_zero_date_is_no_date(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    erp = open_erp("mariadb", request, tmp_path)
    erp.execute("set sql_mode = '';" + order_table("datetime", "decimal(18, 2)"))
    erp.execute(
        "set sql_mode = ''; update t_sal_order set FMODIFYDATE = 0 where FBILLNO = 'S1';"
        "update t_sal_order set FDATE = '0000-00-00' where FBILLNO = 'S2'"
    )
    columns = ORDERS["columns"] | {"updated_at": ["FMODIFYDATE", "FDATE"]}
    extracts = list(orders(erp, tmp_path, columns=columns).extract(DAYS))
    assert [sorted(e.rows.column("erp_order_no").to_pylist()) for e in extracts] == [
        ["S0", "S1", "S2"], [], ["S3"],
    ]  # fmt: skip
    assert [e.control.rows for e in extracts if e.control] == [3, 0, 1]


def test_names_that_need_quoting_are_quoted(erp: Erp, tmp_path: Path) -> None:
    left, right = ("`", "`") if erp.kind == "mariadb" else ('"', '"')

    def quoted(name: str) -> str:
        return left + name.replace(left, left * 2) + right

    table, number, at = "select 订单's", f"编号 {left}no{left}", "order"
    erp.execute(
        f"create table {quoted(table)} ({quoted(number)} varchar(9), {quoted(at)} {erp.instant},"
        f" {quoted('Amount %')} {erp.amount});"
        f"insert into {quoted(table)} values ('S1', '2026-10-02 10:00:00', 1)"
    )
    columns = {
        "erp_order_no": number,
        "state": {"value": "paid"},
        "ordered_at": at,
        "created_at": at,
        "updated_at": at,
        "amount_fen": {"from": "Amount %", "unit": "yuan"},
    }
    source = orders(erp, tmp_path, table=table, columns=columns, changed_column=at)
    assert numbers_of(source) == [[], ["S1"], []]
    assert "1 rows" in source.probe()


@pytest.mark.parametrize(("unit", "factor"), [("seconds", 1), ("milliseconds", 1000)])
def test_epochs_make_windows_on_every_database(
    erp: Erp, tmp_path: Path, unit: str, factor: int
) -> None:
    ends = [int(day_end(day).timestamp()) * factor for day in DAYS]
    rows = [
        (f"S{count}", None, None, "C", at, None, "1.00")
        for count, at in enumerate([ends[0] - 1, ends[0], ends[1] - 1, ends[2] - 1])
    ]
    erp.execute(order_table("bigint", erp.amount, rows=rows))
    columns = ORDERS["columns"] | {
        name: {"from": "FDATE", "unit": unit} for name in ("ordered_at", "created_at", "updated_at")
    }
    source = orders(erp, tmp_path, columns=columns, changed_column="FDATE")
    assert numbers_of(source) == [["S0"], ["S1", "S2"], ["S3"]]
    assert source.counts(DAYS) == dict(zip(DAYS, [1, 2, 1], strict=True))
    *_, last = orders(
        erp, tmp_path, columns=columns, changed_column="FDATE", last_day=None
    ).extract(DAYS)
    assert last.complete_until == day_end(DAYS[2]) - timedelta(seconds=1) / factor


# ---------------------------------------------------------------------------------------- refusals


def refusal(folder: Path, url: str) -> SourceError:
    with pytest.raises(SourceError) as told:
        open_orders(folder, url=url).probe()
    return told.value


def test_a_wrong_password_is_refused_with_what_to_check(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    urls = [open_erp(kind, request, tmp_path).url.replace("hunter2", "hunter3") for kind in SERVERS]
    # Each in a process of its own, for connectorx tries for half a minute and lets no thread run.
    with ProcessPoolExecutor(len(urls), mp_context=get_context("spawn")) as pool:
        told = list(pool.map(refusal, [tmp_path] * len(urls), urls))
    for refused in told:
        assert isinstance(refused, PermanentSourceError)
        assert ": refused (" in refused.message
        assert refused.next_step == "check user, password and the right to read this table"
        assert "hunter3" not in str(refused)


def test_a_missing_right_is_refused_with_what_to_check(served: Erp, tmp_path: Path) -> None:
    assert served.server is not None
    served.execute(order_table(served.instant, served.amount))
    reader = f"reader_{next(_numbers)}"
    served.execute(
        f"create user {reader} password 'hunter2'"
        if served.kind == "postgres"
        else f"create user {reader} identified by 'hunter2';"
        f" create table other (x int); grant select on erp.other to {reader}"
    )
    url = served.server.url(served.url.rsplit("/")[-1], user=reader)
    with pytest.raises(PermanentSourceError, match=r"t_sal_order in .*refused") as told:
        list(open_orders(tmp_path, url=url).extract(DAYS))
    assert "right to read this table" in told.value.next_step


def test_a_column_that_has_vanished_is_named_with_its_nearest_match(
    erp: Erp, tmp_path: Path
) -> None:
    erp.execute(order_table(erp.instant, erp.amount))
    catch_up(tmp_path, orders(erp, tmp_path))
    erp.execute("alter table t_sal_order rename column FLINKPHONE to FLINKPHONES")
    near = r"(?i)'FLINKPHONE'.*did you mean 'FLINKPHONES'"
    with pytest.raises(PermanentSourceError, match=near):
        list(orders(erp, tmp_path).extract(DAYS))


def test_a_table_that_has_vanished_is_named_with_its_nearest_match(
    erp: Erp, tmp_path: Path
) -> None:
    erp.execute("create table t_sal_orders (x int)")
    for origin in ({}, {"table": None, "query": "select * from t_sal_order"}):
        with pytest.raises(PermanentSourceError, match="found no such table"):
            orders(erp, tmp_path, **origin).probe()
    with pytest.raises(PermanentSourceError, match="did you mean 't_sal_orders'"):
        orders(erp, tmp_path).probe()


def test_dates_that_became_text_are_refused_and_amounts_that_did_are_set_aside(
    served: Erp, tmp_path: Path
) -> None:
    served.execute(order_table(served.instant, served.amount))
    before = catch_up(tmp_path, orders(served, tmp_path))
    modify = "alter column {0} type" if served.kind == "postgres" else "modify {0}"
    served.execute(f"alter table t_sal_order {modify.format('FAMOUNT')} varchar(40)")
    served.execute("update t_sal_order set FAMOUNT = '7 yuan' where FBILLNO = 'S3'")
    *same, last = orders(served, tmp_path).extract(DAYS)
    assert [extract.rows.num_rows for extract in same] == [batch.rows for batch in before[:-1]]
    assert [refused.reason for refused in last.rejected] == [
        "amount_fen: found '7 yuan' in FAMOUNT, allowed: yuan with at most two decimals,"
        " such as 199.90"
    ]
    served.execute(f"alter table t_sal_order {modify.format('FDATE')} varchar(40)")
    with pytest.raises(PermanentSourceError, match=r"FDATE of type .*char.*, allowed") as told:
        list(orders(served, tmp_path).extract(DAYS))
    assert "cast it" in told.value.next_step


def test_a_line_that_breaks_while_rows_come_lands_nothing_of_them(
    served: Erp, tmp_path: Path
) -> None:
    assert served.server is not None
    rows = [
        (f"S{count}", "x" * 30, None, "C", f"2026-10-0{count % 3 + 1} 10:00:00", None, "1.25")
        for count in range(20_000)
    ]
    served.execute(order_table(served.instant, served.amount, rows=rows))
    columns = ORDERS["columns"] | {"updated_at": "FDATE"}
    with BreakingLine(served.server.port, breaks_after=500_000) as line:
        url = served.url.replace(str(served.server.port), str(line.port))
        with pytest.raises(TransientSourceError, match=r"t_sal_order in .*: no answer"):
            catch_up(tmp_path, open_orders(tmp_path, url=url, columns=columns))
    assert landed(tmp_path) == {}
    catch_up(tmp_path, orders(served, tmp_path, columns=columns))
    assert sum(rows for rows, _ in landed(tmp_path).values()) == 20_000
    assert sum(fen for _, fen in landed(tmp_path).values()) == 20_000 * 125


@pytest.mark.parametrize("kind", [PostgresServer, MariaDbServer])
def test_a_server_that_stops_between_two_readings_leaves_what_was_landed_and_is_caught_up(
    kind: type[Server],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request.getfixturevalue("postgres" if kind is PostgresServer else "mariadb")  # or skips
    instant = "timestamp" if kind is PostgresServer else "datetime"
    monkeypatch.setattr("pipeline.sources.sql.MOST_ROWS", 2)
    monkeypatch.setattr("pipeline.landing.ROWS_AT_ONCE", 1)
    with open_folder("stopped") as folder, running(kind, folder) as server:
        url = server.create_database("erp")
        server.execute(order_table(instant, "numeric(18, 2)"), database="erp")
        source = open_orders(tmp_path, url=url)
        extracts = source.extract(DAYS)
        first = next(extracts)
        landing_in(tmp_path).land(source.table, first, connector="sql")
        server.stop()
        with pytest.raises(TransientSourceError, match="cannot be reached"):
            list(extracts)
        with pytest.raises(TransientSourceError, match="cannot be reached"):
            open_orders(tmp_path, url=url).probe()
        assert landed(tmp_path) == {DAYS[0]: (2, 20009)}
        server.start()
        catch_up(tmp_path, open_orders(tmp_path, url=url))
        assert landed(tmp_path) == {
            DAYS[0]: (2, 20009), DAYS[1]: (1, 1234567890123), DAYS[2]: (1, 700),
        }  # fmt: skip


def test_a_session_cannot_write(served: Erp, tmp_path: Path) -> None:
    served.execute(order_table(served.instant, served.amount))
    query = "select t_sal_order.*, count_up() as n from t_sal_order"
    body = "insert into counted values (1)"
    served.execute(
        "create table counted (x int);"
        f"create function count_up() returns int language sql as '{body} returning x'"
        if served.kind == "postgres"
        else "create table counted (x int);\ndelimiter //\n"
        f"create function count_up() returns int begin {body}; return 1; end //"
    )
    with pytest.raises(PermanentSourceError, match=r"(?i)read.only"):
        list(orders(served, tmp_path, table=None, query=query).extract(DAYS))
    assert served.execute("select count(*) from counted").strip() == "0"


def test_text_that_is_not_utf8_is_named(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    erp = open_erp("mariadb", request, tmp_path)
    erp.execute(order_table("datetime", "decimal(18, 2)"))
    erp.execute("alter table t_sal_order modify FTHIRDBILLNO blob")
    erp.execute("update t_sal_order set FTHIRDBILLNO = x'b5c4' where FBILLNO = 'S1'")
    with pytest.raises(BrokenContentError, match=r"t_sal_order.*not UTF-8"):
        list(orders(erp, tmp_path).extract(DAYS))
