"""qyapi.weixin.qq.com of the simulated company: one group robot, which keeps what it is sent."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from pipeline.simulation.http_call import Answer, Call, answer_json, refuse

PATH = "/cgi-bin/webhook/send"
MESSAGES_A_MINUTE = 20
CONTENT_BYTES_MOST = {"text": 2048, "markdown": 4096, "markdown_v2": 4096}
_MORE = "from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query?e="


@dataclass
class Robot:
    """A robot of one group. `messages` are the bodies it accepted, in order."""

    key: str
    now: Callable[[], float]
    messages: list[dict[str, Any]] = field(default_factory=list)
    _accepted_at: list[float] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def answer(self, call: Call) -> Answer | None:
        """The reply; None where this host has no such path."""
        if call.path != PATH:
            return None
        if call.query.get("key") != self.key:
            return refuse(93000, f"invalid webhook url, hint: [1708397705], {_MORE}93000")
        body = call.json()
        if call.method != "POST" or body is None:
            return refuse(40008, f"invalid message type, hint: [1708397705], {_MORE}40008")
        kind = body.get("msgtype", "")
        content = (body.get(kind) or {}).get("content") if isinstance(kind, str) else None
        most = CONTENT_BYTES_MOST.get(kind)
        if most is None or not isinstance(content, str) or not content:
            return refuse(40008, f"invalid message type, hint: [1708397705], {_MORE}40008")
        if len(content.encode()) > most:
            return refuse(40058, f"{kind}.content exceed max length {most}. {_MORE}40058")
        with self._lock:
            now = self.now()
            self._accepted_at = [at for at in self._accepted_at if now - at < 60]
            if len(self._accepted_at) >= MESSAGES_A_MINUTE:
                return refuse(45009, f"api freq out of limit, hint: [1708397705], {_MORE}45009")
            self._accepted_at.append(now)
            self.messages.append(body)
        return answer_json({"errcode": 0, "errmsg": "ok"})
