"""A company whose tables come from one made-up system: its folder settings, a wire and a clock."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from pipeline.company import Company, Connection, Sources, TableSource, load_company
from pipeline.sources.wire import Wire

PAGES = Path(__file__).parents[1] / "docs" / "connectors"
FIRST_DAY = date(2026, 10, 1)
DAYS = [FIRST_DAY + timedelta(days=count) for count in range(3)]
NOW = datetime(2026, 10, 4, 1, tzinfo=UTC)


def connected(
    folder: Path,
    connection: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, Any]],
    secrets: Mapping[str, str],
) -> Company:
    """A company with one connection, `erp`, and these tables of it."""
    company = Company(
        folder=folder,
        name="test",
        time_zone="Asia/Shanghai",
        currency="CNY",
        first_day=FIRST_DAY,
        last_day=None,
        data=folder / "data",
        retention_days=1095,
        hash_key_env="BIHUAN_HASH_KEY",
        alerts={"channels": ()},
        sources=Sources(
            connections={"erp": Connection.model_validate(connection)},
            tables={
                name: TableSource.model_validate({"connection": "erp", **table})
                for name, table in tables.items()
            },
        ),
        loops=[],
        owners={},
        costs=[],
        scenarios={},
        pilots={},
    )
    company._environment.update(secrets)
    return company


def company_of_page(
    folder: Path, name: str, secrets: Mapping[str, str], **replaced: str
) -> Company:
    """The company whose sources.yml is the example on a connector's page, some words replaced."""
    (written,) = re.findall(r"```yaml\n(.*?)```", (PAGES / f"{name}.md").read_text(), re.DOTALL)
    for old, new in replaced.items():
        assert old in written
        written = written.replace(old, new)
    (folder / "loops").mkdir()
    (folder / "company.yml").write_text(f"name: test\nfirst_day: {FIRST_DAY}\n")
    (folder / "sources.yml").write_text(written)
    return load_company(folder, environment=secrets)


def still_wire(transport: httpx.BaseTransport, waited: list[float] | None = None) -> Wire:
    """A wire whose clock stands still and whose waiting takes no time."""
    pauses = waited if waited is not None else []
    return Wire(transport=transport, sleep=pauses.append, now=lambda: NOW)
