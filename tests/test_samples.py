"""What the doctor shows of live rows: enough to judge a mapping by, and nobody's personal data."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from file_company import make_company

from pipeline.company import Connection, load_company
from pipeline.conform import hash_phone
from pipeline.doctor import Finding, examine
from pipeline.landed import TABLES
from pipeline.samples import Looked, describe, look_into
from pipeline.sources import Sampled, open_source

KEY = "k" * 32
HEADER = "会员编号,姓名,手机号,UnionID,来源,创建时间,创建人,备注单号"
ROWS = [
    "c1,王小明,13800138000,oUnion-000000000001,朋友王小明介绍,2026-10-01 08:00:00,svc_sync,N1",
    "c2,李四,13900139000,,门店,2026-10-01 09:00:00,wang.li,13900139000",
    "c3,张三,,oUnion-000000000003,门店,2026-10-01 10:00:00,svc_sync,",
]
CONTACTS = """
  crm_contacts:
    connector: files
    connection: exports
    files: contacts.csv
    time_zone: Asia/Shanghai
    columns:
      contact_id: 会员编号
      phone: 手机号
      unionid: UnionID
      member_no: 备注单号
      source: 来源
      created_at: 创建时间
      updated_at: 创建时间
      created_by: 创建人
"""
ORDERS = """
  erp_orders:
    connector: files
    connection: exports
    files: orders.csv
    columns:
      erp_order_no: no
      order_no: {from: memo, pattern: '(\\d{16,})'}
      state: {from: state, values: {A: paid, B: done}}
      ordered_at: at
      created_at: at
      updated_at: at
      amount_fen: {from: amount, unit: yuan}
"""


def write_company(folder: Path, tables: str, *, key: str = KEY) -> Path:
    (folder / "exports").mkdir(parents=True, exist_ok=True)
    (folder / "company.yml").write_text("name: Shop\nfirst_day: 2026-10-01\n")
    (folder / ".env").write_text(f"BIHUAN_HASH_KEY={key}\n" if key else "")
    (folder / "sources.yml").write_text(
        f"connections: {{exports: {{folder: exports}}}}\ntables:\n{tables}", encoding="utf-8"
    )
    return folder


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = write_company(tmp_path, CONTACTS)
    (folder / "exports" / "contacts.csv").write_text("\n".join([HEADER, *ROWS]), encoding="gbk")
    return folder


def finding(folder: Path, table: str) -> Finding:
    company = load_company(folder, environment={})
    return next(each for each in examine(company) if each.subject == f"mapping {table}")


def look(folder: Path, table: str, *, hash_key: bytes | None = KEY.encode()) -> Looked:
    company = load_company(folder, environment={})
    source = open_source(table, company)
    assert isinstance(source, Sampled)
    looked = look_into(source, TABLES[table], company.sources.tables[table], hash_key=hash_key)
    assert looked is not None
    return looked


def test_nothing_that_is_shown_identifies_a_person(shop: Path) -> None:
    told = "\n".join(describe(look(shop, "crm_contacts")))
    for personal in ("13800138000", "13900139000", "王小明", "李四", "门店", "000001", "wang.li"):
        assert personal not in told
    hashed = hash_phone("13800138000", KEY.encode())
    assert hashed is not None
    assert f"phone {hashed[:4]}…" in told
    assert "unionid oUni…" in told
    assert "contact_id c1 ·" in told
    assert "created_at 2026-10-01 08:00:00" in told


def test_without_a_hashing_key_phones_are_struck_out(shop: Path) -> None:
    told = "\n".join(describe(look(shop, "crm_contacts", hash_key=None)))
    assert "phone ***" in told
    write_company(shop, CONTACTS, key="")
    assert "phone ***" in "\n".join(finding(shop, "crm_contacts").lines)


def test_each_identifier_says_how_many_rows_have_one(shop: Path) -> None:
    lines = finding(shop, "crm_contacts").lines
    assert "unionid: 2 of 3 rows have one" in lines
    assert "member_no: 2 of 3 rows have one" in lines
    assert not [line for line in lines if line.startswith(("contact_id:", "customer_code:"))]


def test_records_that_nobody_made_through_an_interface_are_noted(shop: Path) -> None:
    found = finding(shop, "crm_contacts")
    assert (found.level, found.told) == ("note", "3 rows fit")
    assert "interface_actors" in found.mend
    assert "made through an interface: 0 of 3 rows" in found.lines
    write_company(shop, CONTACTS + "    interface_actors: [svc_sync]\n")
    found = finding(shop, "crm_contacts")
    assert (found.level, found.mend) == ("ok", "")
    assert "made through an interface: 2 of 3 rows" in found.lines


def write_orders(folder: Path, rows: list[str]) -> None:
    write_company(folder, ORDERS)
    lines = ["no,memo,state,at,amount", *rows]
    (folder / "exports" / "orders.csv").write_text("\n".join(lines))


def test_words_that_the_mapping_does_not_list_are_named_and_counted(tmp_path: Path) -> None:
    row = "S{0},单号2026100100000001,{1},2026-10-01,{2}"
    unknown = [row.format(at, "C", "1.00") for at in range(3)]
    write_orders(tmp_path, [row.format(8, "A", "1.00"), row.format(9, "B", "x"), *unknown])
    found = finding(tmp_path, "erp_orders")
    assert (found.level, found.told) == ("note", "1 rows fit, 4 are refused")
    assert "refused, 3 rows: state: found 'C' in state, allowed: A, B" in found.lines
    assert [line for line in found.lines if line.startswith("refused, 1 rows: amount_fen")]
    assert "complete `columns` of erp_orders" in found.mend


def test_a_mapping_that_fits_no_row_is_a_problem(tmp_path: Path) -> None:
    write_orders(tmp_path, ["S1,x,C,2026-10-01,1.00"])
    assert finding(tmp_path, "erp_orders").level == "problem"


def test_a_mapped_number_that_no_row_has_is_noted_and_one_that_is_not_mapped_told(
    tmp_path: Path,
) -> None:
    write_orders(tmp_path, ["S1,未知,A,2026-10-01,1.00"])
    found = finding(tmp_path, "erp_orders")
    assert found.level == "note"
    assert "no row has order_no" in found.mend
    assert "order_no: 0 of 1 rows have one" in found.lines
    assert "transaction_id: not mapped" in found.lines


def test_no_more_than_five_rows_are_shown_of_two_hundred(tmp_path: Path) -> None:
    rows = [f"S{at},2026100100000001,A,2026-10-01,1.00" for at in range(300)]
    write_orders(tmp_path, rows)
    looked = look(tmp_path, "erp_orders")
    assert (looked.rows_count, len(looked.shown)) == (200, 5)
    assert looked.present["order_no"] == 200


def test_figures_that_need_no_mapping_are_not_sampled(tmp_path: Path) -> None:
    write_company(tmp_path, "  mp_daily: {connector: wechat_miniprogram, connection: mp}\n")
    text = (tmp_path / "sources.yml").read_text().replace(
        "connections: {", "connections: {mp: {app_id: wx1, app_secret_env: MP_SECRET}, "
    )  # fmt: skip
    (tmp_path / "sources.yml").write_text(text)
    company = load_company(tmp_path, environment={})
    assert not isinstance(open_source("mp_daily", company), Sampled)


def test_files_of_two_folders_are_sampled_together(tmp_path: Path) -> None:
    (tmp_path / "contacts.csv").write_text("\n".join([HEADER, *ROWS]))
    columns = {"contact_id": "会员编号", "created_at": "创建时间", "updated_at": "创建时间"}
    company = make_company(
        tmp_path,
        {"crm_contacts": {"files": "contacts.csv", "columns": columns,
                          "connection": ["exports", "exports"]}},
    )  # fmt: skip
    source = open_source("crm_contacts", company)
    assert isinstance(source, Sampled)
    sample = source.sample(2)
    assert sample is not None
    assert sample.rows.num_rows == 4


def write_database(folder: Path, days: int) -> Path:
    path = folder / "erp.sqlite"
    with closing(sqlite3.connect(path)) as erp, erp:
        erp.execute("create table orders (no text, at text, state text, amount numeric)")
        erp.execute("create table lines (no text, line integer, sku text, quantity, amount)")
        for number in range(days):
            at = f"2026-10-{number + 1:02} 08:00:00"
            erp.execute("insert into orders values (?, ?, 'A', 1.5)", (f"S{number}", at))
            erp.execute("insert into lines values (?, 1, 'a', 1, 100)", (f"S{number}",))
    return path


@pytest.mark.parametrize(("limit", "found"), [(1, ["S19"]), (200, [f"S{at}" for at in range(20)])])
def test_of_a_database_the_latest_days_are_sampled(
    tmp_path: Path, limit: int, found: list[str]
) -> None:
    orders = {"erp_order_no": "no", "state": {"from": "state", "values": {"A": "paid"}},
              "ordered_at": "at", "created_at": "at", "updated_at": "at",
              "amount_fen": {"from": "amount", "unit": "yuan"}}  # fmt: skip
    lines = {"erp_order_no": "no", "line_no": "line", "sku": "sku", "quantity": "quantity",
             "amount_fen": {"from": "amount", "unit": "fen"}}  # fmt: skip
    url = f"sqlite:///{write_database(tmp_path, 20)}"
    company = make_company(
        tmp_path,
        {
            "erp_orders": {"connector": "sql", "table": "orders", "columns": orders},
            "erp_order_lines": {"connector": "sql", "table": "lines", "columns": lines},
        },
    )
    company.sources.connections["exports"] = Connection(url=url)
    dated, whole = (open_source(name, company) for name in ("erp_orders", "erp_order_lines"))
    assert isinstance(dated, Sampled)
    assert isinstance(whole, Sampled)
    sample = dated.sample(limit)
    assert sample is not None
    assert sorted(sample.rows.column("erp_order_no").to_pylist()) == sorted(found)
    assert sample.rows.column("amount_fen").to_pylist() == [150] * len(found)
    rest = whole.sample(limit)
    assert rest is not None
    assert rest.rows.num_rows == len(found)
