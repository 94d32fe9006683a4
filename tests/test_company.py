"""The company folder: what may be written there, and how every mistake is told."""

import os
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline.company import Company, load_company
from pipeline.errors import ConfigurationError

COMPANY = """name: Shop
first_day: 2026-03-01
"""
SOURCES = """connections:
  erp: {url: "sqlite:///systems/erp.sqlite"}
  exports: {folder: exports}
tables:
  erp_receipts:
    connector: sql
    connection: erp
    table: t_receipt
    columns:
      receipt_no: FNO
      amount_fen: {from: FAMOUNT, unit: yuan}
      received_at: FDATE
      created_at: FDATE
  erp_shipments:
    connector: files
    connection: exports
    files: "ship-{day}.csv"
"""
RETAIL = """business_line: retail
legs:
  booked: {window: 12h, late_after: 90s, tolerance_fen: 100, owner: finance}
  fulfilled: {mandatory: false}
"""
OWNERS = "finance: {team: Finance, contact: finance@example.com}\n"

Write = Callable[[str, str], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loops").mkdir()
    for name, text in {
        "company.yml": COMPANY, "sources.yml": SOURCES, "owners.yml": OWNERS,
        "loops/retail.yml": RETAIL,
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def load(folder: Path, **environment: str) -> Company:
    return load_company(folder, environment=environment)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def mistakes_of(folder: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(folder)
    return list(caught.value.mistakes)


def test_the_template_company_has_no_mistake() -> None:
    template = load_company(Path(__file__).parents[1] / "company", environment={})
    assert {(loop.business_line, loop.loop) for loop in template.loops} == {
        ("flash_sale", "order"), ("retail", "order"), ("retail", "aftersale"),
        ("fitting", "booking"), ("membership", "member"),
    }  # fmt: skip
    assert {leg.owner for loop in template.loops for leg in loop.legs[1:]} <= set(template.owners)


def test_an_identifier_may_lead_to_three_people_unless_the_company_says_otherwise(
    folder: Path,
) -> None:
    assert load(folder).identity.shared_limit == 3
    change(folder / "company.yml", "first_day", "identity: {shared_limit: 5}\nfirst_day")
    assert load(folder).identity.shared_limit == 5


def test_paths_are_taken_from_the_company_folder(folder: Path) -> None:
    company = load(folder)
    assert company.data == folder / "data"
    assert company.sources.connections["erp"].url == f"sqlite:///{folder}/systems/erp.sqlite"
    assert company.sources.connections["exports"].folder == folder / "exports"


def test_the_data_folder_asked_for_wins(folder: Path, tmp_path: Path) -> None:
    asked = tmp_path / "elsewhere"
    assert load_company(folder, data=asked, environment={}).data == asked


def test_a_file_with_the_day_in_its_name_holds_that_day(folder: Path) -> None:
    assert load(folder).sources.tables["erp_shipments"].holds == "day"
    change(folder / "sources.yml", "ship-{day}.csv", "ship.csv")
    assert load(folder).sources.tables["erp_shipments"].holds == "history"


def test_the_default_contract_is_that_of_the_semantics() -> None:
    hour = timedelta(hours=1)
    legs = [
        (leg.name, leg.after, leg.is_mandatory, leg.window, leg.late_after, leg.tolerance_fen)
        for leg in Company.default_loop().legs
    ]
    assert legs == [
        ("submitted", None, True, None, None, 0),
        ("paid", "submitted", True, 24 * hour, None, 0),
        ("booked", "paid", True, 24 * hour, hour / 2, 0),
        ("received", "booked", True, 48 * hour, 24 * hour, 0),
        ("fulfilled", "booked", True, 168 * hour, 72 * hour, 0),
        ("known", "submitted", True, 24 * hour, None, 0),
        ("reflowed", "fulfilled", True, 24 * hour, 2 * hour, 0),
        ("notified", "fulfilled", False, 24 * hour, hour, 0),
        ("refunded", "paid", False, 120 * hour, 24 * hour, 0),
    ]
    assert [leg.rank for leg in Company.default_loop().legs] == list(range(1, 10))


def test_a_contract_file_changes_only_what_it_says(folder: Path) -> None:
    (retail,) = load(folder).loops
    booked, default = retail.leg("booked"), Company.default_loop().leg("booked")
    assert (booked.window, booked.late_after) == (timedelta(hours=12), timedelta(seconds=90))
    assert (booked.tolerance_fen, booked.owner) == (100, "finance")
    assert (booked.is_mandatory, booked.rank) == (default.is_mandatory, default.rank)
    assert not retail.leg("fulfilled").is_mandatory
    assert retail.leg("paid") == Company.default_loop().leg("paid")


def test_a_misspelt_leg_is_told_with_file_line_and_the_word_meant(folder: Path) -> None:
    change(folder / "loops/retail.yml", "fulfilled", "fulfiled")
    (mistake,) = mistakes_of(folder)
    assert mistake == (
        "loops/retail.yml:4: legs.fulfiled: unknown leg, allowed: submitted, paid, booked,"
        " received, fulfilled, known, reflowed, notified, refunded; did you mean 'fulfilled'?"
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("company.yml", "first_day", "identity: {shared_limit: 0}\nfirst_day",
         ["company.yml:2: identity.shared_limit: found '0', allowed: 1 or more"]),
        ("company.yml", "first_day", "identity: {shared_limt: 5}\nfirst_day",
         ["company.yml:2: identity.shared_limt: unknown key, allowed: shared_limit",
          "did you mean 'shared_limit'?"]),
        ("company.yml", "first_day: 2026-03-01", "frist_day: 2026-03-01",
         ["company.yml:1: first_day: missing", "company.yml:2: frist_day: unknown key",
          "did you mean 'first_day'?"]),
        ("company.yml", "2026-03-01", "2026-02-30",
         ["company.yml:2: first_day: found '2026-02-30', allowed: a day such as 2026-10-01"]),
        ("company.yml", "name: Shop", "name: Shop\ntime_zone: UTC",
         ["company.yml:2: time_zone: found 'UTC', allowed: Asia/Shanghai"]),
        ("company.yml", "2026-03-01", "2026-03-01\nlast_day: 2026-02-01",
         ["last_day 2026-02-01, allowed: 2026-03-01 or later"]),
        ("company.yml", "name: Shop", "name: [Shop",
         ["company.yml:2: found text that is not YAML"]),
        ("company.yml", "name: Shop", "name: Shop\nname: Store",
         ["company.yml:2: found text that is not YAML"]),
        ("sources.yml", "connector: sql", "connector: sqll",
         ["sources.yml:6: tables.erp_receipts.connector: found 'sqll'", "did you mean 'sql'?"]),
        ("sources.yml", "connector: sql", "connector: wechat_pay",
         ["which cannot deliver erp_receipts, allowed: files, sql"]),
        ("sources.yml", "connection: erp", "connection: epr",
         ["sources.yml:7: tables.erp_receipts.connection: found 'epr', allowed: erp, exports"]),
        ("sources.yml", "erp_shipments:", "erp_shipment:",
         ["sources.yml:14: tables.erp_shipment: unknown table", "did you mean 'erp_shipments'?"]),
        ("sources.yml", "table: t_receipt", "table: t_receipt\n    query: select 1",
         ["found table and query, allowed: table or query, one of them"]),
        ("sources.yml", "    table: t_receipt\n", "",
         ["tables.erp_receipts: missing table or query, which connector 'sql' needs"]),
        ("sources.yml", "table: t_receipt", "table: t_receipt\n    encoding: gbk",
         ["sources.yml:9: tables.erp_receipts.encoding: a key that connector 'sql' does not read"]),
        ("sources.yml", "      receipt_no: FNO\n", "",
         ["sources.yml:9: tables.erp_receipts.columns: missing receipt_no, required"]),
        ("sources.yml", "receipt_no: FNO", "receipt_no: FNO\n      recieved_by: F",
         ["sources.yml:11: tables.erp_receipts.columns.recieved_by: unknown column"]),
        ("sources.yml", "unit: yuan", "unit: seconds",
         ["columns.amount_fen.unit: found 'seconds', allowed: yuan, fen"]),
        ("sources.yml", "created_at: FDATE",
         "created_at: FDATE\n      created_via: {from: F, values: {1: interfase}}",
         ["sources.yml:14: tables.erp_receipts.columns.created_via.values.1: found 'interfase'",
          "allowed: interface, ui, import; did you mean 'interface'?"]),
        ("sources.yml", '{url: "sqlite:///systems/erp.sqlite"}', "{folder: systems}",
         ["sources.yml:2: connections.erp.folder: a key that connector 'sql' does not read",
          "sources.yml:2: connections.erp: missing url or url_env, which connector 'sql' needs"]),
        ("sources.yml", "connector: files", "connector: files\n    encoding: utf-9",
         ["tables.erp_shipments.encoding: found 'utf-9', allowed: an encoding such as utf-8"]),
        ("sources.yml", "connector: files",
         "connector: files\n    rows: {from: F, values: {1: lands}}",
         ["tables.erp_shipments.rows: allowed beside `columns` only",
          "tables.erp_shipments.rows.values.1: found 'lands', allowed: land, skip"]),
        ("sources.yml", "connector: files", "connector: files\n    rows: F",
         ["tables.erp_shipments.rows: allowed beside `columns` only",
          "rows: missing `values`, the words of the source with land or skip"]),
        ("sources.yml", "table: t_receipt",
         "table: t_receipt\n    rows: {from: F, values: {1: land}}",
         ["tables.erp_receipts.rows: a key that connector 'sql' does not read"]),
        ("loops/retail.yml", "12h", "12 hours",
         ["loops/retail.yml:3: legs.booked.window: found '12 hours', allowed: a duration"]),
        ("loops/retail.yml", "window: 12h", "window: 60s",
         ["legs.booked.late_after: found 90s, allowed: at most the window, 1m"]),
        ("loops/retail.yml", "owner: finance", "owner: finanse",
         ["legs.booked.owner: found 'finanse', allowed: finance; did you mean 'finance'?"]),
        ("loops/retail.yml", "legs:", "loop: orders\nlegs:",
         ["loops/retail.yml:2: loop: found 'orders', allowed: order, booking, aftersale, member;",
          "did you mean 'order'?"]),
        ("loops/retail.yml", "  fulfilled", "  submitted: {window: 1h}\n  fulfilled",
         ["loops/retail.yml:4: legs.submitted: found a time limit, allowed: none"]),
        ("owners.yml", "team: Finance", "tem: Finance",
         ["owners.yml:1: tem: unknown key, allowed: team, contact; did you mean 'team'?"]),
    ],
)  # fmt: skip
def test_a_mistake_names_file_line_key_what_was_found_and_what_is_allowed(
    folder: Path, file: str, old: str, new: str, told: list[str]
) -> None:
    change(folder / file, old, new)
    listed = "\n".join(mistakes_of(folder))
    for part in told:
        assert part in listed


def test_all_mistakes_of_all_files_are_told_at_once(folder: Path) -> None:
    change(folder / "company.yml", "first_day", "frist_day")
    change(folder / "sources.yml", "unit: yuan", "unit: yaun")
    change(folder / "sources.yml", "connection: exports", "connection: export")
    change(folder / "loops/retail.yml", "12h", "half a day")
    change(folder / "loops/retail.yml", "fulfilled", "fulfiled")
    (folder / "costs.csv").write_text("item,unit,amount_fen\nrunning,month,1.5\n")
    told = mistakes_of(folder)
    assert [mistake.split(": ")[0] for mistake in told] == [
        "company.yml:1", "company.yml:2", "sources.yml:11", "sources.yml:16",
        "loops/retail.yml:3", "loops/retail.yml:4", "costs.csv:2",
    ]  # fmt: skip


def test_two_files_for_one_line_and_loop_are_refused(folder: Path) -> None:
    (folder / "loops/retail2.yml").write_text("business_line: retail\n")
    assert mistakes_of(folder) == [
        "loops/retail2.yml:1: business_line: found 'retail' again,"
        " allowed: one file per line and loop"
    ]


def test_a_missing_sources_file_is_told_with_what_is_there(folder: Path) -> None:
    (folder / "sources.yml").rename(folder / "souces.yml")
    assert "sources.yml:1: missing; found company.yml, owners.yml, souces.yml" in mistakes_of(
        folder
    )


def test_a_folder_without_company_file_is_told_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="bihuan init"):
        load(tmp_path)


def test_variables_are_expanded_with_their_default(folder: Path) -> None:
    change(folder / "company.yml", "Shop", "${SHOP_NAME:-Shop}")
    assert load(folder).name == "Shop"
    assert load(folder, SHOP_NAME="Store").name == "Store"


def test_a_variable_that_is_not_set_is_a_mistake(folder: Path) -> None:
    change(folder / "company.yml", "Shop", "${SHOP_NAME}")
    (mistake,) = mistakes_of(folder)
    assert mistake.startswith("company.yml:1: name: found ${SHOP_NAME}, which is not set")


def test_the_environment_overrides_the_env_file(folder: Path) -> None:
    (folder / ".env").write_text('ROBOT=from-file\nQUOTED="a b"\n')
    assert load(folder).secret("ROBOT").get_secret_value() == "from-file"
    assert load(folder).secret("QUOTED").get_secret_value() == "a b"
    assert load(folder, ROBOT="from-outside").secret("ROBOT").get_secret_value() == "from-outside"


def test_a_missing_secret_is_told_by_its_variable(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="the variable ROBOT is not set"):
        load(folder).secret("ROBOT")


def test_no_secret_shows_in_a_message_or_in_print(folder: Path) -> None:
    company = load(folder, ROBOT="s3cret")
    assert "s3cret" not in f"{company!r} {company.secret('ROBOT')} {company.model_dump()}"
    change(folder / "company.yml", "2026-03-01", "${ROBOT}")
    with pytest.raises(ConfigurationError) as caught:
        load(folder, ROBOT="s3cret")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("key", ["short", "x" * 65])
def test_a_hash_key_of_the_wrong_length_is_refused_without_showing_it(
    folder: Path, key: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _ = load(folder, BIHUAN_HASH_KEY=key).hash_key
    assert key not in str(caught.value)
    assert "allowed: 16 to 64" in str(caught.value)


def test_no_file_of_secrets_is_tracked() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=Path(__file__).parents[1], capture_output=True, text=True,
        env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"}, check=False,
    ).stdout  # fmt: skip
    assert not [name for name in listed.splitlines() if Path(name).name == ".env"]


def test_days_are_days(folder: Path) -> None:
    assert load(folder).first_day == date(2026, 3, 1)
