"""Nothing here, and nothing that the project starts, may look beyond loopback."""

import socket
import subprocess
import sys

import pytest


def test_a_lookup_beyond_loopback_is_refused_in_this_process() -> None:
    with pytest.raises(socket.gaierror, match=r"example\.invalid"):
        socket.getaddrinfo("example.invalid", 443)


def test_a_lookup_beyond_loopback_is_refused_in_a_process_that_we_start() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", "import socket; socket.getaddrinfo('example.invalid', 443)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "loopback only" in finished.stderr


def test_loopback_is_open() -> None:
    assert socket.getaddrinfo("127.0.0.1", 80)
