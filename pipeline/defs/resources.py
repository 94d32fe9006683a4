"""What the assets are given: the company folder, and dbt on its build file."""

import os
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource
from packaging.version import Version

from pipeline.company import Company, load_company
from pipeline.errors import ConfigurationError
from pipeline.landing import Landing
from pipeline.models import DBT, DBT_PROJECT
from pipeline.warehouse import Warehouse

POOL = "warehouse"
OWNERS = ["team:data"]


class CompanyFolder(dg.ConfigurableResource[Company]):
    """The folder of the one company that this code location serves, and where its results go."""

    folder: str
    data: str = ""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        if context.instance is not None:
            require_one_writer(context.instance)

    def load(self) -> Company:
        """The company as its folder reads now. Raises ConfigurationError."""
        return load_company(Path(self.folder), data=Path(self.data) if self.data else None)

    def warehouse(self) -> Warehouse:
        return Warehouse(self.load().data)


class InstalledDbt(DbtCliResource):
    """dbt-core as it is installed here, started without two detours of dagster-dbt 0.29."""

    @cached_property
    def _cli_version(self) -> Version:
        """`dbt --version`, which the base class runs, looks up the newest one outside."""
        return Version(metadata.version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:  # noqa: ARG002
        """A connection of Dagster's own serves row counts, which nothing here asks of it: it
        would take three seconds and hold the build file that dbt is about to open."""
        return None


def company_folder() -> CompanyFolder:
    """The folder that BIHUAN_COMPANY names, else ./company; BIHUAN_DATA overrides its results."""
    return CompanyFolder(
        folder=os.environ.get("BIHUAN_COMPANY", "company"),
        data=os.environ.get("BIHUAN_DATA", ""),
    )


def landing_of(company: Company) -> Landing:
    """The landed batches of the company. Raises ConfigurationError without a hashing key."""
    return Landing(company.data / "landing", hash_key=company.hash_key)


def last_day_asked() -> date | None:
    """The last day of the build that is running, for a company whose folder names none."""
    written = os.environ.get("BIHUAN_LAST_DAY")
    return date.fromisoformat(written) if written else None


def require_one_writer(instance: dg.DagsterInstance) -> None:
    """Refuse an instance that would let two steps write the build file at once.

    A pool without a limit does nothing, silently. A run on an ephemeral instance is one process
    and needs no limit. Raises ConfigurationError.
    """
    if instance.is_ephemeral:
        return
    limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    limit = limits.get(POOL, instance.global_op_concurrency_default_limit)
    if limit != 1:
        raise ConfigurationError(
            f"pool '{POOL}' of this Dagster instance: found limit {limit}, allowed: 1",
            next_step="put the project's dagster.yaml into DAGSTER_HOME, or run "
            f"`dagster instance concurrency set {POOL} 1`",
        )


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions(
        resources={
            "company": company_folder(),
            "dbt": InstalledDbt(
                project_dir=str(DBT_PROJECT),
                profiles_dir=str(DBT_PROJECT),
                dbt_executable=str(DBT),
                # At its default, debug, the log takes a sixth of dbt's time and 5 MB a run.
                global_config_flags=["--log-level-file", "info"],
            ),
        }
    )
