"""The HTTP server that callbacks are posted to: addresses, limits and the log."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pipeline.sources.wechat.callbacks.body import BYTES_MOST
from pipeline.sources.wechat.callbacks.receiver import Receiver, RefusedError

# WeChat waits five seconds; what is left of them is for the disk.
SECONDS_TO_POST = 3.0
# An encrypted body in its envelope is a third longer than what it holds.
POSTED_BYTES_MOST = 2 * BYTES_MOST

log = logging.getLogger("bihuan.callbacks")


def build_app(receivers: Mapping[str, Receiver]) -> Starlette:
    """One address per account, /<connection>; a single account is at / as well."""
    routes = [
        Route(f"/{name}", _endpoint(name, receiver), methods=["GET", "POST"])
        for name, receiver in receivers.items()
    ]
    if len(receivers) == 1:
        ((name, receiver),) = receivers.items()
        routes.append(Route("/", _endpoint(name, receiver), methods=["GET", "POST"]))
    return Starlette(routes=routes)


def serve(receivers: Mapping[str, Receiver], *, host: str, port: int) -> None:
    """Until interrupted. Without a log of requests: their addresses bear signatures."""
    uvicorn.run(build_app(receivers), host=host, port=port, access_log=False, log_level="warning")


def _endpoint(name: str, receiver: Receiver) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            if request.method != "POST":
                return PlainTextResponse(receiver.prove(request.query_params))
            content = await _posted(request)
            await run_in_threadpool(receiver.take, request.query_params, content)
        except RefusedError as refused:
            log.warning("%s: %s, %s", name, refused.status, refused)
            return PlainTextResponse("refused", status_code=refused.status)
        except OSError as error:
            # Not stored, so not answered with success: WeChat tries again.
            log.error("%s: not stored, %s", name, error.strerror)
            return PlainTextResponse("not stored", status_code=503)
        return PlainTextResponse("success")

    return answer


async def _posted(request: Request) -> bytes:
    content = bytearray()
    try:
        async with asyncio.timeout(SECONDS_TO_POST):
            async for chunk in request.stream():
                content += chunk
                if len(content) > POSTED_BYTES_MOST:
                    raise RefusedError(413, f"body: allowed: {POSTED_BYTES_MOST} bytes")
    except TimeoutError:
        raise RefusedError(408, f"body: not there within {SECONDS_TO_POST:.0f} s") from None
    except ClientDisconnect:
        raise RefusedError(400, "body: the line was cut") from None
    return bytes(content)
