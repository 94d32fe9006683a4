"""The merchant's line to WeChat Pay v3: signed calls, verified replies, files. Reads no bill."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import httpx

from pipeline.errors import BrokenContentError, PermanentSourceError, TransientSourceError
from pipeline.sources.wechat.paycodes import read_object, refusal
from pipeline.sources.wechat.signing import SIGNATURE_HEADERS, MerchantKeys
from pipeline.sources.wire import Wire

# Calls that leave evenly may arrive closer together: a tenth slower than allowed.
SLACK = 1.1


class AddressRefusedError(PermanentSourceError):
    """The address of a bill was refused: it lives for minutes only, another can be asked for."""


class MerchantLine:
    """Signed calls on one open client."""

    def __init__(
        self,
        client: httpx.Client,
        keys: MerchantKeys,
        wire: Wire,
        *,
        calls_per_second: int | None = None,
    ) -> None:
        self._client = client
        self._keys = keys
        self._wire = wire
        self._calls_per_second = calls_per_second

    def ask(self, target: str, subject: str) -> dict[str, Any]:
        """The verified reply to a signed GET; `target` is path and query. Not faster than allowed.

        Raises NoStatementError, RequestRefusedError and the other subclasses of SourceError.
        """
        return self._wire.persist(lambda: self._ask(target, subject))

    def download(self, url: str, subject: str) -> bytes:
        """The file's bytes as they came. The reply is not signed; its hash came in a signed one."""
        return self._wire.persist(lambda: self._read(url, subject))

    def _ask(self, target: str, subject: str) -> dict[str, Any]:
        if self._calls_per_second:
            self._wire.pace(self._keys.merchant_id, self._calls_per_second / SLACK)
        with self._sent(target, subject) as response:
            body = response.read()
        is_signed = any(name in response.headers for name in SIGNATURE_HEADERS)
        if response.is_success or is_signed:
            self._keys.verify(response.headers, body, self._wire.now(), subject=subject)
        if not response.is_success:
            raise refusal(response, subject)
        reply = read_object(response)
        if not reply:
            raise BrokenContentError(
                f"{subject}: found {len(body)} bytes that are not a JSON object with content",
                next_step="run again; if it repeats, check base_url of the connection",
            )
        return reply

    def _read(self, url: str, subject: str) -> bytes:
        # Asked not to encode, and read raw: what is hashed is the file itself.
        with self._sent(url, subject, {"Accept": "*/*", "Accept-Encoding": "identity"}) as response:
            if response.is_success:
                return b"".join(response.iter_raw())
            response.read()
        error = refusal(response, subject)
        if response.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND):
            raise AddressRefusedError(error.message, next_step="run again: addresses age quickly")
        raise error

    @contextmanager
    def _sent(
        self, url: str, subject: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Iterator[httpx.Response]:
        try:
            request = self._client.build_request("GET", url, headers=headers)
            target = request.url.raw_path.decode("ascii")
            request.headers["Authorization"] = self._keys.authorize(
                request.method, target, "", self._wire.now()
            )
            if self._keys.public_key_id:
                request.headers["Wechatpay-Serial"] = self._keys.public_key_id
            response = self._client.send(request, stream=True)
            try:
                yield response
            finally:
                response.close()
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise TransientSourceError(
                f"{subject}: {type(error).__name__}, the line was cut or never made",
                next_step="check base_url of the connection, the network and the proxy",
            ) from error
