"""A company folder is made for its systems, a drop or a simulation; what does not fit is named."""

import csv
import gzip
import itertools
import json
import re
import stat
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.company import Company, load_company
from pipeline.company.creation import (
    Created,
    Wanted,
    create_from_drop,
    create_from_systems,
    create_from_template,
)
from pipeline.company.fragments import ROLES, SYSTEMS, choose, systems_for
from pipeline.drop import read_drop
from pipeline.errors import ConfigurationError

PAGES = Path(__file__).resolve().parents[1] / "docs" / "connectors"
Row = Mapping[str, object]

EVENTS: list[Row] = [
    {"event_id": f"e{at}", "event": "order_submit", "occurred_at": instant, "channel": "h5",
     "session_id": "s1", "business_line": "retail", "case_no": f"n{at}"}
    for at, instant in enumerate(
        # The first is a Shanghai day later than its UTC day; the second bears its zone.
        ["2026-03-01T16:30:00Z", "2026-03-03T08:00:00+08:00", "2026-03-20 03:00:00"]
    )
]  # fmt: skip
SHIPMENTS: list[Row] = [
    {"shipment_no": f"d{at}", "erp_order_no": f"o{at}", "state": "shipped", "created_at": instant,
     "created_by": actor, "created_via": via}
    for at, (instant, actor, via) in enumerate([
        ("2026-02-27T02:00:00Z", "svc_bridge", "interface"),
        ("2026-03-22T02:00:00Z", "svc_wms", "interface"),
        ("2026-03-21T02:00:00Z", "wang.li", "ui"),
    ])
]  # fmt: skip


def write_csv(path: Path, rows: Sequence[Row], encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    write_csv(folder / "tracking_events.csv", EVENTS)
    write_csv(folder / "erp_shipments.csv", SHIPMENTS)
    return folder


def mistakes_of(drop: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_drop(drop)
    return str(caught.value)


def actors_of(drop: Path) -> dict[str, tuple[str, ...]]:
    found = read_drop(drop).tables
    return {made.table.name: made.interface_actors for made in found if made.interface_actors}


def test_the_first_day_is_that_of_the_first_tracked_event_and_the_last_that_of_any_row(
    drop: Path,
) -> None:
    found = read_drop(drop)
    assert (found.first_day, found.last_day) == (date(2026, 3, 2), date(2026, 3, 22))


def test_without_tracked_events_the_first_day_is_the_least_of_all_tables(drop: Path) -> None:
    (drop / "tracking_events.csv").unlink()
    assert read_drop(drop).first_day == date(2026, 2, 27)


def test_a_mistyped_year_sets_neither_the_first_nor_the_last_day(drop: Path) -> None:
    stray = [dict(EVENTS[0]) | {"occurred_at": "1970-01-01T00:00:00Z"}]
    later = [dict(SHIPMENTS[0]) | {"created_at": "2062-03-01T00:00:00Z"}]
    write_csv(drop / "tracking_events.csv", [*EVENTS, *stray])
    write_csv(drop / "erp_shipments.csv", [*SHIPMENTS, *later])
    found = read_drop(drop)
    assert (found.first_day, found.last_day) == (date(2026, 3, 2), date(2026, 3, 22))
    assert "1 rows of 1970-01-01 to 1970-01-01" in "\n".join(found.notes)


def test_interface_actors_are_those_seen_to_create_through_an_interface(drop: Path) -> None:
    assert actors_of(drop) == {"erp_shipments": ("svc_bridge", "svc_wms")}


def test_every_format_and_a_folder_of_files_are_recognised(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    lines = "\n".join(json.dumps(row) for row in EVENTS)
    with gzip.open(folder / "tracking_events.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(lines)
    for at, row in enumerate(SHIPMENTS):
        write_csv(folder / "erp_shipments" / f"part-{at}.csv", [row])
    orders = {"transaction_id": ["t1"], "order_no": ["n1"], "order_state": [2],
              "paid_amount_fen": [100], "paid_at": ["2026-03-05T00:00:00Z"]}  # fmt: skip
    pq.write_table(pa.table(orders), folder / "mp_orders.parquet")
    found = {table.table.name: table.pattern for table in read_drop(folder).tables}
    assert found == {
        "erp_shipments": "erp_shipments/*.csv",
        "mp_orders": "mp_orders.parquet",
        "tracking_events": "tracking_events.jsonl.gz",
    }
    assert read_drop(folder).last_day == date(2026, 3, 22)


def test_a_gbk_file_is_read_as_landing_will_read_it(drop: Path) -> None:
    named = [dict(row) | {"created_by": "王丽"} for row in SHIPMENTS]
    write_csv(drop / "erp_shipments.csv", named, encoding="gbk")
    assert actors_of(drop) == {"erp_shipments": ("王丽",)}


def test_missing_required_columns_are_all_named(drop: Path) -> None:
    write_csv(drop / "erp_shipments.csv", [{"shipment_no": "d1", "erp_order_no": "o1"}])
    write_csv(drop / "erp_receipts.csv", [{"receipt_no": "r1"}])
    told = mistakes_of(drop)
    assert "erp_shipments.csv: found no column 'state', 'created_at'" in told
    assert "erp_receipts.csv: found no column 'amount_fen', 'received_at', 'created_at'" in told


def test_a_column_that_no_table_has_is_named_and_left_out(drop: Path) -> None:
    write_csv(drop / "erp_shipments.csv", [dict(row) | {"courier": "SF"} for row in SHIPMENTS])
    assert "erp_shipments.csv: columns left out: courier" in read_drop(drop).notes


def test_a_row_that_cannot_be_read_is_noted_with_its_line(drop: Path) -> None:
    with (drop / "erp_shipments.csv").open("a") as file:
        file.write("d9,o9,shipped\n")
    assert "1 rows cannot be read" in "\n".join(read_drop(drop).notes)
    assert "erp_shipments.csv:5" in "\n".join(read_drop(drop).notes)


def test_unknown_files_are_named_and_do_not_stop_the_wiring(drop: Path) -> None:
    write_csv(drop / "erp_shipment.csv", SHIPMENTS)
    (drop / "notes.docx").write_bytes(b"")
    notes = "\n".join(read_drop(drop).notes)
    assert "erp_shipment.csv: no landed table, did you mean 'erp_shipments'?" in notes
    assert "notes.docx: no landed table" in notes


def test_a_table_in_two_files_is_refused(drop: Path) -> None:
    write_csv(drop / "erp_shipments" / "a.csv", SHIPMENTS)
    assert "found erp_shipments/a.csv, erp_shipments.csv, allowed: one file" in mistakes_of(drop)


def test_a_truncated_file_is_named(drop: Path) -> None:
    whole = gzip.compress((drop / "erp_shipments.csv").read_bytes())
    (drop / "erp_shipments.csv").unlink()
    (drop / "erp_shipments.csv.gz").write_bytes(whole[:40])
    assert "erp_shipments.csv.gz: the compressed file is broken" in mistakes_of(drop)


def test_a_manifest_is_checked_line_by_line(drop: Path) -> None:
    manifest = (
        "table,complete_until\ntracking_event,2026-03-23T00:00:00+08:00\nerp_shipments,soon\n"
    )
    (drop / "_manifest.csv").write_text(manifest)
    told = mistakes_of(drop)
    assert "_manifest.csv:2: table: found 'tracking_event'" in told
    assert "did you mean 'tracking_events'?" in told
    assert "_manifest.csv:3: complete_until: found 'soon'" in told


def test_an_empty_folder_is_no_drop(tmp_path: Path) -> None:
    assert "found no landed table" in mistakes_of(tmp_path)


def test_a_company_made_from_a_drop_loads_and_copies_nothing(drop: Path, tmp_path: Path) -> None:
    create_from_drop(tmp_path / "shop", read_drop(drop))
    shop = load_company(tmp_path / "shop", environment={})
    assert shop.name == "shop"
    assert (shop.first_day, shop.last_day) == (date(2026, 3, 2), date(2026, 3, 22))
    assert set(shop.sources.tables) == {"tracking_events", "erp_shipments"}
    assert shop.sources.connections["drop"].folder == drop
    assert shop.data == tmp_path / "shop" / "data"
    assert len(shop.hash_key) == 64
    assert not list((tmp_path / "shop").rglob("*.csv"))


def test_the_hashing_key_is_fresh_private_and_ignored_by_git(drop: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        create_from_drop(tmp_path / name, read_drop(drop))
    keys = [(tmp_path / name / ".env").read_text() for name in ("one", "two")]
    assert keys[0] != keys[1]
    assert stat.S_IMODE((tmp_path / "one" / ".env").stat().st_mode) == 0o600
    assert ".env" in (tmp_path / "one" / ".gitignore").read_text().splitlines()


def test_a_company_folder_is_never_overwritten(drop: Path, tmp_path: Path) -> None:
    create_from_template(tmp_path / "shop")
    before = (tmp_path / "shop" / "company.yml").read_bytes()
    with pytest.raises(ConfigurationError, match="a company folder already"):
        create_from_drop(tmp_path / "shop", read_drop(drop))
    with pytest.raises(ConfigurationError, match="a company folder already"):
        create_from_template(tmp_path / "shop")
    assert (tmp_path / "shop" / "company.yml").read_bytes() == before


def test_the_template_tells_what_to_fill_in_and_loads_as_it_is(tmp_path: Path) -> None:
    wanting = create_from_template(tmp_path / "shop")
    assert wanting == ["company.yml", "owners.yml", "scenarios.yml", "sources.yml"]
    shop = load_company(tmp_path / "shop", environment={})
    assert {loop.loop for loop in shop.loops} == {"order", "booking", "aftersale", "member"}
    assert "MINI_PROGRAM_SECRET=\n" in (tmp_path / "shop" / ".env").read_text()
    assert not (tmp_path / "shop" / "systems").exists()


def made(folder: Path, lines: Sequence[str] = (), **systems: Sequence[str]) -> Created:
    return create_from_systems(folder, Wanted("店", date(2026, 10, 1), choose(systems), lines))


def loaded(folder: Path) -> Company:
    return load_company(folder, environment={})


def pairs_of_systems() -> list[tuple[str, str]]:
    return list(itertools.product(systems_for("erp"), systems_for("crm")))


@pytest.mark.parametrize(("erp", "crm"), pairs_of_systems())
def test_every_erp_with_every_crm_loads_without_a_mistake(
    tmp_path: Path, erp: str, crm: str
) -> None:
    wechat = systems_for("wechat")
    made(tmp_path, ["retail"], wechat=wechat, tracking=["files"], erp=[erp], crm=[crm])
    tables = loaded(tmp_path).sources.tables
    assert {"erp_orders", "crm_contacts", "tracking_events", "pay_bill"} <= set(tables)
    assert tables["erp_orders"].connector == erp
    assert tables["crm_contacts"].connector == crm


@pytest.mark.parametrize("role", ROLES)
def test_every_system_loads_alone(tmp_path: Path, role: str) -> None:
    assert systems_for(role)
    for system in systems_for(role):
        made(tmp_path / system, **{role: [system]})
        assert loaded(tmp_path / system).sources.tables


def test_any_of_wechats_parts_load_together(tmp_path: Path) -> None:
    parts = systems_for("wechat")
    for count in range(len(parts) + 1):
        for chosen in itertools.combinations(parts, count):
            folder = tmp_path / ("-".join(chosen) or "nothing")
            made(folder, wechat=chosen)
            tables = loaded(folder).sources.tables
            quota = tables["wechat_quota"].connections if "wechat_quota" in tables else ()
            accounts = [name for name in ("mini_program", "service_account") if name in chosen]
            assert list(quota) == accounts


def test_a_new_company_names_its_secrets_and_none_is_set(tmp_path: Path) -> None:
    created = made(tmp_path, wechat=["mini_program", "callbacks"], erp=["sql"])
    assert created.secrets == (
        "CALLBACK_KEY", "CALLBACK_TOKEN", "ERP_DATABASE_URL", "MINI_PROGRAM_SECRET",
    )  # fmt: skip
    written = (tmp_path / ".env").read_text().splitlines()
    assert [line for line in written if line.endswith("=")] == [
        f"{name}=" for name in created.secrets
    ]
    shop = loaded(tmp_path)
    assert len(shop.hash_key) == 64
    with pytest.raises(ConfigurationError, match="MINI_PROGRAM_SECRET is not set"):
        shop.secret("MINI_PROGRAM_SECRET")


def test_a_new_company_has_a_folder_for_each_kind_of_export(tmp_path: Path) -> None:
    created = made(tmp_path, erp=["files"], crm=["files"])
    assert [folder.name for folder in created.folders] == ["erp", "crm"]
    for name, folder in zip(("erp_files", "crm_files"), created.folders, strict=True):
        assert loaded(tmp_path).sources.connections[name].folder == folder
        assert folder.is_dir()


def test_a_new_company_has_a_contract_for_each_business_line(tmp_path: Path) -> None:
    made(tmp_path, ["retail", "flash_sale"])
    assert [loop.business_line for loop in loaded(tmp_path).loops] == ["flash_sale", "retail"]
    with pytest.raises(ConfigurationError, match=r"found '\.\./x', allowed: a code such as"):
        made(tmp_path / "other", ["../x"])
    assert not (tmp_path / "other").exists()


def test_a_new_company_is_none_of_the_simulated_one(tmp_path: Path) -> None:
    made(tmp_path, ["retail"], **{role: systems_for(role)[:1] for role in ROLES})
    written = "".join(path.read_text() for path in tmp_path.rglob("*.yml"))
    assert "SIMULATED" not in written
    assert "Simulated" not in written
    assert "systems/" not in written


def test_a_system_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigurationError, match=r"--erp: found 'sqll'.*did you mean 'sql'"):
        choose({"erp": ["sqll"]})
    assert choose({"erp": ["none"], "crm": ["sql"]}) == {"crm": ("sql",)}
    with pytest.raises(ConfigurationError, match="--erp: found sql and files, allowed: one"):
        choose({"erp": ["sql", "files"]})


def shown_tables(page: Path) -> dict[str, dict[str, object]]:
    """The tables of a page's first complete example."""
    examples = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return next(yaml.safe_load(text) for text in examples if "\ntables:" in text)["tables"]


def test_what_a_system_starts_with_is_what_its_page_shows() -> None:
    compared = 0
    for part in sorted(SYSTEMS.glob("*/*.yml")):
        page = PAGES / f"{part.parent.name}.md"
        if part.stem == "connection" or not page.exists():
            continue
        shown = shown_tables(page)
        for name, written in yaml.safe_load(part.read_text(encoding="utf-8")).items():
            assert written["columns"] == shown[name]["columns"], f"{part}: {name}"
            compared += 1
    assert compared >= 8
