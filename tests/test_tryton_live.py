"""A live Tryton, read by JSON-RPC and by SQL as the connector's page tells it: the same rows."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from pipeline.company import Connection, TableSource, load_company
from pipeline.errors import PermanentSourceError, TransientSourceError
from pipeline.landed import TABLES
from pipeline.landing import Landing, business_day
from pipeline.sources import Source
from pipeline.sources.sql import SqlSource
from pipeline.sources.tryton.source import TrytonSource
from pipeline.sources.wire import Wire
from tests.servers import NoServerError, open_folder, running_postgres
from tests.tryton_company import (
    ADMIN_PASSWORD,
    DATABASE,
    PASSWORD,
    ROOT,
    PostgresBooks,
    SqliteBooks,
    Tryton,
    forget_sessions,
    running_tryton,
)
from tests.tryton_replies import make_company

PAGE = ROOT / "docs" / "connectors" / "tryton.md"
# Both examples of the page, whole, as a company's folder would hold them.
EXAMPLES = re.findall(r"```yaml\n(connections:.*?)```", PAGE.read_text(), re.DOTALL)
BY_RPC, BY_SQL = (YAML(typ="safe").load(example)["tables"] for example in EXAMPLES)
# Orders are dated in these days by hand; what Tryton's clock dates is of later ones.
DOCUMENT_DAYS = [date(2026, 10, day) for day in (1, 2, 3, 4)]
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tryton]:
    with running_tryton(SqliteBooks(tmp_path_factory.mktemp("tryton"))) as running:
        yield running


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Tryton]:
    """A Tryton that a test may change or stop."""
    with running_tryton(SqliteBooks(tmp_path)) as running:
        yield running


@pytest.fixture(scope="module")
def on_postgres() -> Iterator[Tryton]:
    with ExitStack() as opened:
        folder = opened.enter_context(open_folder("tryton"))
        try:
            server = opened.enter_context(running_postgres(folder))
        except NoServerError as error:
            pytest.skip(str(error))
        yield opened.enter_context(running_tryton(PostgresBooks(folder, server)))


def by_rpc(tryton: Tryton, table: str, folder: Path, **changed: Any) -> TrytonSource:
    user = changed.pop("user", "admin")
    company = make_company(folder)
    company._environment["TRYTON_PASSWORD"] = changed.pop("password", ADMIN_PASSWORD)
    connection = Connection(
        base_url=tryton.url, database=changed.pop("database", DATABASE), user=user,
        password_env="TRYTON_PASSWORD",
    )  # fmt: skip
    settings = TableSource.model_validate(BY_RPC[table] | changed)
    wire = Wire(sleep=lambda seconds: None)
    return TrytonSource(TABLES[table], settings, connection, company, wire=wire)


def by_sql(tryton: Tryton, table: str, folder: Path) -> SqlSource:
    settings = TableSource.model_validate(BY_SQL[table])
    connection = Connection(url=tryton.books.url)
    return SqlSource(TABLES[table], settings, connection, make_company(folder))


def days(tryton: Tryton) -> list[date]:
    """The days that hold anything: those of the documents, and those since the books were made."""
    made = business_day(tryton.made_at - timedelta(hours=1))
    today = business_day(datetime.now(UTC))
    since = [made + timedelta(days=n) for n in range((today - made).days + 1)]
    return sorted({*DOCUMENT_DAYS, *since})


def land(tryton: Tryton, source: Source, folder: Path) -> Rows:
    """The landed rows of every day, and none of them set aside."""
    landing = Landing(folder / "landing", hash_key=b"0123456789abcdef")
    batches = list(
        landing.land_all(source.table, source.extract(days(tryton)), connector=source.connector)
    )
    assert sum(batch.quarantined for batch in batches) == 0
    rows: Rows = [
        {"day": batch.day, **row}
        for batch in batches
        for row in pq.read_table(batch.path, partitioning=None).to_pylist()
    ]
    return rows


def keyed(rows: Rows, *names: str) -> dict[Any, dict[str, Any]]:
    return {tuple(row[name] for name in names): row for row in rows}


def orders(tryton: Tryton, folder: Path) -> dict[str, dict[str, Any]]:
    """The orders by the shop's number."""
    return {
        row["order_no"]: row for row in land(tryton, by_rpc(tryton, "erp_orders", folder), folder)
    }


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_page_are_a_companys_sources(tmp_path: Path, example: str) -> None:
    (tmp_path / "company.yml").write_text("name: 小店\nfirst_day: 2026-10-01\n")
    (tmp_path / "sources.yml").write_text(example)
    assert set(load_company(tmp_path).sources.tables) == set(BY_RPC) == set(BY_SQL)


def test_every_order_lands_on_its_day_in_its_state_with_its_tax(
    tryton: Tryton, tmp_path: Path
) -> None:
    found = orders(tryton, tmp_path)
    told = {
        number: (row["day"].day, row["state"], row["amount_fen"])
        for number, row in found.items()
        if number is not None
    }
    assert told == {
        "O1001": (1, "fulfilling", 23313),
        "O1002": (1, "fulfilling", 3333),
        "O1003": (1, "fulfilling", 33303),
        "O1004": (2, "fulfilling", 29154),
        "O1005": (2, "fulfilling", 9990),
        "O1006": (2, "fulfilling", 68298),
        "O1007": (3, "draft", 13332),
        "O1008": (3, "cancelled", 13332),
        "O1009": (3, "draft", 9990),
    }
    assert found["O1009"]["erp_order_no"].startswith("sale.sale,")


def test_a_payment_for_two_orders_lands_once_for_each(tryton: Tryton, tmp_path: Path) -> None:
    numbers = {row["erp_order_no"]: no for no, row in orders(tryton, tmp_path).items()}
    parts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in land(tryton, by_rpc(tryton, "erp_receipts", tmp_path), tmp_path):
        parts[row["transaction_id"][-2:]][numbers[row["erp_order_no"]]] = row["amount_fen"]
    assert parts == {
        "01": {"O1001": 23313},
        "02": {"O1002": 3333, "O1003": 33303},
        "04": {"O1004": 10000},
        "05": {"O1004": 19154},
        "07": {"O1006": 68298},
    }


def test_a_failed_payment_and_a_draft_are_no_receipts(tryton: Tryton, tmp_path: Path) -> None:
    rows = land(tryton, by_rpc(tryton, "erp_receipts", tmp_path), tmp_path)
    assert not [row for row in rows if row["transaction_id"].endswith("06")]


def test_a_shipment_for_two_orders_lands_once_for_each(tryton: Tryton, tmp_path: Path) -> None:
    numbers = {row["erp_order_no"]: no for no, row in orders(tryton, tmp_path).items()}
    rows = land(tryton, by_rpc(tryton, "erp_shipments", tmp_path), tmp_path)
    shipped = {numbers[row["erp_order_no"]]: row for row in rows if row["state"] == "shipped"}
    assert set(shipped) == {"O1001", "O1002", "O1003"}
    assert "/" not in shipped["O1001"]["shipment_no"]
    together = [shipped[number]["shipment_no"].split("/") for number in ("O1002", "O1003")]
    assert together[0][0] == together[1][0]
    assert [part for _, part in together] == [
        shipped[number]["erp_order_no"] for number in ("O1002", "O1003")
    ]


def test_a_return_and_a_credited_invoice_are_refunds_of_the_order_that_was_sold(
    tryton: Tryton, tmp_path: Path
) -> None:
    numbers = {row["erp_order_no"]: no for no, row in orders(tryton, tmp_path).items()}
    rows = land(tryton, by_rpc(tryton, "erp_refunds", tmp_path), tmp_path)
    assert {numbers[row["erp_order_no"]]: row["amount_fen"] for row in rows} == {
        "O1006": 68298,
        "O1004": 29154,
    }


def test_phones_land_as_hashes_and_names_not_at_all(tryton: Tryton, tmp_path: Path) -> None:
    rows = land(tryton, by_rpc(tryton, "crm_contacts", tmp_path), tmp_path)
    phones = {row["customer_code"]: row["phone"] for row in rows}
    assert phones["C4"] is None
    assert len({phones[code] for code in ("C1", "C2", "C3")}) == 3
    assert not [row for row in rows for value in row.values() if "Customer C" in str(value)]
    assert not [row for row in rows for value in row.values() if "138001" in str(value)]


@pytest.mark.parametrize("table", list(BY_SQL))
def test_both_connectors_land_the_same_rows(
    on_postgres: Tryton, tmp_path: Path, table: str
) -> None:
    by_each = [
        land(on_postgres, open_source(on_postgres, table, tmp_path / name), tmp_path / name)
        for name, open_source in (("rpc", by_rpc), ("sql", by_sql))
    ]
    assert by_each[0] == by_each[1]
    assert by_each[0]


@dataclass(frozen=True)
class Worked:
    """A Tryton after one more day of work: its orders before that, and when it began."""

    tryton: Tryton
    orders_before: dict[str, dict[str, Any]]
    began_at: datetime


@pytest.fixture(scope="module")
def worked(on_postgres: Tryton, tmp_path_factory: pytest.TempPathFactory) -> Worked:
    before = orders(on_postgres, tmp_path_factory.mktemp("before"))
    began_at = datetime.now(UTC)
    on_postgres.go_on()
    return Worked(on_postgres, before, began_at)


def test_what_a_day_of_work_did_is_landed(worked: Worked, tmp_path: Path) -> None:
    before, after = worked.orders_before, orders(worked.tryton, tmp_path)
    assert set(after) - set(before) == {"O1010", "O1011"}
    assert set(before) - set(after) == {"O1009"}
    assert after["O1007"]["amount_fen"] == 5 * 3333
    assert after["O1007"]["updated_at"] > before["O1007"]["updated_at"]
    receipts = land(worked.tryton, by_rpc(worked.tryton, "erp_receipts", tmp_path), tmp_path)
    paid = {row["transaction_id"][-1]: row["erp_order_no"] for row in receipts}
    assert paid["8"] == after["O1005"]["erp_order_no"]  # by its invoice
    assert paid["9"] == after["O1010"]["erp_order_no"]  # ahead of any


@pytest.mark.parametrize("table", list(BY_SQL))
def test_both_land_the_same_after_a_day_of_work(worked: Worked, tmp_path: Path, table: str) -> None:
    tryton, by_each = worked.tryton, []
    for name, open_source in (("rpc", by_rpc), ("sql", by_sql)):
        source = open_source(tryton, table, tmp_path / name)
        by_each.append(land(tryton, source, tmp_path / name))
    assert by_each[0] == by_each[1]


@pytest.mark.parametrize("open_source", [by_rpc, by_sql])
def test_the_days_of_what_changed_are_found(
    worked: Worked, tmp_path: Path, open_source: Any
) -> None:
    source = open_source(worked.tryton, "erp_orders", tmp_path)
    known = dict.fromkeys(days(worked.tryton), "")
    overlap = timedelta(minutes=10)  # so much before it is looked at, too
    assert source.changed_days(datetime.now(UTC) + 2 * overlap, known) == set()
    changed = source.changed_days(worked.began_at + overlap, known)
    assert changed == set(DOCUMENT_DAYS[1:3])


def test_days_that_are_asked_for_one_by_one_hold_the_same(tryton: Tryton, tmp_path: Path) -> None:
    source = by_rpc(tryton, "erp_orders", tmp_path, page_size=2)
    whole = [extract.rows.to_pylist() for extract in source.extract(DOCUMENT_DAYS)]
    apart = [rows for day in DOCUMENT_DAYS for rows in _rows(source, day)]
    assert apart == whole


def _rows(source: Source, day: date) -> list[Rows]:
    return [extract.rows.to_pylist() for extract in source.extract([day])]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"password": "wrong-password"}, "unknown or the password is wrong"),
        ({"user": "nobody", "password": PASSWORD}, "sale.sale"),
        ({"database": "elsewhere"}, "HTTP 404"),
        ({"object": "sale.sal"}, "sale.sal"),
        ({"where": [["no_such", "=", 1]]}, "no_such"),
        ({"where": [["state", "~~", 1]]}, "sale.sale"),
    ],
)
def test_what_cannot_be_read_is_told_for_good(
    tryton: Tryton, tmp_path: Path, changed: Mapping[str, Any], told: str
) -> None:
    source = by_rpc(tryton, "erp_orders", tmp_path, **changed)
    with pytest.raises(PermanentSourceError, match=re.escape(told)) as refused:
        list(source.extract(DOCUMENT_DAYS[:1]))
    assert "Traceback" not in str(refused.value)
    assert ADMIN_PASSWORD not in str(refused.value)


def test_a_domain_of_one_company_keeps_the_others_out(tryton: Tryton, tmp_path: Path) -> None:
    all_of_one = by_rpc(tryton, "erp_orders", tmp_path / "one", where=[["company", "=", 1]])
    none = by_rpc(tryton, "erp_orders", tmp_path / "two", where=[["company", "=", 2]])
    assert len(land(tryton, all_of_one, tmp_path / "one")) == len(orders(tryton, tmp_path / "all"))
    assert land(tryton, none, tmp_path / "two") == []


def test_a_session_that_the_server_forgets_is_begun_anew(fresh: Tryton, tmp_path: Path) -> None:
    source = by_rpc(fresh, "erp_orders", tmp_path)
    before = len(land(fresh, source, tmp_path))
    assert isinstance(fresh.books, SqliteBooks)
    forget_sessions(fresh.books)
    assert len(land(fresh, source, tmp_path)) == before


def test_a_server_that_stops_half_way_lands_nothing(fresh: Tryton, tmp_path: Path) -> None:
    source = by_rpc(fresh, "erp_orders", tmp_path, page_size=2)
    source.probe()
    fresh.stop()
    with pytest.raises(TransientSourceError, match="ConnectError"):
        list(source.extract(DOCUMENT_DAYS))


def test_the_probe_says_what_it_found(tryton: Tryton, tmp_path: Path) -> None:
    told = by_rpc(tryton, "erp_orders", tmp_path).probe()
    assert told.startswith(f"sale.sale at {tryton.url}/{DATABASE}: 11 fields read")
