"""Running the very assets and checks of `pipeline/defs/` in this process, over the days asked for.

Nothing is defined twice. What is decided here: which days, in which environment, and which error
a failed step becomes.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import date, datetime, timedelta
from importlib import import_module
from io import StringIO
from threading import Thread
from typing import TextIO

import dagster as dg

from pipeline.build.summary import BuildSummary, summarise
from pipeline.build.watching import Progress, Watcher
from pipeline.company import Company
from pipeline.errors import BihuanError, ConfigurationError
from pipeline.landing import SHANGHAI
from pipeline.sources import open_source

# Dagster's own tags for a run over several partitions.
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def build(
    company: Company,
    *,
    days: Sequence[date] | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> BuildSummary:
    """Land, transform, judge, publish, tell and report; return what came of it.

    `days` (consecutive) are landed again whether they changed or not; without them, every day of
    the company that is missing, incomplete or changed at its source is. Killed at any moment and
    run again, it gives the same marts. Raises the BihuanError of the step that failed:
    ConfigurationError, SourceError, LandingError, WarehouseError or UntrustworthyError.
    """
    begun = time.monotonic()
    asked = _consecutive(company, days) if days else _all_days(company)
    watcher = Watcher(_warming_up(_on(sys.stdout, progress)))
    with _code_location_of(company, until=asked[-1]), redirect_stdout(_Nowhere()):
        _run(company, asked, watcher, catch_up=not days)
    watcher.raise_first_failure()
    return summarise(company, asked, watcher, seconds=time.monotonic() - begun)


def _run(company: Company, asked: Sequence[date], watcher: Watcher, *, catch_up: bool) -> None:
    """One in-process run of the daily job over the asked partitions."""
    from pipeline.defs.jobs import JOB, landing_config

    definitions = dg.Definitions.merge(
        _load_definitions(), dg.Definitions(loggers={"watcher": watcher.logger_definition()})
    )
    config = landing_config(company.sources.tables, catch_up=catch_up)
    with _instance() as instance:
        definitions.resolve_job_def(JOB).execute_in_process(
            instance=instance,
            run_config=config | {"loggers": {"watcher": {}}},
            tags={RANGE_START: asked[0].isoformat(), RANGE_END: asked[-1].isoformat()},
            raise_on_error=False,
        )


def _load_definitions() -> dg.Definitions:
    """The code location. Raises the error of ours, where Dagster wrapped one in its own."""
    from pipeline.definitions import defs

    try:
        return defs()
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, BihuanError):
                raise cause from None
            cause = cause.__cause__
        raise


def _on(stdout: TextIO, progress: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Progress on the caller's own output, while dbt's chatter goes nowhere (its log keeps it)."""

    def told(update: Progress) -> None:
        with redirect_stdout(stdout):
            progress(update)

    return told


def _warming_up(progress: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Import Great Expectations, which takes seconds, while dbt, another process, does the work."""

    def told(update: Progress) -> None:
        if update.step == "transform" and update.state == "started":
            Thread(target=import_module, args=("great_expectations",), daemon=True).start()
        progress(update)

    return told


class _Nowhere(StringIO):
    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME, whose UI then shows the run; else one that leaves nothing."""
    if os.environ.get("DAGSTER_HOME"):
        with dg.DagsterInstance.get() as instance:
            yield instance
    else:
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance


@contextmanager
def _code_location_of(company: Company, *, until: date) -> Iterator[None]:
    """The environment in which the code location is this company's, put back afterwards.

    Definitions read their company from the environment, as they do under the Dagster daemon.
    """
    asked = {
        "BIHUAN_COMPANY": str(company.folder),
        "BIHUAN_DATA": str(company.data),
        "BIHUAN_LAST_DAY": until.isoformat(),
        "GX_ANALYTICS_ENABLED": "false",
        "DAGSTER_DISABLE_TELEMETRY": "true",
    }
    before = {
        name: os.environ.get(name) for name in (*asked, "BIHUAN_WAREHOUSE", "DBT_TARGET_PATH")
    }
    os.environ.update(asked)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _consecutive(company: Company, days: Sequence[date]) -> list[date]:
    """The days in order. Raises ConfigurationError where they leave a gap or leave the company."""
    asked = sorted(set(days))
    if (asked[-1] - asked[0]).days + 1 != len(asked):
        raise ConfigurationError(
            f"days: found {len(asked)} days between {asked[0]} and {asked[-1]},"
            " allowed: days without a gap"
        )
    last_day = company.last_day or asked[-1]
    if asked[0] < company.first_day or asked[-1] > last_day:
        raise ConfigurationError(
            f"days: found {asked[0]} to {asked[-1]}, allowed: {company.first_day} to {last_day}",
            next_step="mend the days asked for, or first_day and last_day of company.yml",
        )
    return asked


def _all_days(company: Company) -> list[date]:
    """From the company's first day to its last, else to the last that any source can deliver.

    A source that lags is landed as far as it reaches: its watermark says so.
    """
    last_day = company.last_day or max(
        (
            day
            for table in company.sources.tables
            if (day := open_source(table, company).last_day()) is not None
        ),
        default=datetime.now(SHANGHAI).date() - timedelta(days=1),
    )
    if last_day < company.first_day:
        raise ConfigurationError(
            f"first_day: found {company.first_day}, allowed: {last_day} or earlier,"
            " the last day that the sources can deliver"
        )
    count = (last_day - company.first_day).days + 1
    return [company.first_day + timedelta(days=number) for number in range(count)]
