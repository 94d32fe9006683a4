"""BottleCRM on this machine: a real CRM with a JSON API of several list shapes, on PostgreSQL.

It lives in an environment of its own, which .ci/install-bottlecrm makes. Its first company is built
by its own migrations and its own seed, and kept as a dump beside it: other runs begin from there.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.servers import PostgresServer, free_port

HOME = Path(__file__).parents[1] / ".bottlecrm"
PYTHON = HOME / "bin" / "python"
VERSION = "1.35.0"
ADMIN = "admin@example.com"
START_SECONDS = 60
SIZES = (
    "--leads", "200", "--opportunities", "120", "--contacts", "150", "--accounts", "60",
    "--invoices", "200",
)  # fmt: skip


class BottleCrm:
    """One running BottleCRM. `database` is its own, where the truth stands."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self.database = "bottlecrm"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._build()
        self.key = self.query("select api_key from organization order by created_at limit 1")[0][0]

    def query(self, statement: str) -> list[list[str]]:
        """The rows that its database gives, as text."""
        printed = self._server.execute(statement, database=self.database)
        return [line.split("|") for line in printed.splitlines()]

    def start(self) -> None:
        """Run its server and wait until it answers."""
        self._process = subprocess.Popen(
            [str(PYTHON), "-m", "django", "runserver", "--noreload", f"127.0.0.1:{self.port}"],
            cwd=self._folder, env=self._environment(), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                httpx.get(f"{self.address}/api/leads/", trust_env=False)
                return
        raise AssertionError(f"BottleCRM does not answer after {START_SECONDS} s")

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def manage(self, *arguments: str) -> str:
        """Run one of its own commands."""
        done = subprocess.run(
            [str(PYTHON), "-m", "django", *arguments],
            cwd=self._folder, env=self._environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments[0]} failed: {done.stderr[-2000:]}"
        return done.stdout

    def _build(self) -> None:
        dump = HOME / f"seeded-{VERSION}.sql"
        self._server.create_database(self.database)
        if dump.exists():
            self._server.execute(dump.read_text(), database=self.database)
            return
        self.manage("migrate", "--no-input")
        self.manage(
            "seed_data", "--email", ADMIN, "--seed", "42", "--country", "US", "--currency", "CNY",
            *SIZES,
        )  # fmt: skip
        dump.write_text(self._dump())

    def _dump(self) -> str:
        program = max(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))
        address = self._server.url(self.database)
        done = subprocess.run(
            [str(program), "--no-owner", address], capture_output=True, text=True, check=True
        )
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "crm.settings",
            "DBNAME": self.database, "DBUSER": self._server.user, "DBPASSWORD": "hunter2",
            "DBHOST": "127.0.0.1", "DBPORT": str(self._server.port),
            "SECRET_KEY": "only-for-tests-" * 4, "ENV_TYPE": "dev",
            "CELERY_BROKER_URL": "memory://",
        }  # fmt: skip


@contextmanager
def running_bottlecrm(server: PostgresServer, folder: Path) -> Iterator[BottleCrm]:
    """A BottleCRM with its seeded company."""
    crm = BottleCrm(server, folder)
    crm.start()
    try:
        yield crm
    finally:
        crm.stop()
