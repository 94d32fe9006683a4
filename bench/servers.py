"""Database servers of our own, from the system's packages: what is measured against a real one.

Each lives in a folder under the system's temporary one, listens on loopback only, and ends with
whoever started it.
"""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PASSWORD = "hunter2"  # noqa: S105 - of a server on loopback that ends with its user
START_SECONDS = 60
INSTALLED_BY = ".ci/install-servers installs it"


class ServerError(Exception):
    """A server, or one of its programs, did not do what it was told."""


class NoServerError(ServerError):
    """The programs of a server are not installed."""


class Server:
    """One server in a folder of its own, which any user may enter but only its account writes."""

    scheme: str
    account: str
    user: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        # Servers refuse to run as root, and then run as the account that their package made.
        self._is_root = os.geteuid() == 0
        if self._is_root:
            shutil.chown(folder, self.account)

    def url(self, database: str, *, user: str = "", password: str = PASSWORD) -> str:
        return f"{self.scheme}://{user or self.user}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """Stop at once, as a machine that loses its power."""
        raise NotImplementedError

    def execute(self, statements: str, *, database: str = "") -> str:
        """Run SQL as the administrator; return what it prints."""
        raise NotImplementedError

    def create_database(self, name: str) -> str:
        """An empty database; its address for the administrator."""
        self.execute(f"create database {name}")
        return self.url(name)

    def _run(self, *command: object, given: str | None = None) -> str:
        account = ["runuser", "-u", self.account, "--"] if self._is_root else []
        done = subprocess.run(
            [*account, *map(str, command)],
            input=given, capture_output=True, text=True, check=False, cwd=self.folder,
            env=os.environ | {"HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        if done.returncode:
            raise ServerError(f"{command[0]} ended with {done.returncode}: {done.stderr}")
        return done.stdout


class PostgresServer(Server):
    """PostgreSQL; `user` is a superuser."""

    scheme, account, user = "postgresql", "postgres", "owner"

    def __init__(self, folder: Path) -> None:
        found = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
        if found is None:
            raise NoServerError(f"PostgreSQL is not installed; {INSTALLED_BY}")
        super().__init__(folder)
        self._programs = found.parent
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            self._programs / "initdb", "-D", folder / "data", "-U", self.user, "-N",
            "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8", "--locale=C",
        )  # fmt: skip

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -k {self.folder}"
        self._control("-w", "-o", options, "-l", self.folder / "log", "start")

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def execute(self, statements: str, *, database: str = "postgres") -> str:
        address = self.url(database)
        return self._run(
            self._programs / "psql", address, "-v", "ON_ERROR_STOP=1", "-qAt", given=statements
        )

    def _control(self, *arguments: object) -> None:
        self._run(self._programs / "pg_ctl", "-D", self.folder / "data", *arguments)


class MariaDbServer(Server):
    """MariaDB; `user` may do everything."""

    scheme, account, user = "mysql", "mysql", "root"

    def __init__(self, folder: Path) -> None:
        self._daemon = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if self._daemon is None:
            raise NoServerError(f"MariaDB is not installed; {INSTALLED_BY}")
        super().__init__(folder)
        self._socket = folder / "socket"
        self._process: subprocess.Popen[bytes] | None = None
        self._run(
            "mariadb-install-db", "--no-defaults", f"--datadir={folder / 'data'}",
            "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
        )  # fmt: skip
        self._password = ""

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._daemon), "--no-defaults", f"--datadir={self.folder / 'data'}",
                    f"--user={self.account if self._is_root else getpass.getuser()}",
                    f"--socket={self._socket}", f"--port={self.port}", "--bind-address=127.0.0.1",
                    f"--pid-file={self.folder / 'pid'}", "--skip-name-resolve", "--skip-log-bin",
                    "--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=2",
                ],
                stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        self._await_socket()
        if not self._password:
            self.execute(
                f"set password for 'root'@'localhost' = password('{PASSWORD}');"
                f"grant all on *.* to 'root'@'127.0.0.1' identified by '{PASSWORD}'"
                " with grant option"
            )
            self._password = PASSWORD

    def _await_socket(self) -> None:
        assert self._process is not None, "it was started"
        for _ in range(START_SECONDS * 10):
            if self._socket.exists():
                return
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.1)
                break  # it has ended
        told = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        raise ServerError(f"MariaDB did not start: {told[-2000:]}")

    def stop(self) -> None:
        self._socket.unlink(missing_ok=True)
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def execute(self, statements: str, *, database: str = "") -> str:
        return self._run(
            "mariadb", "--no-defaults", f"--socket={self._socket}", "--user=root",
            f"--password={self._password}", "--batch", "--skip-column-names",
            "--default-character-set=utf8mb4", *filter(None, [database]),
            given=statements,
        )  # fmt: skip


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def running(kind: type[Server], folder: Path) -> Iterator[Server]:
    """A server of that kind in an empty folder. Raises NoServerError where it is not installed."""
    server = kind(folder)
    server.start()
    try:
        yield server
    finally:
        with suppress(ServerError):  # a test may have stopped it
            server.stop()


@contextmanager
def running_postgres(folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL in an empty folder that its account may enter: not one of pytest's own."""
    with running(PostgresServer, folder) as server:
        assert isinstance(server, PostgresServer)
        yield server


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """A temporary folder that every user may enter: pytest's own ones only its user may."""
    folder = Path(tempfile.mkdtemp(prefix=f"bihuan-{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
