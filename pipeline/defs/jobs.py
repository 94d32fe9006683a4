"""When the pipeline runs by itself: every day, once the systems have closed the day before."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import dagster as dg

from pipeline.defs.partitions import business_days
from pipeline.defs.resources import company_folder, last_day_asked
from pipeline.landing import SHANGHAI

JOB = "daily"
# WeChat Pay's bills are ready at 10:00 the next day, datacube figures by then too; an hour more,
# and the retries of landing wait another hour.
EVERY_DAY_AT_ELEVEN = "0 11 * * *"

PRELOADED = ["dagster", "dagster_dbt", "pandas", "pyarrow", "pipeline.defs.landing"]


def landing_config(tables: Iterable[str], **config: bool) -> dict[str, Any]:
    """The run configuration that gives every landing asset the same `LandDays`."""
    return {"ops": {f"landing__{table}": {"config": config} for table in tables}}


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
        cron_schedule=EVERY_DAY_AT_ELEVEN,
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

    return dg.Definitions(
        jobs=[daily],
        schedules=[every_day],
        # Steps are processes. The fork server has imported the heavy libraries once per run, which
        # spares each step some seconds.
        executor=dg.multiprocess_executor.configured(
            {"start_method": {"forkserver": {"preload_modules": PRELOADED}}}
        ),
    )
