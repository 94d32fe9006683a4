"""How K3Cloud's WebAPI knows its caller: the headers that an application signs for each call.

The same as the vendor's own kit sends; a test holds the two side by side.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

# The gateway's half of an application id is masked with these characters, the same for everybody.
_MASK = b"0054f397c6234378b09ca7d3e5debce7"
_MASKED_LENGTH = 32
SIGNED_HEADERS = "x-api-timestamp,x-api-nonce"


@dataclass(frozen=True)
class Caller:
    """Who calls, for which books: `database` is the id of the 数据中心, `language` 2052 Chinese."""

    app_id: str
    app_secret: str
    database: str
    user: str
    language: str
    organization: str


def sign(caller: Caller, path: str, now: datetime) -> dict[str, str]:
    """The headers of one POST to `path`, as it is sent, at an instant."""
    timestamp = str(int(now.timestamp()))
    client, _, masked = caller.app_id.partition("_")
    if not masked or "_" in masked:
        client = masked = ""  # of a server of one's own, which looks at the others alone
    belongs = f"{caller.database},{caller.user},{caller.language},{caller.organization}"
    signed = (
        f"POST\n{quote(path, safe='')}\n\nx-api-nonce:{timestamp}\nx-api-timestamp:{timestamp}\n"
    )
    return {
        "X-Api-ClientID": client,
        "X-Api-Auth-Version": "2.0",
        "x-api-timestamp": timestamp,
        "x-api-nonce": timestamp,
        "x-api-signheaders": SIGNED_HEADERS,
        "X-Api-Signature": _digest(signed, _unmask(masked)),
        "X-Kd-Appkey": caller.app_id,
        "X-Kd-Appdata": base64.b64encode(belongs.encode()).decode(),
        "X-Kd-Signature": _digest(caller.app_id + belongs, caller.app_secret),
    }


def _unmask(masked: str) -> str:
    """The gateway's key; empty for what is none."""
    if len(masked) != _MASKED_LENGTH:
        return ""
    content = base64.b64decode(masked)
    return base64.b64encode(bytes(a ^ b for a, b in zip(content, _MASK, strict=False))).decode()


def _digest(text: str, key: str) -> str:
    """HMAC-SHA256 in Base64: of its hexadecimal digits, and not of its bytes."""
    digits = hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return base64.b64encode(digits.encode()).decode()
