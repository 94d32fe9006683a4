"""One HTTP request and one reply, as the simulated hosts see them."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Call:
    """One request: `target` is path and query exactly as they were sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    address: str = "127.0.0.1"
    clock_offset_seconds: int = 0
    """How far the clock of the host that signs the reply is off while it answers."""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        parsed = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: values[-1] for name, values in parsed.items()}

    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object; None where it is none."""
        try:
            content = json.loads(self.body)
        except ValueError:
            return None
        return content if isinstance(content, dict) else None


@dataclass(frozen=True)
class Answer:
    """One reply, and how badly it travels: late, cut short, or with a false length."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    waits_seconds: float = 0.0
    hangs_up_after: int | None = None
    """The line is cut after so many bytes of the body; before the status line where negative."""
    declared_length: int | None = None


def answer_json(content: Any, *, status: int = 200) -> Answer:
    body = json.dumps(content, ensure_ascii=False).encode()
    return Answer(status, body, {"Content-Type": "application/json; charset=utf-8"})


def refuse(errcode: int, errmsg: str) -> Answer:
    """An error as api.weixin.qq.com and qyapi.weixin.qq.com tell it: HTTP 200 with an errcode."""
    return answer_json({"errcode": errcode, "errmsg": errmsg})


def refuse_with_rid(errcode: int, errmsg: str, now: float) -> Answer:
    """The same with the number under which WeChat finds the call again for a week."""
    return refuse(
        errcode, f"{errmsg} rid: {int(now):08x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
    )


class CallRefusedError(Exception):
    """A call that api.weixin.qq.com refuses, with its code and its own words."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errmsg)
        self.errcode, self.errmsg = errcode, errmsg
