"""Dropped files start a run once they are whole, and once only."""

import os
from pathlib import Path

import dagster as dg
import pytest
from file_company import FIRST_DAY, make_company
from small_company import write_company

from pipeline.company import load_company
from pipeline.definitions import defs
from pipeline.defs.arrivals import config_for_files
from pipeline.sources.arrivals import Look, dropped_files, file_sources, look, put_off


def names(paths: tuple[str, ...]) -> list[str]:
    return [Path(path).name for path in paths]


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "订单_20261001.csv"
    path.write_text("a")
    return path


def look_at(before: Look, folder: Path) -> Look:
    company = make_company(
        folder, {"erp_orders": {"files": "订单_{day}.csv"}, "erp_refunds": {"files": "退款.csv"}}
    )
    files = dropped_files(file_sources(company), FIRST_DAY)
    return look(Look.from_cursor(before.to_cursor()), files)


def test_a_file_arrives_when_two_looks_find_it_the_same(tmp_path: Path, orders: Path) -> None:
    first = look_at(Look(), tmp_path)
    assert (first.arrived, names(tuple(first.moving))) == ((), [orders.name])
    orders.write_text("ab")
    growing = look_at(first, tmp_path)
    assert growing.arrived == ()
    whole = look_at(growing, tmp_path)
    assert names(whole.arrived) == [orders.name]
    assert look_at(whole, tmp_path).arrived == ()


def test_other_content_arrives_again_and_the_same_does_not(tmp_path: Path, orders: Path) -> None:
    taken = look_at(look_at(Look(), tmp_path), tmp_path)
    os.utime(orders, ns=(1, 1))
    touched = look_at(look_at(taken, tmp_path), tmp_path)
    assert (touched.arrived, names(touched.touched)) == ((), [orders.name])
    orders.write_text("b")
    changed = look_at(look_at(touched, tmp_path), tmp_path)
    assert names(changed.arrived) == [orders.name]


def test_a_file_that_moves_holds_no_other_up(tmp_path: Path, orders: Path) -> None:
    first = look_at(Look(), tmp_path)
    (tmp_path / "退款.csv").write_text("grows")
    second = look_at(first, tmp_path)
    assert names(second.arrived) == [orders.name]
    assert names(tuple(second.moving)) == ["退款.csv"]


def test_what_arrives_while_a_run_is_at_work_arrives_again(tmp_path: Path, orders: Path) -> None:
    before = look_at(Look(), tmp_path)
    later = put_off(before, look_at(before, tmp_path))
    assert later.arrived == ()
    assert names(look_at(later, tmp_path).arrived) == [orders.name]


def test_todays_file_and_one_that_is_gone_are_none_of_it(tmp_path: Path, orders: Path) -> None:
    taken = look_at(look_at(Look(), tmp_path), tmp_path)
    (tmp_path / "订单_20261002.csv").write_text("today goes on")
    orders.unlink()
    after = look_at(taken, tmp_path)
    assert (after.arrived, dict(after.moving), dict(after.taken)) == ((), {}, {})


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_company(tmp_path, connected=["erp_orders", "pay_bill"])
    monkeypatch.setenv("BIHUAN_COMPANY", str(folder))
    return folder


def tick(cursor: str | None, instance: dg.DagsterInstance) -> dg.SensorResult:
    sensor = defs().resolve_sensor_def("dropped")
    answer = sensor(dg.build_sensor_context(instance=instance, cursor=cursor))
    assert isinstance(answer, dg.SensorResult)
    return answer


def reason(result: dg.SensorResult) -> str:
    assert result.skip_reason is not None
    return result.skip_reason.skip_message or ""


def test_the_sensor_asks_for_one_run_that_catches_up(company: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(None, instance)
        assert "still moving: " in reason(first)
        second = tick(first.cursor, instance)
        (request,) = second.run_requests or []
        assert request.partition_key == "2026-10-03"
        config = request.run_config["ops"]["landing__erp_orders"]["config"]
        assert config == {"catch_up": True}
        third = tick(second.cursor, instance)
        assert reason(third) == "no new file"
        drop = company.parent / "drop"
        rows = (drop / "pay_bill.csv").read_bytes()
        (drop / "pay_bill.csv").write_bytes(rows)
        fourth = tick(tick(third.cursor, instance).cursor, instance)
        assert "the same as before: pay_bill.csv" in reason(fourth)


def test_the_sensor_waits_while_a_run_is_at_work(company: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(None, instance)
        run = instance.create_run_for_job(
            defs().resolve_job_def("daily"), status=dg.DagsterRunStatus.STARTED
        )
        waiting = tick(first.cursor, instance)
        assert reason(waiting) == "a run is at work"
        instance.report_run_canceled(instance.get_run_by_id(run.run_id))
        assert tick(waiting.cursor, instance).run_requests


def test_systems_that_are_asked_are_not_asked_again_for_a_file(tmp_path: Path) -> None:
    folder = write_company(tmp_path, connected=["erp_orders"])
    with (folder / "sources.yml").open("a") as written:
        written.write("  crm_contacts: {connector: sql, connection: crm, table: contacts}\n")
    text = (folder / "sources.yml").read_text()
    crm = "connections: {crm: {url: 'sqlite:///crm.sqlite'}, "
    (folder / "sources.yml").write_text(text.replace("connections: {", crm))
    config = config_for_files(load_company(folder))["ops"]
    assert config["landing__erp_orders"]["config"] == {"catch_up": True}
    assert config["landing__crm_contacts"]["config"] == {"catch_up": True, "asks_again": False}


def test_a_company_without_dropped_files_has_no_such_sensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_company(tmp_path, connected=["erp_orders"])
    (folder / "sources.yml").write_text(
        "connections: {crm: {url: 'sqlite:///crm.sqlite'}}\n"
        "tables: {crm_contacts: {connector: sql, connection: crm, table: contacts}}\n"
    )
    monkeypatch.setenv("BIHUAN_COMPANY", str(folder))
    assert "dropped" not in [sensor.name for sensor in defs().sensors or ()]
