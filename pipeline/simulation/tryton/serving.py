"""The simulated company's Tryton as a server on loopback, for as long as a context is open."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.simulation.tryton.books import CONFIGURATION, DATABASE, PROGRAMS, tryton_python
from pipeline.simulation.tryton.wiring import TRYTON_URL


@contextmanager
def running_tryton(folder: Path) -> Iterator[str]:
    """Serve the books in a folder; name their address in the environment."""
    environment = os.environ | {
        "TRYTOND_CONFIG": str(folder / CONFIGURATION), "TRYTOND_DATABASE_NAMES": DATABASE,
    }  # fmt: skip
    with (folder / "trytond.log").open("w") as log:
        server = subprocess.Popen(
            [tryton_python(), PROGRAMS / "serve.py"],
            env=environment, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        port = server.stdout.readline().strip() if server.stdout else ""
        if not port:
            raise ConfigurationError(f"Tryton did not start; see {folder / 'trytond.log'}")
        os.environ[TRYTON_URL] = f"http://127.0.0.1:{port}"
        yield os.environ[TRYTON_URL]
    finally:
        os.environ.pop(TRYTON_URL, None)
        server.terminate()
        server.communicate()
