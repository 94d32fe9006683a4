"""Servers that tests share, and a line to them that breaks.

Where a server cannot be had, its tests are skipped and say why.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from bench.servers import (
    MariaDbServer,
    NoServerError,
    PostgresServer,
    Server,
    free_port,
    open_folder,
    running,
    running_postgres,
)

__all__ = [
    "BreakingLine", "MariaDbServer", "NoServerError", "PostgresServer", "Server", "free_port",
    "open_folder", "running", "running_postgres",
]  # fmt: skip


class BreakingLine:
    """A line to a server on this machine that breaks once it has answered so many bytes."""

    def __init__(self, port: int, *, breaks_after: int) -> None:
        self._port = port
        self._left = breaks_after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> "BreakingLine":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                for pump in (self._ask, self._answer):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while sent := client.recv(65536):
                server.sendall(sent)
            server.shutdown(socket.SHUT_RDWR)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError), client, server:
            while (sent := server.recv(65536)) and len(sent) <= self._left:
                self._left -= len(sent)
                client.sendall(sent)
            client.shutdown(socket.SHUT_RDWR)


def _running_or_skipped(kind: type[Server]) -> Iterator[Server]:
    with ExitStack() as opened:
        folder = opened.enter_context(open_folder(kind.scheme))
        try:
            server = opened.enter_context(running(kind, folder))
        except NoServerError as error:
            pytest.skip(str(error))
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The PostgreSQL of this run of tests."""
    yield from _running_or_skipped(PostgresServer)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """The MariaDB of this run of tests."""
    yield from _running_or_skipped(MariaDbServer)
