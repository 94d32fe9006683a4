"""When the pipeline runs by itself: every day, once the systems have closed the day before."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

import dagster as dg

from pipeline.company import Company
from pipeline.defs.landing import AGAIN_AT, DAILY_RUN_AT, PATIENCE
from pipeline.defs.partitions import business_days
from pipeline.defs.resources import company_folder, landing_of, last_day_asked
from pipeline.landing import SHANGHAI, day_end
from pipeline.sources import find_connector, open_source

JOB = "daily"
RUNNING = dg.RunsFilter(
    job_name=JOB,
    statuses=[
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
    ],
)
# WeChat Pay's bills are ready at 10:00 the next day; an hour more, since they are late at times.
EVERY_DAY = f"{DAILY_RUN_AT.minute} {DAILY_RUN_AT.hour} * * *"
# The mini-program's figures come at 11:30, at times at noon, and an empty list is taken for an
# empty day at 14:00. What is behind is asked for each half hour until patience ends; then tomorrow.
ASK_AGAIN_SECONDS = 1800
ASK_AGAIN_FROM = time(11, 30)
ASK_AGAIN_UNTIL = (datetime.combine(date.min, DAILY_RUN_AT) + PATIENCE).time()

PRELOADED = ["dagster", "dagster_dbt", "pandas", "pyarrow", "pipeline.defs.landing"]


def landing_config(tables: Iterable[str], **config: bool) -> dict[str, Any]:
    """The run configuration that gives every landing asset the same `LandDays`."""
    return {"ops": {f"landing__{table}": {"config": config} for table in tables}}


def tables_behind(company: Company, yesterday: date) -> list[str]:
    """The tables that are not landed as far as their source is ready now.

    Of sources that build a day at an hour of the next. What others lack is not a matter of hours:
    a file that nobody delivered, an account to which nothing happened.
    """
    landed = landing_of(company).watermarks()
    behind = []
    for table, settings in company.sources.tables.items():
        if find_connector(table, settings).ready_at == time.min:
            continue
        ready = min(open_source(table, company).last_day() or yesterday, yesterday)
        if table not in landed or landed[table].complete_until < day_end(ready):
            behind.append(table)
    return behind


def again_at(instance: dg.DagsterInstance, table: str) -> float:
    """When to ask for a table again, in seconds since 1970; 0 where its last landing says nothing.

    A quota comes back at midnight, and a call that was withdrawn never.
    """
    event = instance.get_latest_materialization_event(dg.AssetKey(["landing", table]))
    landed = event.asset_materialization if event else None
    told = landed.metadata.get(AGAIN_AT) if landed else None
    return float(told.value) if isinstance(told, dg.TimestampMetadataValue) else 0.0


@dg.definitions
def defs() -> dg.Definitions:
    company = company_folder().load()
    tables = list(company.sources.tables)
    days = business_days(company, until=last_day_asked())
    daily = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.all(),
        partitions_def=days,
        description="Land the day, build the marts, judge, publish, tell and report.",
    )

    @dg.schedule(
        job=daily,
        cron_schedule=EVERY_DAY,
        execution_timezone="Asia/Shanghai",
        description="Yesterday, and every earlier day that is missing, incomplete or changed.",
    )
    def every_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(SHANGHAI)
        yesterday = (now.date() - timedelta(days=1)).isoformat()
        if yesterday not in days.get_partition_keys(current_time=now):
            return dg.SkipReason(f"{yesterday} is not a day of this company")
        return dg.RunRequest(
            partition_key=yesterday, run_config=landing_config(tables, catch_up=True)
        )

    @dg.sensor(
        job=daily,
        minimum_interval_seconds=ASK_AGAIN_SECONDS,
        description="Yesterday once more, while a source that was not ready is still behind.",
    )
    def late_sources(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = datetime.now(SHANGHAI)
        yesterday = now.date() - timedelta(days=1)
        if not ASK_AGAIN_FROM <= now.time() < ASK_AGAIN_UNTIL:
            return dg.SkipReason(f"asked between {ASK_AGAIN_FROM} and {ASK_AGAIN_UNTIL} only")
        if yesterday.isoformat() not in days.get_partition_keys(current_time=now):
            return dg.SkipReason(f"{yesterday} is not a day of this company")
        if any(context.instance.get_run_records(RUNNING, limit=1)):
            return dg.SkipReason("a run is at work")
        behind = [
            table
            for table in tables_behind(company_folder().load(), yesterday)
            if again_at(context.instance, table) <= now.timestamp()
        ]
        if not behind:
            return dg.SkipReason(f"every source is landed up to {yesterday}")
        context.log.info(f"asked again: {', '.join(behind)}")
        return dg.RunRequest(
            partition_key=yesterday.isoformat(),
            run_config=landing_config(tables, catch_up=True, asks_again=False),
        )

    return dg.Definitions(
        jobs=[daily],
        schedules=[every_day],
        sensors=[late_sources],
        # Steps are processes. The fork server has imported the heavy libraries once per run, which
        # spares each step some seconds.
        executor=dg.multiprocess_executor.configured(
            {"start_method": {"forkserver": {"preload_modules": PRELOADED}}}
        ),
    )
