"""Loaded by every Python process of the tests: refuses any look-up or connection but loopback.

A refused one is also written to the file that LOOKUPS_LOG names, so that a library which swallows
the error is found out at the end of the run.
"""

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

_getaddrinfo = socket.getaddrinfo
_connect = socket.socket.connect
_LOOPBACK_NAMES = {"localhost", "", None, socket.gethostname()}


def _is_loopback(host: Any) -> bool:
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False


def _refuse(host: Any) -> None:
    log = os.environ.get("LOOKUPS_LOG")
    if log:
        with Path(log).open("a", encoding="utf-8") as lookups:
            lookups.write(f"{host}\n")
    raise socket.gaierror(f"the tests reach loopback only, found: {host}")


def _guarded_getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    # 0.0.0.0 and :: are what a server binds to; nothing leaves the machine by it.
    if not _is_loopback(host) and host not in ("0.0.0.0", "::"):
        _refuse(host)
    return _getaddrinfo(host, *arguments, **options)


def _guarded_connect(self: socket.socket, address: Any) -> Any:
    if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
        _refuse(address[0])
    return _connect(self, address)


socket.getaddrinfo = _guarded_getaddrinfo
socket.socket.connect = _guarded_connect  # type: ignore[method-assign]
