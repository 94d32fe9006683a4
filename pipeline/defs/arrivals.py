"""A daily run as soon as new or changed files lie in a drop folder, whole and standing still."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg

from pipeline.company import Company
from pipeline.defs.jobs import JOB, RUNNING, landing_config
from pipeline.defs.partitions import business_days
from pipeline.defs.resources import company_folder, last_day_asked
from pipeline.landing import SHANGHAI
from pipeline.sources.arrivals import Look, dropped_files, file_sources, look, put_off
from pipeline.sources.files import FileSource

# A file that did not change between two looks is whole: programs that copy pause for less.
LOOK_EVERY_SECONDS = 60


def config_for_files(company: Company) -> dict[str, Any]:
    """Land what changed among the files; of systems that are asked, only what is missing."""
    tables = company.sources.tables
    files = [name for name in tables if tables[name].connector == FileSource.connector]
    others = [name for name in tables if name not in files]
    asked = landing_config(files, catch_up=True)
    spared = landing_config(others, catch_up=True, asks_again=False)
    return {"ops": asked["ops"] | spared["ops"]}


def newest_day(company: Company, today: date) -> date:
    """The day that a run lands up to: yesterday, or the last of a company that has ended."""
    yesterday = today - timedelta(days=1)
    return min(yesterday, company.last_day) if company.last_day else yesterday


def _why_none(after: Look) -> str:
    reasons = []
    if after.touched:
        reasons.append(f"written again, the same as before: {_listed(after.touched)}")
    if after.moving:
        reasons.append(f"still moving: {_listed(list(after.moving))}")
    return "; ".join(reasons) or "no new file"


def _listed(names: Sequence[str]) -> str:
    """The first few of some files, by name."""
    shown = ", ".join(name.rpartition("/")[2] for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")


@dg.definitions
def defs() -> dg.Definitions:
    company = company_folder().load()
    days = business_days(company, until=last_day_asked())

    @dg.sensor(
        job_name=JOB,
        minimum_interval_seconds=LOOK_EVERY_SECONDS,
        description="A daily run for new or changed files in the drop folders, once they are"
        " whole. Files that were written again with the same content start none.",
    )
    def dropped(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        loaded = company_folder().load()
        now = datetime.now(SHANGHAI)
        day = newest_day(loaded, now.date())
        before = Look.from_cursor(context.cursor)
        after = look(before, dropped_files(file_sources(loaded), day))
        if not after.arrived:
            return dg.SensorResult(skip_reason=_why_none(after), cursor=after.to_cursor())
        if day.isoformat() not in days.get_partition_keys(current_time=now):
            return dg.SensorResult(
                skip_reason=f"{day} is not a day of this company", cursor=after.to_cursor()
            )
        if any(context.instance.get_run_records(RUNNING, limit=1)):
            later = put_off(before, after)
            return dg.SensorResult(skip_reason="a run is at work", cursor=later.to_cursor())
        context.log.info(f"arrived: {_listed(after.arrived)}")
        request = dg.RunRequest(
            partition_key=day.isoformat(),
            run_config=config_for_files(loaded),
            tags={"bihuan/arrived": _listed(after.arrived)[:200]},
        )
        return dg.SensorResult(run_requests=[request], cursor=after.to_cursor())

    if not file_sources(company):
        return dg.Definitions()
    return dg.Definitions(sensors=[dropped])
