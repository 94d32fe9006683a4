"""K3Cloud's WebAPI on behalf of one application: signed calls that read, and nothing else."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, Protocol

import httpx
from pydantic import SecretStr

from pipeline.company import Company, Connection
from pipeline.errors import PermanentSourceError, TransientSourceError
from pipeline.sources.kingdee.refusals import (
    TEXT_REFUSAL,
    read_refusal,
    refusal,
    text_refusal,
)
from pipeline.sources.kingdee.signing import Caller, sign
from pipeline.sources.replies import concealed, exchange
from pipeline.sources.wire import Wire

SERVICE = "Kingdee.BOS.WebApi.ServicesStub.DynamicFormService"
CHINESE = "2052"

Method = Literal["ExecuteBillQuery", "QueryBusinessInfo"]


class Ask(Protocol):
    """One call about a form. Raises subclasses of SourceError."""

    def __call__(self, method: Method, data: Mapping[str, Any]) -> Any: ...


class _FailedError(TransientSourceError):
    """HTTP 500: that the server fails, or that it does not know these books."""


class KingdeeApi:
    """The calls of one connection."""

    def __init__(self, connection: Connection, company: Company, wire: Wire) -> None:
        self.base_url = connection.base_url or ""
        self._connection = connection
        self._wire = wire
        self._has_answered = False
        self._secret: Callable[[], SecretStr] = partial(
            company.secret, connection.app_secret_env or ""
        )

    @contextmanager
    def open(self) -> Iterator[Ask]:
        """A line to K3Cloud, closed at the end."""
        told = self._connection
        caller = Caller(
            app_id=told.app_id or "",
            app_secret=self._secret().get_secret_value(),
            database=told.database or "",
            user=told.user or "",
            language=told.language or CHINESE,
            organization=told.organization or "0",
        )
        with self._wire.client(self.base_url) as client:
            yield partial(self._ask, client, caller)

    def _ask(
        self, client: httpx.Client, caller: Caller, method: Method, data: Mapping[str, Any]
    ) -> Any:
        what = f"{method} of {data['FormId']} at {self.base_url}"
        conceal = (caller.app_secret, caller.app_id)

        def send() -> httpx.Response:
            request = client.build_request(
                "POST", f"/{SERVICE}.{method}.common.kdsvc", json={"data": data}
            )
            request.headers.update(sign(caller, request.url.path, self._wire.now()))
            return self._refuse_texts(client.send(request), what, conceal)

        def attempt() -> Any:
            reply = exchange(send, what, conceal=conceal)
            status = read_refusal(reply)
            if status is not None:
                raise refusal(status, what, conceal)
            self._has_answered = True
            return reply

        try:
            return self._wire.persist(attempt)
        except _FailedError as error:
            if self._has_answered:
                raise
            raise PermanentSourceError(
                error.message,
                next_step="check `database` of the connection, the id of the 数据中心; if that is"
                " right, ask who runs K3Cloud why it fails",
            ) from None

    def _refuse_texts(
        self, response: httpx.Response, what: str, conceal: tuple[str, ...]
    ) -> httpx.Response:
        """The response, unless it is a sentence, or the server's way to refuse unknown books.

        A server that has answered before knows them, and its failure passes.
        """
        if response.is_success and response.text.startswith(TEXT_REFUSAL):
            raise text_refusal(response.text, what, conceal)
        if response.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
            said = concealed(response.text, conceal)
            message = f"{what}: HTTP 500" + (f", it says '{said}'" if said else "")
            raise _FailedError(message, next_step="run again in a few minutes")
        return response
