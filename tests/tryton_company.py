"""A live Tryton of its own for tests: a company's books, on SQLite or PostgreSQL, and its server.

`make tryton` installs it from its lock. The books are made once from these scripts and kept under
`.tryton`; each server starts from a copy. What runs inside Tryton's environment stands in
`tryton_scripts`.
"""

import hashlib
import os
import shutil
import sqlite3
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock

from pipeline.simulation.tryton.books import PROGRAMS
from tests.servers import PostgresServer

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".tryton"
LOCK = ROOT / ".ci" / "tryton" / "requirements.txt"
SCRIPTS = Path(__file__).parent / "tryton_scripts"
DATABASE = "tryton"
ADMIN_PASSWORD = "admin-42-of-the-tests"
PASSWORD = "tryton-42-of-the-tests"
MODULES = (
    "account_invoice_stock", "sale_opportunity", "sale_payment", "sale_invoice_grouping",
    "sale_shipment_grouping",
)  # fmt: skip


class Books(ABC):
    """The database of one Tryton: how Tryton reaches it, and how it is kept and brought back."""

    kind: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    @abstractmethod
    def server_uri(self) -> str:
        """Where Tryton finds the database."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The database for others than Tryton."""

    @property
    def address(self) -> str:
        """The database for programs inside Tryton's environment."""
        return self.url

    @abstractmethod
    def create(self) -> None: ...

    @abstractmethod
    def keep(self, kept: Path) -> None: ...

    @abstractmethod
    def restore(self, kept: Path) -> None: ...

    def configure(self) -> Path:
        configuration = self.folder / "trytond.conf"
        configuration.write_text(
            f"[database]\nuri = {self.server_uri}\npath = {self.folder}\n"
            "[session]\nauthentications = password\n"
        )
        return configuration


class SqliteBooks(Books):
    kind = "sqlite"

    @property
    def server_uri(self) -> str:
        return "sqlite://"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    @property
    def address(self) -> str:
        return f"sqlite:///{DATABASE}"

    @property
    def path(self) -> Path:
        return self.folder / f"{DATABASE}.sqlite"

    def create(self) -> None:
        self.path.touch()

    def keep(self, kept: Path) -> None:
        self.path.rename(kept)

    def restore(self, kept: Path) -> None:
        shutil.copy(kept, self.path)


class PostgresBooks(Books):
    kind = "postgresql"

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        super().__init__(folder)
        self._server = server

    @property
    def server_uri(self) -> str:
        return self._server.url("")

    @property
    def url(self) -> str:
        return self._server.url(DATABASE)

    def create(self) -> None:
        self._server.execute(f"drop database if exists {DATABASE}")
        self._server.create_database(DATABASE)

    def keep(self, kept: Path) -> None:
        program = max(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))
        run([program, "--no-owner", "--file", kept, self.url])

    def restore(self, kept: Path) -> None:
        self.create()
        self._server.execute(kept.read_text(), database=DATABASE)


@dataclass(frozen=True)
class Tryton:
    """A running server."""

    url: str
    books: Books
    made_at: datetime
    """When its books were made: what Tryton's own clock dates is of that day or later."""
    _server: subprocess.Popen[str]

    def go_on(self) -> None:
        """Let the company do one more day's work, by Tryton's own code beside the server."""
        configuration = self.books.configure()
        run_inside([SCRIPTS / "documents.py", self.books.address, configuration], configuration)

    def stop(self) -> None:
        """Stop at once, as a server that is killed."""
        self._server.kill()
        self._server.wait()


@contextmanager
def running_tryton(books: Books) -> Iterator[Tryton]:
    """Tryton on a copy of the prepared books, stopped at the end."""
    python = tryton_python()
    kept = prepared_books(python, books)
    made_at = datetime.fromtimestamp(kept.stat().st_mtime, UTC)
    books.restore(kept)
    environment = {
        "TRYTOND_CONFIG": str(books.configure()),
        "TRYTOND_DATABASE_NAMES": DATABASE,
    }
    with (books.folder / "trytond.log").open("w") as log:
        server = subprocess.Popen(
            [python, PROGRAMS / "serve.py"],
            env=os.environ | environment, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        assert port, (books.folder / "trytond.log").read_text()
        yield Tryton(f"http://127.0.0.1:{port}", books, made_at, server)
    finally:
        server.terminate()
        server.communicate()


def forget_sessions(books: SqliteBooks) -> None:
    """End every session, as Tryton does to those that are idle for long."""
    with closing(sqlite3.connect(books.path)) as connection, connection:
        connection.execute("delete from ir_session")


def tryton_python() -> Path:
    """The Python of Tryton's environment; tests that need it are skipped where there is none."""
    python = HOME / "venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("Tryton is not installed; `make tryton` installs it")
    return python


def prepared_books(python: Path, books: Books) -> Path:
    """The books as `prepare` writes them, made anew where anything that they follow from changed.

    They are made in the place of `books`, whose content is replaced afterwards.
    """
    made_of = [LOCK, SCRIPTS / "prepare.py", SCRIPTS / "documents.py"]
    content = [" ".join(MODULES).encode(), *(file.read_bytes() for file in made_of)]
    digest = hashlib.sha256(b"".join(content)).hexdigest()[:12]
    kept = HOME / f"{books.kind}-{digest}"
    with FileLock(HOME / "books.lock"):
        if not kept.exists():
            books.create()
            _prepare(python, books)
            books.keep(kept)
    return kept


def _prepare(python: Path, books: Books) -> None:
    configuration = books.configure()
    password = books.folder / "password"
    password.write_text(ADMIN_PASSWORD + "\n")
    run(
        [
            python.with_name("trytond-admin"), "-c", configuration, "-d", DATABASE, "-u", *MODULES,
            "--activate-dependencies", "--email", "admin@example.com",
        ],
        TRYTONPASSFILE=str(password),
    )  # fmt: skip
    run_inside([SCRIPTS / "prepare.py", books.address, configuration], configuration)


def run_inside(program: list[str | Path], configuration: Path) -> None:
    """Run a program by Tryton's Python; the configuration decides on the kind of database."""
    run([tryton_python(), *program], TRYTOND_CONFIG=str(configuration))


def run(command: list[str | Path], **environment: str) -> None:
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
