"""The code location: what Dagster loads, when it runs, and what it refuses to run."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb
import pytest
import yaml
from small_company import write_company

from pipeline.company import Company, TableSource, load_company
from pipeline.definitions import defs
from pipeline.defs.failures import RETRIES, told_to_dagster
from pipeline.defs.jobs import JOB
from pipeline.defs.landing import fresh_by
from pipeline.defs.partitions import business_days
from pipeline.defs.publish import CANDIDATE, PUBLISHED
from pipeline.defs.resources import require_one_writer
from pipeline.errors import (
    BihuanError,
    ConfigurationError,
    NotReadyError,
    PermanentSourceError,
    TransientSourceError,
)
from pipeline.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[1]
SHANGHAI = ZoneInfo("Asia/Shanghai")
LAYERS = {
    "landing", "seeds", "staging", "intermediate", "marts", "published", "alerts", "report",
}  # fmt: skip


@pytest.fixture(scope="module")
def company_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_company(tmp_path_factory.mktemp("small"))


@pytest.fixture
def company(company_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Company:
    """The small company, as the one that the code location serves."""
    monkeypatch.setenv("BIHUAN_COMPANY", str(company_folder))
    return load_company(company_folder)


@pytest.fixture
def definitions(company: Company) -> dg.Definitions:
    return defs()


def specs(definitions: dg.Definitions) -> Iterator[dg.AssetSpec]:
    for asset in definitions.assets or ():
        if isinstance(asset, dg.AssetsDefinition):
            yield from asset.specs
        elif isinstance(asset, dg.AssetSpec):
            yield asset


def test_an_asset_stands_in_the_layer_that_its_key_names(definitions: dg.Definitions) -> None:
    found = {spec.key.path[0] for spec in specs(definitions)}
    assert found == LAYERS
    assert [spec.key for spec in specs(definitions) if spec.group_name != spec.key.path[0]] == []


def test_every_asset_says_what_it_is_who_answers_for_it_and_what_it_is_made_of(
    definitions: dg.Definitions,
) -> None:
    silent = [
        spec.key.to_user_string()
        for spec in specs(definitions)
        if not (spec.description and spec.owners and spec.kinds)
    ]
    assert silent == []


def test_every_landed_table_is_there_connected_or_not(definitions: dg.Definitions) -> None:
    landing = {spec.key.path[-1]: spec for spec in specs(definitions)}
    assert "landed" not in landing
    assert landing["pay_bill"].partitions_def is not None
    assert "Not connected" in (landing["mp_daily"].description or "")


def test_every_step_that_opens_the_build_file_stands_in_the_pool(
    definitions: dg.Definitions,
) -> None:
    job = definitions.resolve_job_def(JOB)
    pools = {node.name: node.definition.pools for node in job.nodes}
    assert {name for name, pool in pools.items() if pool} == {
        "register", "transform", "published__candidate", "trustworthy", "published__bihuan",
    }  # fmt: skip
    assert {pool for found in pools.values() for pool in found} == {"warehouse"}


def test_the_published_file_comes_after_the_candidate_and_its_blocking_checks(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    assert graph.get(PUBLISHED).parent_keys == {CANDIDATE}
    checks = graph.get_check_keys_for_assets({CANDIDATE})
    assert len(checks) > 30
    assert all(graph.asset_check_keys and graph.get(key).blocking for key in checks)
    warnings = graph.get_check_keys_for_assets({PUBLISHED})
    assert not any(graph.get(key).blocking for key in warnings)


def test_the_workspace_loads_the_location_under_the_name_of_the_project(company: Company) -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    (location,) = workspace["load_from"]
    named = location["python_module"]
    code = f"import {named['module_name']} as m; print(len(m.defs().assets))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=True
    )
    assert int(loaded.stdout) > 10
    assert named["location_name"] == "bihuan"


# --- days ---------------------------------------------------------------------------------------


def keys(company: Company, *, until: date | None = None, now: datetime) -> list[str]:
    days = business_days(company, until=until, now=now)
    return list(days.get_partition_keys(current_time=now))


def ended(company: Company, last_day: date | None) -> Company:
    return company.model_copy(update={"last_day": last_day})


def test_a_company_that_goes_on_has_days_up_to_yesterday_in_shanghai(company: Company) -> None:
    # 16:30 UTC of the 4th is already the 5th in Shanghai, so the 4th is over.
    now = datetime.fromisoformat("2026-10-04T16:30:00+00:00")
    assert keys(ended(company, None), now=now)[-1] == "2026-10-04"
    earlier = datetime.fromisoformat("2026-10-04T15:30:00+00:00")
    assert keys(ended(company, None), now=earlier)[-1] == "2026-10-03"


def test_a_company_that_has_ended_has_its_days_and_no_more(company: Company) -> None:
    now = datetime(2027, 3, 1, tzinfo=SHANGHAI)
    assert keys(company, now=now) == ["2026-10-01", "2026-10-02", "2026-10-03"]


def test_days_ahead_of_a_wrong_clock_are_days_all_the_same(company: Company) -> None:
    for now in (datetime(2026, 1, 1, tzinfo=SHANGHAI), datetime(2026, 10, 2, 9, tzinfo=SHANGHAI)):
        assert keys(company, now=now) == ["2026-10-01", "2026-10-02", "2026-10-03"]


def test_a_drop_from_the_future_reaches_as_far_as_its_files(company: Company) -> None:
    now = datetime(2026, 1, 1, tzinfo=SHANGHAI)
    assert keys(ended(company, None), until=date(2026, 10, 2), now=now) == [
        "2026-10-01",
        "2026-10-02",
    ]


# --- the schedule -------------------------------------------------------------------------------


def evaluate(definitions: dg.Definitions, at: datetime) -> dg.RunRequest | dg.SkipReason:
    schedule = definitions.resolve_schedule_def("every_day")
    found = schedule(dg.build_schedule_context(scheduled_execution_time=at))
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


def test_every_morning_yesterday_is_landed_and_what_is_missing_before_it(
    definitions: dg.Definitions,
) -> None:
    asked = evaluate(definitions, datetime(2026, 10, 3, 11, tzinfo=SHANGHAI))
    assert isinstance(asked, dg.RunRequest)
    assert asked.partition_key == "2026-10-02"
    assert asked.run_config["ops"]["landing__pay_bill"] == {"config": {"catch_up": True}}


def test_after_the_last_day_nothing_runs(definitions: dg.Definitions) -> None:
    asked = evaluate(definitions, datetime(2026, 12, 1, 11, tzinfo=SHANGHAI))
    assert isinstance(asked, dg.SkipReason)


@pytest.mark.parametrize(
    ("connector", "deadline", "since"),
    [
        ("sql", "0 15 * * *", timedelta(hours=15)),
        ("wechat_pay", "0 15 * * *", timedelta(hours=5)),
        ("wechat_miniprogram", "30 15 * * *", timedelta(hours=4)),
    ],
)
def test_a_table_is_fresh_once_landed_after_its_system_had_the_day(
    connector: str, deadline: str, since: timedelta
) -> None:
    settings = TableSource(connector=connector, connections=("system",))
    assert fresh_by("mp_daily", settings) == dg.FreshnessPolicy.cron(
        deadline_cron=deadline, lower_bound_delta=since, timezone="Asia/Shanghai"
    )


# --- errors -------------------------------------------------------------------------------------


class Tried:
    """As much of a step's context as deciding on a retry needs."""

    def __init__(self, times: int) -> None:
        self.retry_number = times


def told(error: BihuanError, *, tried: int = 0) -> Exception:
    with (
        pytest.raises((dg.RetryRequested, dg.Failure)) as raised,
        told_to_dagster(Tried(tried)),  # type: ignore[arg-type]
    ):
        raise error
    return raised.value


def test_a_busy_source_is_asked_again_with_growing_pauses_and_then_given_up() -> None:
    busy = TransientSourceError("the ERP is busy")
    retries = [told(busy, tried=tried) for tried in range(RETRIES)]
    assert [type(retry) for retry in retries] == [dg.RetryRequested] * RETRIES
    assert [retry.seconds_to_wait for retry in retries] == [5.0, 10.0, 20.0]  # type: ignore[attr-defined]
    assert isinstance(told(busy, tried=RETRIES), dg.Failure)


def test_a_bill_that_is_not_ready_holds_no_run_up() -> None:
    early = NotReadyError("the bill is built at 10:00", next_step="ask again after 10:00")
    assert isinstance(told(early), dg.Failure)


def test_what_a_retry_cannot_mend_fails_at_once_with_the_next_step() -> None:
    refused = PermanentSourceError("NO_AUTH", next_step="sign the merchant's contract")
    failure = told(refused)
    assert isinstance(failure, dg.Failure)
    assert failure.allow_retries is False
    assert failure.metadata["next_step"].value == "sign the merchant's contract"
    assert failure.metadata["error_class"].value == "PermanentSourceError"


# --- one writer ---------------------------------------------------------------------------------


def instance_with(folder: Path, settings: dict[str, object]) -> dg.DagsterInstance:
    folder.mkdir()
    (folder / "dagster.yaml").write_text(
        yaml.safe_dump(settings | {"telemetry": {"enabled": False}})
    )
    return dg.DagsterInstance.from_config(str(folder))


def test_an_instance_without_a_limit_for_the_pool_is_refused(tmp_path: Path) -> None:
    for number, settings in enumerate(({}, {"concurrency": {"pools": {"default_limit": 2}}})):
        with instance_with(tmp_path / str(number), settings) as instance:
            with pytest.raises(ConfigurationError, match="pool 'warehouse'") as refused:
                require_one_writer(instance)
            assert "dagster.yaml" in refused.value.next_step


def test_the_projects_own_settings_are_accepted(tmp_path: Path) -> None:
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    assert settings["telemetry"] == {"enabled": False}
    with instance_with(tmp_path / "home", settings) as instance:
        require_one_writer(instance)


def test_a_run_on_a_refused_instance_lands_nothing(
    definitions: dg.Definitions, company: Company, tmp_path: Path
) -> None:
    with instance_with(tmp_path / "home", {}) as instance:
        result = definitions.resolve_job_def(JOB).execute_in_process(
            instance=instance,
            partition_key="2026-10-01",
            asset_selection=[dg.AssetKey(["landing", "pay_bill"])],
            raise_on_error=False,
        )
    assert not result.success
    assert not (company.data / "landing").exists()


# --- landing one day, and judging before publishing ----------------------------------------------


def test_a_day_landed_twice_holds_one_batch_and_opens_no_database(
    definitions: dg.Definitions, company: Company
) -> None:
    job = definitions.resolve_job_def(JOB)
    pay_bill = dg.AssetKey(["landing", "pay_bill"])
    for _ in range(2):
        result = job.execute_in_process(partition_key="2026-10-02", asset_selection=[pay_bill])
    (event,) = result.asset_materializations_for_node("landing__pay_bill")
    figures = {name: value.value for name, value in event.metadata.items()}
    assert (figures["dagster/row_count"], figures["days"], figures["revisions"]) == (7, 1, 0)
    manifest = company.data / "landing" / "_manifest" / "pay_bill"
    assert [day.name for day in manifest.iterdir()] == ["2026-10-02"]
    assert list(company.data.glob("*.duckdb")) == []


def test_a_candidate_that_cannot_be_trusted_is_not_published(
    definitions: dg.Definitions, company: Company
) -> None:
    files = Warehouse(company.data)
    with files.open() as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.fct_cases as select null as case_id")
    result = definitions.resolve_job_def(JOB).execute_in_process(
        asset_selection=[CANDIDATE, PUBLISHED], raise_on_error=False
    )
    assert not result.success
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert any(check.metadata["outcome"].value == "could not be judged" for check in failed)
    assert not files.published.exists()
    with duckdb.connect(str(files.candidate), read_only=True) as connection:
        assert connection.execute("select count(*) from marts.fct_cases").fetchall() == [(1,)]
