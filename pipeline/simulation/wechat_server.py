"""WeChat's hosts for the simulated company, as one HTTP server on a loopback port.

api.weixin.qq.com, api.mch.weixin.qq.com and qyapi.weixin.qq.com share no path, so one address
stands for all three. What each answers stands in `open_platform.py`, `merchant_desk.py`,
`contact_desk.py` and `robot.py`; this is only the line.
"""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

from pipeline.simulation.contact_book import read_contact_book
from pipeline.simulation.contact_desk import ContactDesk
from pipeline.simulation.habits import Habits
from pipeline.simulation.http_call import Answer, Call, answer_json
from pipeline.simulation.keys import MERCHANT_KEY, PLATFORM_KEY, read_private_key
from pipeline.simulation.merchant_desk import MerchantDesk
from pipeline.simulation.open_platform import OpenPlatform
from pipeline.simulation.outages import Outages
from pipeline.simulation.robot import Robot
from pipeline.simulation.wechat_books import read_books


class WechatServer:
    """The hosts, answering from `folder` (`systems/wechat`) while the context is open."""

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], float] = time.time,
        outages: Outages | None = None,
        habits: Habits | None = None,
    ) -> None:
        books = read_books(folder)
        self._outages = outages
        self.robot = Robot(books.account.robot_key, now)
        self.desk = MerchantDesk(
            books=books,
            merchant_key=read_private_key(folder / MERCHANT_KEY).public_key(),
            platform_key=read_private_key(folder / PLATFORM_KEY),
            now=now,
        )
        self.platform = OpenPlatform(books, now, habits or Habits())
        contacts = ContactDesk(read_contact_book(folder), now)
        self._hosts = (self.platform, self.desk, contacts, self.robot)
        self._server = _Listener(("127.0.0.1", 0), _handler(self.answer))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.desk.address = self.address
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    def answer(self, call: Call) -> Answer:
        """What the host that has the path replies, or what an outage makes of it."""
        if self._outages is not None:
            return self._outages.answer(call, self._answer)
        return self._answer(call)

    def _answer(self, call: Call) -> Answer:
        for host in self._hosts:
            answer = host.answer(call)
            if answer is not None:
                return answer
        return answer_json({"code": "NOT_FOUND", "message": "no such path"}, status=404)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    # Several extraction processes connect at once.
    request_queue_size = 64


def _handler(answer: Callable[[Call], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # A reply is written as one segment, and not held back for the next one.
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            self._reply()

        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            replied = answer(
                Call(self.command, self.path, dict(self.headers), body, self.client_address[0])
            )
            time.sleep(replied.waits_seconds)
            cut = replied.hangs_up_after
            # A false length leaves the line out of step, so it is not used again.
            self.close_connection = cut is not None or replied.declared_length is not None
            if cut is not None and cut < 0:
                return
            self.send_response(replied.status)
            for name, value in replied.headers.items():
                self.send_header(name, value)
            length = (
                len(replied.body) if replied.declared_length is None else replied.declared_length
            )
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(replied.body[:cut])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing: addresses bear tokens and keys."""

    return Handler
