"""Odoo's JSON-2, of version 19 and later: one address per method, and errors by HTTP status."""

from collections.abc import Mapping
from typing import Any

import httpx

from pipeline.sources.odoo.access import Access, require_reading
from pipeline.sources.odoo.refusals import refusal
from pipeline.sources.replies import exchange
from pipeline.sources.wire import Wire

# What these mean is said by the status: a server or a proxy that is busy.
_BUSY = (429, 502, 503, 504)


class Json2:
    """Calls over one open client, as the user whose key it is."""

    def __init__(self, client: httpx.Client, wire: Wire, access: Access) -> None:
        self._client = client
        self._wire = wire
        self._access = access

    def call(self, model: str, method: str, **named: Any) -> Any:
        """One method of a model."""
        access = self._access
        path = f"/json/2/{model}/{require_reading(method)}"
        body = named | {"context": access.context}
        headers = {
            "Authorization": f"bearer {access.key.get_secret_value()}",
            "X-Odoo-Database": access.database,
        }
        what = access.what(model)

        def send() -> httpx.Response:
            response = self._client.post(path, json=body, headers=headers)
            told = _read_exception(response)
            if told is not None:
                raise refusal(told, what, access.conceal)
            return response

        return self._wire.persist(lambda: exchange(send, what, conceal=access.conceal))


def _read_exception(response: httpx.Response) -> Mapping[str, Any] | None:
    """What Odoo raised: an unknown field is HTTP 500 there, and its name tells more than that."""
    if response.is_success or response.status_code in _BUSY:
        return None
    try:
        told = response.json()
    except ValueError:
        return None
    return told if isinstance(told, Mapping) and told.get("name") else None
