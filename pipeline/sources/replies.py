"""One exchange with a business system over HTTP, read as JSON or refused by class.

What a system words its own way inside a successful reply is the concern of its own package.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

import httpx

from pipeline.errors import BrokenContentError, PermanentSourceError, TransientSourceError
from pipeline.sources.mapping import mask_phones
from pipeline.sources.records import read_json
from pipeline.sources.wire import QuotaOfMinuteError

# Of a reply that is no success, so much is told.
TOLD_CHARACTERS = 300


def exchange(send: Callable[[], httpx.Response], what: str, *, conceal: Sequence[str] = ()) -> Any:
    """The JSON of one reply. `what` says in messages what was asked for; texts of `conceal` never
    show. Raises subclasses of SourceError."""
    try:
        response = send()
    except httpx.RequestError as error:
        raise TransientSourceError(
            f"{what}: {type(error).__name__}, {concealed(str(error), conceal)}",
            next_step="check base_url of the connection, the network and the proxy",
        ) from None
    if not response.is_success:
        raise _refusal(response, what, conceal)
    try:
        return read_json(response.content)
    except (ValueError, RecursionError) as error:
        raise BrokenContentError(
            f"{what}: found {len(response.content)} bytes that are not JSON"
            f" ({type(error).__name__})",
            next_step="run again; if it repeats, check base_url and the proxy",
        ) from None


def _refusal(response: httpx.Response, what: str, conceal: Sequence[str]) -> Exception:
    status = response.status_code
    said = concealed(response.text, conceal)
    message = f"{what}: HTTP {status}" + (f", it says '{said}'" if said else "")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return QuotaOfMinuteError(message, next_step="nothing to mend: run again in a few minutes")
    if response.is_server_error or status == httpx.codes.REQUEST_TIMEOUT:
        return TransientSourceError(message, next_step="run again in a few minutes")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return PermanentSourceError(
            message, next_step="check the user, its secret and its right to read this"
        )
    return PermanentSourceError(message, next_step="check base_url and the names in sources.yml")


def concealed(text: str, conceal: Sequence[str]) -> str:
    """What a system says, as messages may tell it: on one line, without secrets, not too long."""
    for secret in filter(None, conceal):
        for written in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(written, "***")
    return mask_phones(" ".join(text.split()))[:TOLD_CHARACTERS]
