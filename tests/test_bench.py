"""The measurements: what they print, that they pass on what is sound, and that they can fail."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import speed, sql, truth, wechat
from bench.cuts import Cut, Leg, compare_cut, cut_source, read_legs
from bench.large_company import FIRST_DAY, LargeCompany, Size
from bench.measurement import MEASUREMENTS, Asked
from bench.scratch import compile_models
from bench.simulated import Found, landed, read_found
from bench.truth import Cell, Evidence
from bench.watched import watched
from pipeline.cli import main
from pipeline.errors import ConfigurationError, LandingError
from pipeline.landed import TABLES
from pipeline.landing import day_end
from pipeline.simulation import Options
from pipeline.simulation.score import compare
from pipeline.simulation.truth import Expected

AT = datetime(2026, 10, 5, tzinfo=UTC)
TINY = 10_000

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["bench", *arguments])
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


def test_without_a_name_every_measurement_is_listed_with_its_page(run: Run) -> None:
    code, out, _ = run()
    assert code == 0
    for entry in MEASUREMENTS.values():
        assert f"{entry.question} -> docs/{entry.page}" in out


def test_a_measurement_that_does_not_exist_is_a_mistake_in_the_arguments(run: Run) -> None:
    code, out, err = run("height")
    assert (code, out) == (2, "")
    assert "found height, allowed: truth, speed, wechat, sql" in err


# ---------------------------------------------------------------------------------------- speed


def test_a_small_company_is_measured_end_to_end(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    code, out, err = run("speed", "--events", str(TINY), "--json", "--page", str(page))
    told = json.loads(out)
    (size,) = told["results"]["sizes"]
    assert code == 0, told["bars"]
    assert told["has_passed"]
    assert size["agrees"]
    assert size["events"] == pytest.approx(TINY, rel=0.05)
    assert size["day_events"] > 0
    assert {"stg_tracking__events", "fct_case_legs"} <= set(size["full"]["seconds_by_model"])
    assert size["full"]["peak_rss_bytes"] > size["plain_rss_bytes"] > 0
    assert "one more day" in err
    assert f"bihuan bench speed --events {TINY}" in page.read_text(encoding="utf-8")
    assert str(Path.home()) not in page.read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no VmHWM on this system")
def test_the_memory_of_whoever_measures_is_not_counted(tmp_path: Path) -> None:
    ballast = bytearray(b"x") * 300_000_000
    taken = watched(sum, (1, 2), spill=tmp_path)
    assert taken.returned == 3
    assert 0 < taken.peak_rss_bytes < len(ballast)


@pytest.mark.parametrize(
    ("events", "sizes"),
    [
        ("all", speed.ALL_EVENTS),
        (None, (200_000, 2_000_000)),
        ("20000", (20_000,)),
    ],
)
def test_a_size_is_held_against_a_tenth_of_it(events: str | None, sizes: tuple[int, ...]) -> None:
    assert speed.choose_sizes(events) == sizes


@pytest.mark.parametrize("events", ["many", "-1", "0", "9999"])
def test_a_number_of_events_that_means_nothing_is_refused(events: str) -> None:
    with pytest.raises(ConfigurationError, match=f"found {events}, allowed: all"):
        speed.choose_sizes(events)


def sized(**changes: Any) -> speed.Sized:
    build = speed.Build(0.1, 10.0, 8.0, 9.0, speed.GIB, 0, {"int_slow": 1.0})
    whole = speed.Sized(
        events=100_000, landed_rows=150_000, full=build, day_events=3000, day=build,
        plain_seconds=1.0, plain_rss_bytes=speed.GIB, agrees=True, found="alike", load=0.0,
    )  # fmt: skip
    return replace(whole, **changes)


def test_models_that_count_otherwise_than_plain_sql_fail_the_measurement() -> None:
    assert all(bar.is_held for bar in speed.find_bars([sized()], []))
    differing = speed.find_bars([sized(agrees=False)], [])
    assert [bar.name for bar in differing if not bar.is_held] == [
        "the models and the plain SQL count alike at 100,000 events"
    ]


def test_a_build_that_takes_more_memory_than_its_limit_fails_the_measurement() -> None:
    greedy = replace(sized().day, peak_rss_bytes=100 * speed.GIB)
    broken = [bar for bar in speed.find_bars([sized(day=greedy)], []) if not bar.is_held]
    assert [bar.found for bar in broken] == ["100.00 GiB at most"]


def growth(seconds: float) -> speed.Growth:
    return speed.Growth("int_slow", 100_000, 1_000_000, 1.0, seconds)


def test_a_model_that_grows_faster_than_the_data_fails_the_measurement() -> None:
    assert speed.judge_growth([growth(10.0), growth(12.9)]).is_held
    bar = speed.judge_growth([growth(10.0), growth(13.1)])
    assert not bar.is_held
    assert "int_slow takes 1.31 times as long per event" in bar.found


def once(_: Sequence[str]) -> Mapping[str, float]:
    return {"int_slow": 1.0}


def test_a_model_that_only_a_busy_machine_made_slow_is_cleared_when_it_runs_alone() -> None:
    times = iter([{"int_slow": 20.0}, {"int_slow": 11.0}])
    (cleared,) = speed.time_again(
        [growth(30.0)], lambda _: {"int_slow": 1.0}, lambda _: next(times)
    )
    assert cleared.larger_seconds == 11.0
    assert not cleared.is_worse_than_linear


def test_a_model_that_is_slow_alone_too_stays_found() -> None:
    (found,) = speed.time_again([growth(30.0)], once, lambda _: {"int_slow": 30.0})
    assert found.is_worse_than_linear


def test_time_in_which_two_models_run_at_once_counts_once() -> None:
    def span(begin: int, end: int) -> tuple[datetime, datetime]:
        return AT + timedelta(seconds=begin), AT + timedelta(seconds=end)

    assert speed.covered_seconds(iter([span(0, 4), span(1, 2), span(3, 6), span(8, 9)])) == 7


# -------------------------------------------------------------------------- the large company


def rows_of(large: LargeCompany, table: str) -> pa.Table:
    return pa.concat_tables(
        pq.read_table(batch.path, partitioning=None) for batch in large.landing.batches(table)
    )


def test_the_same_size_gives_the_same_company_and_its_rows_are_as_the_landing_fits_them(
    tmp_path: Path,
) -> None:
    one, two = (LargeCompany(tmp_path / name, Size(2000, days=3), print) for name in "ab")
    assert one.land_first_days(print) == two.land_first_days(print) > 2000
    for name in ("tracking_events", "erp_orders", "crm_contacts"):
        rows = rows_of(one, name)
        assert rows.equals(rows_of(two, name))
        assert rows.schema.equals(TABLES[name].schema)
        for column in TABLES[name].required:
            assert rows.column(column).null_count == 0


def test_events_come_again_and_late_but_never_twice_in_a_batch(tmp_path: Path) -> None:
    large = LargeCompany(tmp_path, Size(20_000, days=3), print)
    large.land_first_days(print)
    events = rows_of(large, "tracking_events").column("event_id").to_pylist()
    assert 0 < len(events) - len(set(events)) < len(events) / 100
    for batch in large.landing.batches("tracking_events"):
        ids = pq.read_table(batch.path, partitioning=None).column("event_id").to_pylist()
        assert len(ids) == len(set(ids))


def test_one_more_day_adds_rows_and_revises_the_orders_that_shipped_since(tmp_path: Path) -> None:
    large = LargeCompany(tmp_path, Size(5000, days=3), print)
    large.land_first_days(print)
    before = large.events_count()
    large.land_next_day()
    assert large.events_count() > before
    revised = [batch for batch in large.landing.batches("erp_orders") if batch.revises]
    assert revised
    assert all(batch.rows_changed for batch in revised)
    assert large.landing.watermarks()["erp_orders"].complete_until == day_end(large.next_day)


def test_a_file_of_other_columns_is_not_adopted(tmp_path: Path) -> None:
    large = LargeCompany(tmp_path, Size(1000, days=1), print)
    file = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"event": ["page_view"]}), file)
    with pytest.raises(LandingError, match="the file's columns are"):
        large.landing.adopt(
            TABLES["tracking_events"], FIRST_DAY, file,
            complete_until=day_end(FIRST_DAY), connector="files",
        )  # fmt: skip
    assert large.landing.batches() == []


# ---------------------------------------------------------------------------------------- truth


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """One small company with its faults, one without any, and one source cut."""
    models = compile_models()
    usual, sound = Options(orders=150, days=12), Options(orders=20, days=4, fault_rate=0.0)
    with landed(usual) as company, company.scratch(models) as connection:
        found = read_found(connection)
        cell = Cell(usual, company.score(found), found, is_built=True)
        whole = read_legs(connection)
        cuts = cut_source(
            connection, models, company.company, company.watermarks, "crm_contacts", whole
        )
        cut = tuple(cuts)
    with landed(sound) as company, company.scratch(models) as connection:
        found = read_found(connection)
        without_faults = Cell(sound, company.score(found), found)
    return Evidence(cells=(cell, without_faults), hidden=(cell,), cuts=cut, differing=0)


def told(run: Run, monkeypatch: pytest.MonkeyPatch, evidence: Evidence) -> tuple[int, Any]:
    """How the command ends, and which bars do not hold, where this is what it measured."""
    monkeypatch.setattr(truth, "gather", lambda seeds, tell: evidence)
    code, out, _ = run("truth", "--seeds", "1", "--json")
    return code, [bar["name"] for bar in json.loads(out)["bars"] if not bar["is_held"]]


def refound(cell: Cell, divergences: Sequence[Expected]) -> Cell:
    """The same company, had the marts said something else."""
    planted = [*cell.found.divergences, *cell.score.missed]
    found = replace(cell.found, divergences=tuple(divergences))
    return replace(cell, found=found, score=compare(planted, divergences))


def test_a_company_whose_faults_are_all_found_passes(
    run: Run, monkeypatch: pytest.MonkeyPatch, evidence: Evidence
) -> None:
    assert told(run, monkeypatch, evidence) == (0, [])
    assert evidence.cells[0].score.total.planted > 50
    assert evidence.cells[1].found.cases > 20


def test_a_finding_that_the_marts_lack_fails_the_measurement(
    run: Run, monkeypatch: pytest.MonkeyPatch, evidence: Evidence
) -> None:
    cell, *others = evidence.cells
    tampered = replace(evidence, cells=(refound(cell, cell.found.divergences[1:]), *others))
    code, broken = told(run, monkeypatch, tampered)
    assert code == 1
    assert broken == ["every planted fault is found, and nothing else"]


def test_an_alarm_in_a_company_without_faults_fails_the_measurement(
    run: Run, monkeypatch: pytest.MonkeyPatch, evidence: Evidence
) -> None:
    cell, sound = evidence.cells
    alarm = Expected("order:1", "booked", "paid_not_booked")
    alarmed = replace(
        sound, found=replace(sound.found, divergences=(alarm,)), score=compare([], [alarm])
    )
    code, broken = told(run, monkeypatch, replace(evidence, cells=(cell, alarmed)))
    assert code == 1
    assert broken == [
        "every planted fault is found, and nothing else",
        "a company without faults raises no alarm",
    ]


@pytest.mark.parametrize(
    "residual", [{"residual_fen": 1}, {"residual_count": 1}], ids=["money", "cases"]
)
def test_a_bridge_that_leaves_something_over_fails_the_measurement(
    evidence: Evidence, residual: Mapping[str, Any]
) -> None:
    cell, sound = evidence.cells
    off = replace(cell, found=replace(cell.found, **residual))
    assert broken_bars(replace(evidence, cells=(off, sound), hidden=(cell,))) == [
        "the bridge leaves nothing over, in money or in cases"
    ]


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("late data raises no alarm",
         Cut("erp_orders", 24, findings=1, false_alarms=(("order:1", "booked"),))),
        ("what late data takes back waits for it",
         Cut("erp_orders", 24, findings=1, false_alarms=(), lost=(("order:1", "booked"),))),
        ("a missing source raises no alarm about a sound case",
         Cut("erp_orders", None, findings=1, false_alarms=(("order:1", "booked"),))),
        ("legs whose source is missing are unverifiable",
         Cut("erp_orders", None, findings=1, false_alarms=(), judged_without=1)),
    ],
)  # fmt: skip
def test_a_source_that_raises_a_false_alarm_fails_the_measurement(
    evidence: Evidence, name: str, cut: Cut
) -> None:
    assert broken_bars(replace(evidence, cuts=(*evidence.cuts, cut))) == [name]


def test_without_a_source_a_broken_case_may_show_otherwise(evidence: Evidence) -> None:
    alarms = (("order:1", "booked"),)
    moved = Cut("erp_orders", None, findings=1, false_alarms=alarms, moved=alarms)
    unlinked = Cut("identities", None, findings=1, false_alarms=alarms)
    assert not broken_bars(replace(evidence, cuts=(*evidence.cuts, moved, unlinked)))
    late = replace(moved, hours=24)
    assert broken_bars(replace(evidence, cuts=(*evidence.cuts, late))) == [
        "late data raises no alarm"
    ]


def test_where_nothing_was_measured_nothing_passes() -> None:
    nothing = Evidence(cells=(), hidden=(), cuts=(), differing=0)
    assert not any(bar.is_held for bar in truth.find_bars(nothing))


def broken_bars(evidence: Evidence) -> list[str]:
    return [bar.name for bar in truth.find_bars(evidence) if not bar.is_held]


def cut_of(whole: Leg, after: Leg | None) -> Cut:
    case_leg = ("order:1", "booked")
    return compare_cut(
        {case_leg: whole}, {case_leg: after} if after else {}, "erp_orders", 24, until=AT
    )


def test_a_refuted_leg_that_a_cut_takes_back_waits_or_is_lost() -> None:
    refuted = Leg("refuted", "paid_not_booked", AT - timedelta(days=1))
    assert cut_of(refuted, replace(refuted, truth="pending", divergence="none")).pending == 1
    assert cut_of(refuted, Leg("unverifiable", "none", refuted.claim_at)).lost
    assert cut_of(refuted, None).lost
    assert cut_of(replace(refuted, claim_at=AT), None).unowed == 1
    assert cut_of(Leg("pending", "none", AT), refuted).false_alarms == (("order:1", "booked"),)


def test_a_source_that_is_cut_is_put_back(evidence: Evidence) -> None:
    *late, missing = evidence.cuts
    assert [cut.hours for cut in late] == [1, 24, 72]
    assert late[0].findings >= late[-1].findings
    assert (missing.hours, missing.judged_without) == (None, 0)
    assert missing.unverifiable > 100


def test_what_is_found_is_read_with_the_residuals_of_the_bridge(evidence: Evidence) -> None:
    found: Found = evidence.cells[0].found
    assert (found.residual_fen, found.residual_count) == (0, 0)
    assert found.bridge_rows > 10


# --------------------------------------------------------------------------------------- wechat


@pytest.fixture(scope="module")
def schedule() -> wechat.Compared:
    """Five days of one small company, landed on a good day and under outages."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wechat, "DAYS", 5)
        patched.setattr(wechat, "ORDERS", 40)
        compared: list[wechat.Compared] = []
        judge = wechat.find_bars
        patched.setattr(
            wechat, "find_bars", lambda found: compared.extend(found) or judge(compared)
        )
        measured = wechat.measure(Asked(seeds=1), lambda _: None)
    assert not measured.is_whole
    (schedule,) = compared
    return schedule


def test_a_backfill_under_outages_lands_what_a_good_day_lands(schedule: wechat.Compared) -> None:
    assert (schedule.missing, schedule.wrong) == (0, 0)
    assert schedule.faults > 10
    assert schedule.calls >= schedule.needed > 0
    overcome = sum(of["overcome"] for of in schedule.backfill.outcomes.values())
    assert 0 < overcome < sum(of.total() for of in schedule.backfill.outcomes.values())


@pytest.mark.parametrize(
    ("changed", "bar"),
    [
        ({"missing": 1}, "schedule 1: no day is missing"),
        ({"wrong": 2}, "schedule 1: no day is wrong"),
        ({"calls": 10**6}, "schedule 1: at most 20% more calls than needed"),
    ],
)
def test_a_backfill_that_is_not_whole_or_not_sparing_fails_the_measurement(
    schedule: wechat.Compared, changed: dict[str, Any], bar: str
) -> None:
    before = {bar.name for bar in wechat.find_bars([schedule]) if not bar.is_held}
    after = {
        bar.name for bar in wechat.find_bars([replace(schedule, **changed)]) if not bar.is_held
    }
    assert bar in after
    assert bar not in before or "calls" in changed


def test_an_error_text_that_bears_a_token_fails_the_measurement(schedule: wechat.Compared) -> None:
    (sound,) = (bar for bar in wechat.find_bars([schedule]) if "token" in bar.name)
    schedule.backfill.told.append("GET /datacube/x?access_token=80_secret")
    (telling,) = (bar for bar in wechat.find_bars([schedule]) if "token" in bar.name)
    schedule.backfill.told.pop()
    assert (sound.is_held, telling.is_held) == (True, False)


# ------------------------------------------------------------------------------------------ sql


@pytest.mark.usefixtures("postgres")
def test_a_small_table_is_landed_and_held_against_its_database(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    code, out, err = run("sql", "--rows", "10000", "--json", "--page", str(page))
    told = json.loads(out)
    assert code == 0, told["bars"]
    assert told["results"]["runs"][0]["landed"]["rows"] == 10_000
    assert told["results"]["runs"][-1]["landed"] != told["results"]["runs"][0]["landed"]
    assert "changed, added, deleted" in err
    assert "bihuan bench sql --rows 10000" in page.read_text(encoding="utf-8")


def test_too_few_rows_to_mean_anything_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="found 9999, allowed: a number from 10000 on"):
        sql.measure(Asked(rows=9999), print)


def test_a_fen_that_differs_a_day_read_in_vain_and_too_much_memory_fail_the_measurement() -> None:
    held = sql.Held(rows=10, fen=1000)
    first = sql.Run("first", 730, 1.0, sql.GIB, held, held)
    unchanged = replace(first, name="again", days=1)
    assert all(bar.is_held for bar in sql.find_bars(10, [first, unchanged]))
    wrong = replace(first, landed=sql.Held(10, 999), peak_rss_bytes=3 * sql.GIB)
    failed = [
        b.name for b in sql.find_bars(11, [wrong, replace(unchanged, days=3)]) if not b.is_held
    ]
    assert failed == [
        "first: rows and fen equal the database",
        "a first run lands every row",
        "where nothing changed, only what may have committed late is read again",
        "memory stays within 2 GiB",
    ]
