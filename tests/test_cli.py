"""The command line: what it prints, how it ends, and that it is quick to help."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from pipeline.cli import choose_days, main
from pipeline.company import Company, load_company
from pipeline.doctor import Finding, examine
from pipeline.explain import UnknownCaseError, find_case, tell_case
from pipeline.terminal import open_console, tell_warnings, without_chatter
from pipeline.warehouse import Warehouse
from tests.published_marts import AS_OF, Case, Divergence, publish

COMPANY = """name: Shop
first_day: 2026-10-01
last_day: 2026-10-05
alerts: {channels: [{name: ops, transport: wecom, key_env: ROBOT_KEY}]}
"""
SOURCES = """connections:
  exports: {folder: exports}
  mini_program: {base_url: "http://127.0.0.1:9", app_id: wx1, app_secret_env: APP_SECRET}
tables:
  erp_order_lines: {connector: files, connection: exports, files: lines.csv}
  erp_shipments: {connector: files, connection: exports, files: ship.csv}
"""
LINES = "erp_order_no,line_no,sku,quantity,amount_fen\no1,1,a,1,100\n"
WATERMARKS = [
    {"table_name": "pay_bill", "is_connected": True, "complete_until": AS_OF},
    {"table_name": "messages", "is_connected": True, "complete_until": AS_OF},
    {"table_name": "crm_contacts", "is_connected": False, "complete_until": None},
]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """Somebody at a keyboard."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shop = tmp_path / "shop"
    (shop / "exports").mkdir(parents=True)
    (shop / "company.yml").write_text(COMPANY)
    (shop / "sources.yml").write_text(SOURCES)
    (shop / "exports" / "lines.csv").write_text(LINES)
    (shop / ".env").write_text(f"BIHUAN_HASH_KEY={'k' * 32}\nROBOT_KEY=robot-s3cret\n")
    return shop


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def run_command(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return Ended(int(ended.value.code or 0), told.out, told.err)

    return run_command


def published(folder: Path, *cases: Case) -> Warehouse:
    (folder / "data").mkdir()
    publish(folder / "data" / "bihuan.duckdb", cases, watermarks=WATERMARKS)
    return Warehouse(folder / "data")


def story(folder: Path, case: Case, asked: str | None = None) -> str:
    return "\n".join(tell_case(find_case(published(folder, case), asked or case.number)))


def test_help_loads_nothing_heavy() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c",
         "import sys\nfrom pipeline.cli import app\nprint(*sys.modules, sep='\\n')"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert not {"dagster", "duckdb", "pyarrow", "pandas", "httpx", "pydantic"} & set(loaded)


def test_a_wrong_company_folder_ends_with_two_and_without_a_traceback(
    run: Callable[..., Ended], tmp_path: Path
) -> None:
    ended = run("build", "--company", tmp_path)
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert "bihuan init DIR" in ended.err
    assert "Traceback" not in ended.err


def test_all_mistakes_of_the_folder_are_printed(run: Callable[..., Ended], folder: Path) -> None:
    (folder / "company.yml").write_text(COMPANY.replace("first_day", "frist_day"))
    (folder / "sources.yml").write_text(SOURCES.replace("connector: files", "connector: fils"))
    ended = run("explain", "1", "--company", folder)
    assert ended.code == 2
    assert "company.yml:2: frist_day: unknown key" in ended.err
    assert "did you mean 'files'?" in ended.err


def test_a_command_that_does_not_exist_ends_with_two(run: Callable[..., Ended]) -> None:
    assert run("biuld").code == 2


def test_a_template_company_is_made_and_says_what_to_fill_in(
    run: Callable[..., Ended], tmp_path: Path
) -> None:
    ended = run("init", tmp_path / "shop", "--template")
    assert ended.code == 0
    assert f"fill in {tmp_path / 'shop' / 'company.yml'}" in ended.out
    assert run("init", tmp_path / "shop", "--template").code == 2


def test_a_company_is_wired_to_the_systems_that_are_named(
    run: Callable[..., Ended], tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    parts = ("--wechat", "mini_program,merchant", "--erp", "sql", "--crm", "none")
    ended = run("init", shop, *parts, "--name", "小店", "--first-day", "2026-10-01")
    assert ended.code == 0
    assert "✓ wechat: mini_program, merchant" in ended.out
    assert "ERP_DATABASE_URL, MINI_PROGRAM_SECRET" in ended.out
    assert f"bihuan doctor --company {shop}" in ended.out
    company = load_company(shop, environment={})
    assert (company.name, company.first_day) == ("小店", date(2026, 10, 1))
    assert {"erp_orders", "pay_bill", "mp_daily"} <= set(company.sources.tables)
    assert "crm_contacts" not in company.sources.tables
    assert run("init", shop, *parts).code == 2
    both = run("init", tmp_path / "other", "--template", "--erp", "sql")
    assert (both.code, "found --template and --erp" in both.err) == (2, True)
    unknown = run("init", tmp_path / "other", "--erp", "sapp")
    assert unknown.code == 2
    assert "--erp: found 'sapp', allowed: " in unknown.err
    assert not (tmp_path / "other").exists()


def test_where_nobody_can_be_asked_wechat_and_files_are_taken_for_granted(
    run: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    ended = run("init", tmp_path / "shop")
    assert ended.code == 0
    assert "✓ erp: files" in ended.out
    assert f"put exports into {tmp_path / 'shop' / 'drop' / 'erp'}" in ended.out


def test_a_person_is_asked_and_enter_takes_what_is_usual(
    run: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["", "n", "", "", "", "none", "sap", "sql", "", "小店", "retail, spa", "soon", ""]
    monkeypatch.setattr(sys, "stdin", Terminal("".join(f"{answer}\n" for answer in answers)))
    ended = run("init", tmp_path / "shop", "--first-day", "2026-10-01")
    assert ended.code == 0
    assert "A service account, with its AppSecret?" in ended.out
    assert "found 'soon', allowed: a day such as 2026-10-01" in ended.out
    company = load_company(tmp_path / "shop", environment={})
    assert (company.name, company.first_day) == ("小店", date(2026, 10, 1))
    assert [loop.business_line for loop in company.loops] == ["retail", "spa"]
    tables = company.sources.tables
    assert tables["erp_orders"].connector == "sql"
    assert tables["crm_contacts"].connector == "files"
    assert not {"oa_users", "messages"} & set(tables)
    assert {"mp_daily", "pay_bill", "tracking_events"} <= set(tables)


def test_a_drop_is_wired_and_what_does_not_fit_is_told(
    run: Callable[..., Ended], tmp_path: Path
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "erp_order_lines.csv").write_text(LINES)
    (drop / "crm_contacts.csv").write_text(
        "contact_id,created_at,updated_at\nc1,2026-10-01T00:00:00Z,2026-10-01T00:00:00Z\n"
    )
    (drop / "erp_oders.csv").write_text("a\n")
    ended = run("init", tmp_path / "shop", "--drop", drop)
    assert ended.code == 0
    assert "! erp_oders.csv: no landed table, did you mean 'erp_orders'?" in ended.out
    assert "crm_contacts.csv: 1 rows" in ended.out
    told = ("--name", "未见商贸", "--first-day", "2026-10-01")
    assert run("init", tmp_path / "named", "--drop", drop, *told).code == 0
    written = (tmp_path / "named" / "company.yml").read_text()
    assert "未见商贸" in written
    assert "first_day: 2026-10-01" in written
    ended = run("init", tmp_path / "lined", "--drop", drop, "--line", "snacks")
    assert ended.code == 2
    assert "found --drop and --line" in ended.err
    (drop / "crm_contacts.csv").write_text("contact_id\nc1\n")
    ended = run("init", tmp_path / "other", "--drop", drop)
    assert ended.code == 2
    assert "crm_contacts.csv: found no column 'created_at', 'updated_at'" in ended.err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("day", "first", "last", "chosen"),
    [
        (None, None, None, None),
        (2, None, None, [2]),
        (None, 2, 4, [2, 3, 4]),
        (None, None, 2, [1, 2]),
        (None, 4, None, [4, 5]),
    ],
)
def test_days_are_chosen_inclusively(
    folder: Path, day: int | None, first: int | None, last: int | None, chosen: list[int] | None
) -> None:
    shop = load_company(folder, environment={})
    asked = [datetime(2026, 10, number) if number else None for number in (day, first, last)]  # noqa: DTZ001
    wanted = None if chosen is None else [date(2026, 10, number) for number in chosen]
    assert choose_days(shop, *asked) == wanted


def test_days_that_contradict_each_other_are_refused(
    run: Callable[..., Ended], folder: Path
) -> None:
    both = run("build", "--company", folder, "--day", "2026-10-02", "--to", "2026-10-03")
    backwards = run("build", "--company", folder, "--from", "2026-10-03", "--to", "2026-10-02")
    assert (both.code, backwards.code) == (2, 2)
    assert "allowed: one or the other" in both.err
    assert "allowed: --to on or after it" in backwards.err


def test_a_case_is_found_by_order_number_case_id_or_erp_number(folder: Path) -> None:
    warehouse = published(folder, Case("A1"), Case("A2"))
    for asked in ("A1", "order:A1", "SOA1", " A1 "):
        assert find_case(warehouse, asked).case["case_id"] == "order:A1"


def test_an_unknown_case_gives_the_nearest_and_ends_with_one(
    run: Callable[..., Ended], folder: Path
) -> None:
    warehouse = published(folder, Case("A100"), Case("B999"))
    with pytest.raises(UnknownCaseError):
        find_case(warehouse, "A101")
    ended = run("explain", "A101", "--company", folder)
    assert ended.code == 1
    assert "did you mean one of order:A100?" in ended.err


def test_nothing_published_is_told(run: Callable[..., Ended], folder: Path) -> None:
    ended = run("explain", "A1", "--company", folder)
    assert ended.code == 1
    assert "run bihuan build" in ended.err


def test_a_case_that_closes_is_told_as_proven(folder: Path) -> None:
    told = story(folder, Case("A1", by_hand=("booked",)))
    assert "order:A1 · retail · mini_program · ¥128.00" in told
    assert "The front end shows success. The loop is closed: every mandatory leg is proven." in told
    assert "made by hand" not in told
    assert "✓ booked     verified" in told
    assert "¥128.00, by hand" in told


def test_a_broken_leg_tells_where_was_looked_and_who_owns_it(folder: Path) -> None:
    missing = Divergence("paid", "booked_not_paid")
    told = story(folder, Case("A1", broken="paid", divergences=(missing,)))
    assert "✗ paid       refuted — booked_not_paid" in told
    assert "no payment of this number in pay_bill (complete until 2026-10-31 00:00:00)" in told
    assert "owner      nobody" in told
    # One fault is told once: the legs behind it only point back.
    assert "✗ booked     refuted: a leg that it comes after is broken" in told
    assert told.count("why ") == 1


def test_what_cannot_be_verified_says_which_source_is_missing(folder: Path) -> None:
    told = story(folder, Case("A1", truths={"known": "unverifiable"}))
    assert "? known      unverifiable" in told
    assert "no contact of this person in crm_contacts (not connected)" in told
    assert "crm_contacts cannot be asked" in told


def test_what_may_still_come_names_the_leg_that_it_waits_for(folder: Path) -> None:
    waiting = {"fulfilled": "pending", "reflowed": "pending"}
    told = story(folder, Case("A1", is_mature=False, truths=waiting))
    assert "Nothing is broken so far, and fulfilled, reflowed may still come." in told
    assert "its source is not complete up to the end of its window" in told
    assert "fulfilled, which it comes after, is not decided yet" in told


def test_what_nobody_can_tell_names_the_leg_that_it_hangs_on(folder: Path) -> None:
    untold = {"fulfilled": "unverifiable", "notified": "unverifiable"}
    told = story(folder, Case("A1", truths=untold))
    assert "Nobody can prove fulfilled." in told
    assert "erp_shipments cannot be asked" in told
    assert "nobody can tell fulfilled, which it comes after" in told


def test_an_abandoned_case_is_no_divergence(folder: Path) -> None:
    told = story(folder, Case("A1", is_abandoned=True, is_claimed=False))
    assert "an interruption, not a divergence" in told
    assert "– paid       not due" in told


def test_a_healed_divergence_is_history(folder: Path) -> None:
    healed = Divergence("booked", "paid_not_booked", truth="verified", is_healed=True)
    assert "healed: booked was paid_not_booked from" in story(
        folder, Case("A1", divergences=(healed,))
    )


def test_a_query_reads_and_cannot_write(run: Callable[..., Ended], folder: Path) -> None:
    published(folder, Case("A[1]"))
    ended = run("query", "select case_id from marts.fct_cases", "--company", folder)
    assert ended.code == 0
    assert "order:A[1]" in ended.out
    refused = run("query", "delete from marts.fct_cases", "--company", folder)
    assert refused.code == 1
    assert "read-only" in refused.err


def test_a_real_companys_folder_is_never_simulated_over(
    run: Callable[..., Ended], folder: Path
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for command in (("simulate", folder), ("demo", "--company", folder)):
        ended = run(*command)
        assert ended.code == 2
        assert "is not the simulated company; nothing was changed" in ended.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_alerts_of_a_company_that_has_none(run: Callable[..., Ended], folder: Path) -> None:
    ended = run("alerts", "list", "--company", folder)
    assert ended.code == 0
    assert "no alert is open" in ended.out
    assert run("alerts", "ack", "abc", "--by", "li", "--company", folder).code == 2


def examined(folder: Path, clock: httpx.Client | None = None, **environment: str) -> list[Finding]:
    company: Company = load_company(folder, environment=environment)
    return list(examine(company, client=clock or clock_at(NOW), now=NOW))


NOW = datetime(2026, 10, 6, 4, tzinfo=UTC)


def clock_at(instant: datetime) -> httpx.Client:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(404, headers={"date": format_datetime(instant, usegmt=True)})

    return httpx.Client(transport=httpx.MockTransport(answer))


def levels(findings: list[Finding]) -> Iterator[tuple[str, str]]:
    return ((finding.subject, finding.level) for finding in findings)


def test_the_doctor_tells_each_system_apart_and_how_to_mend_it(folder: Path) -> None:
    findings = {finding.subject: finding for finding in examined(folder)}
    assert findings["erp_order_lines (exports)"].level == "ok"
    broken = findings["erp_shipments (exports)"]
    assert broken.level == "problem"
    assert "found no file 'ship.csv'" in broken.told
    assert "sources.yml" in broken.mend


def test_the_doctor_asks_for_the_secrets_of_what_is_used_and_shows_none(folder: Path) -> None:
    (folder / ".env").write_text("ROBOT_KEY=robot-s3cret\n")
    findings = examined(folder)
    told = dict(levels(findings))
    assert told["secret BIHUAN_HASH_KEY"] == "problem"
    assert told["secret ROBOT_KEY"] == "ok"
    # The connection mini_program is not used by any table.
    assert "secret APP_SECRET" not in told
    assert "robot-s3cret" not in str(findings)


@pytest.mark.parametrize(("seconds", "level"), [(59, "ok"), (61, "problem"), (-61, "problem")])
def test_the_doctor_compares_the_clock_with_a_servers(
    folder: Path, seconds: int, level: str
) -> None:
    findings = examined(folder, clock_at(NOW + timedelta(seconds=seconds)))
    assert dict(levels(findings))["clock"] == level


def test_the_doctor_compares_the_clock_where_only_the_default_address_is_known(
    folder: Path,
) -> None:
    connections = SOURCES.replace('base_url: "http://127.0.0.1:9", ', "")
    (folder / "sources.yml").write_text(
        connections + "  mp_orders: {connector: wechat_orders, connection: mini_program}\n"
    )
    company = load_company(folder, environment={})
    assert company.sources.addresses() == ["https://api.weixin.qq.com"]


def test_a_clock_that_cannot_be_compared_is_only_noted(folder: Path) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    findings = examined(folder, httpx.Client(transport=httpx.MockTransport(refuse)))
    assert dict(levels(findings))["clock"] == "note"


def test_the_doctor_ends_with_one_while_something_is_wrong(
    run: Callable[..., Ended], folder: Path
) -> None:
    (folder / "sources.yml").write_text(SOURCES.replace('base_url: "http://127.0.0.1:9", ', ""))
    ended = run("doctor", "--company", folder)
    assert ended.code == 1
    assert "1 problem" in ended.out
    shipments = "shipment_no,erp_order_no,state,created_at\nd1,o1,shipped,2026-10-02T00:00:00Z\n"
    (folder / "exports" / "ship.csv").write_text(shipments)
    ended = run("doctor", "--company", folder)
    assert ended.code == 0
    assert "0 problems" in ended.out


def test_results_stay_apart_from_what_libraries_print(capsys: pytest.CaptureFixture[str]) -> None:
    console = open_console()
    with without_chatter():
        print("1 of 232 START sql table model")
        console.print(json.dumps({"is": "told"}))
    assert capsys.readouterr().out == '{"is": "told"}\n'


def test_a_warning_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    tell_warnings()
    for _ in range(3):
        logging.getLogger("pipeline.sources.columns").warning("%s: ignored %s", "a.csv", "x")
    assert capsys.readouterr().err.count("! a.csv: ignored x") == 1
