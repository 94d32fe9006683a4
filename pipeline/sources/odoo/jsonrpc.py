"""Odoo's JSON-RPC: the protocol of every version up to now. Its errors come with HTTP 200."""

from collections.abc import Mapping
from typing import Any

import httpx

from pipeline.errors import BrokenContentError, ConfigurationError, PermanentSourceError
from pipeline.sources.odoo.access import Access, require_reading
from pipeline.sources.odoo.refusals import CHECK_KEY, refusal
from pipeline.sources.replies import exchange
from pipeline.sources.wire import Wire

PATH = "/jsonrpc"
_GONE = (httpx.codes.NOT_FOUND, httpx.codes.GONE)


class JsonRpc:
    """Calls over one open client, as the user whose number is known, or is asked for once."""

    def __init__(
        self, client: httpx.Client, wire: Wire, access: Access, user_id: int | None = None
    ) -> None:
        self._client = client
        self._wire = wire
        self._access = access
        self.user_id = user_id

    def call(self, model: str, method: str, **named: Any) -> Any:
        """One method of a model."""
        if self.user_id is None:
            self.user_id = self._log_in()
        access = self._access
        arguments = [
            access.database, self.user_id, access.key.get_secret_value(), model,
            require_reading(method), [], named | {"context": access.context},
        ]  # fmt: skip
        return self._ask("object", "execute_kw", arguments, access.what(model))

    def major_version(self) -> int | None:
        """The first number of Odoo's version; None where JSON-RPC is no longer spoken."""
        what = self._access.what("version of Odoo")
        is_gone = False

        def send() -> httpx.Response:
            nonlocal is_gone
            response = self._client.post(PATH, json=_envelope("common", "version", []))
            is_gone = response.status_code in _GONE
            return httpx.Response(httpx.codes.OK, json={}) if is_gone else response

        reply = self._wire.persist(lambda: exchange(send, what, conceal=self._access.conceal))
        if is_gone:
            return None
        result = reply.get("result") if isinstance(reply, Mapping) else None
        told = result.get("server_version_info") if isinstance(result, Mapping) else None
        # Odoo's own cloud words it `saas~18`.
        major = str(told[0]).rpartition("~")[2] if isinstance(told, list) and told else ""
        if not major.isdecimal():
            raise BrokenContentError(
                f"{what}: found no server_version_info in the reply",
                next_step="check base_url: does Odoo answer there? Or name the `protocol` of the"
                " connection in sources.yml, jsonrpc or json2",
            )
        return int(major)

    def _log_in(self) -> int:
        """The user's number: for a wrong password there is no error, but `false`."""
        access = self._access
        if not access.user:
            raise ConfigurationError(
                f"sources.yml: the connection to {access.base_url} lacks `user`, which JSON-RPC"
                " needs (JSON-2, of Odoo 19 and later, does without)",
                next_step="name the login under `user`",
            )
        what = access.what(f"login of {access.user}")
        arguments = [access.database, access.user, access.key.get_secret_value()]
        found = self._ask("common", "login", arguments, what)
        if not isinstance(found, int) or isinstance(found, bool):
            raise PermanentSourceError(
                f"{what}: Odoo does not know this user with this password or key",
                next_step=CHECK_KEY,
            )
        return found

    def _ask(self, service: str, method: str, arguments: list[Any], what: str) -> Any:
        conceal = self._access.conceal

        def attempt() -> Any:
            reply = exchange(
                lambda: self._client.post(PATH, json=_envelope(service, method, arguments)),
                what,
                conceal=conceal,
            )
            if not isinstance(reply, Mapping):
                raise BrokenContentError(
                    f"{what}: found {type(reply).__name__}, allowed: a JSON-RPC envelope",
                    next_step="check base_url: does Odoo answer there?",
                )
            error = reply.get("error")
            if isinstance(error, Mapping):
                raise refusal(error.get("data") or error, what, conceal)
            return reply.get("result")  # a method that returns nothing leaves it out

        return self._wire.persist(attempt)


def _envelope(service: str, method: str, arguments: list[Any]) -> dict[str, Any]:
    params = {"service": service, "method": method, "args": arguments}
    return {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}
