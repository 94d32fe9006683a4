"""Calls to one Odoo, by the protocol that it speaks best or that the company chose."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from pipeline.company import Company, Connection
from pipeline.sources.odoo.access import Access, Call, read_access
from pipeline.sources.odoo.json2 import Json2
from pipeline.sources.odoo.jsonrpc import JsonRpc
from pipeline.sources.wire import Wire

FIRST_WITH_JSON2 = 19


class OdooApi:
    """The calls of one connection. What was found out once outlives the lines that `open` gives."""

    def __init__(self, connection: Connection, company: Company, wire: Wire) -> None:
        self.base_url = connection.base_url or ""
        self._connection = connection
        self._company = company
        self._wire = wire
        self._protocol = connection.protocol
        self._user_id: int | None = None

    @contextmanager
    def open(self) -> Iterator[Call]:
        """A line to Odoo, closed at the end."""
        access = read_access(self._connection, self._company)
        with self._wire.client(self.base_url) as client:
            if self._protocol is None:
                self._protocol = "json2" if self._has_json2(client, access) else "jsonrpc"
            if self._protocol == "json2":
                yield Json2(client, self._wire, access).call
                return
            rpc = JsonRpc(client, self._wire, access, self._user_id)
            yield rpc.call
            self._user_id = rpc.user_id

    def _has_json2(self, client: httpx.Client, access: Access) -> bool:
        """By the version; JSON-RPC is announced to go, and then tells none."""
        version = JsonRpc(client, self._wire, access).major_version()
        return version is None or version >= FIRST_WITH_JSON2
