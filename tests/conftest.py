"""What every test stands on: loopback only, no secrets from outside, telemetry off."""

import os
import runpy
from pathlib import Path

import pytest

# Servers that several test modules share.
pytest_plugins = ["tests.servers"]

GUARD = Path(__file__).parent / "guard"


def pytest_configure(config: pytest.Config) -> None:
    """Guard this process and, by PYTHONPATH, every Python process that it starts."""
    log = Path(str(config.rootpath)) / ".pytest_cache" / "lookups.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    os.environ["LOOKUPS_LOG"] = str(log)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(GUARD), os.environ.get("PYTHONPATH", "")) if part
    )
    runpy.run_path(str(GUARD / "sitecustomize.py"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where any process looked beyond loopback, whether or not it minded."""
    refused = sorted(set(Path(os.environ["LOOKUPS_LOG"]).read_text().split()))
    # `.invalid` names belong to the test that shows the guard red.
    refused = [host for host in refused if not host.endswith(".invalid")]
    if refused:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nlooked up beyond loopback: {', '.join(refused)}")


@pytest.fixture(autouse=True)
def _no_company_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the person who runs the tests must not reach them."""
    for name in ("BIHUAN_COMPANY", "BIHUAN_DATA", "BIHUAN_HASH_KEY", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
