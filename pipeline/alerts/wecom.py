"""The WeCom (企业微信) group robot: Markdown over HTTP, and what its error codes mean.

The robot answers HTTP 200 whatever happened; only `errcode` tells. Its key is part of the URL and
a secret, so no error and no log line bears a URL.
"""

import logging
import re
from datetime import timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from pipeline.alerts.transport import ChannelRefusedError, DeliveryError

LIMIT_BYTES = 4096  # of `markdown.content`, counted in UTF-8 bytes, not in characters
OK = 0
TOO_FAST = 45009  # more than 20 messages a minute
BAD_KEY = 93000
RATE_PAUSE = timedelta(seconds=60)
TIMEOUT_SECONDS = 10.0
SHOWN_ERROR_CHARACTERS = 200

_KEY = re.compile(r"(key=)[^&\s\"']+", re.IGNORECASE)


class _HideKeys(logging.Filter):
    """httpx logs every URL it calls, at INFO."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "key=" in message:
            record.msg, record.args = _KEY.sub(r"\1***", message), None
        return True


logging.getLogger("httpx").addFilter(_HideKeys())


class WecomRobot:
    """One robot of one group chat. `base_url` is a setting so that another server can stand in."""

    limit_bytes = LIMIT_BYTES

    def __init__(self, base_url: str, key: SecretStr, client: httpx.Client) -> None:
        self._url = f"{base_url.rstrip('/')}/cgi-bin/webhook/send"
        self._key = key
        self._client = client

    def post(self, text: str) -> None:
        """Send one Markdown message of at most `limit_bytes`.

        Raises ChannelRefusedError on a bad key, DeliveryError on everything else that is not `ok`.
        """
        body = {"msgtype": "markdown", "markdown": {"content": text}}
        try:
            response = self._client.post(
                self._url,
                params={"key": self._key.get_secret_value()},
                json=body,
                timeout=TIMEOUT_SECONDS,
            )
        except httpx.HTTPError as error:
            # `from None`: the request inside the error knows the key.
            said = f"{type(error).__name__}: {self._hide(str(error))}"
            raise DeliveryError(
                f"the WeCom robot was not reached: {said}",
                next_step="check base_url of the channel and the way out to it",
            ) from None
        self._read(response)

    def _read(self, response: httpx.Response) -> None:
        try:
            answer: Any = response.json()
        except ValueError:
            answer = None
        code = answer.get("errcode") if isinstance(answer, dict) else None
        if response.status_code == httpx.codes.OK and code == OK:
            return
        said = self._hide(str(answer.get("errmsg", "")) if isinstance(answer, dict) else "")
        found = f"HTTP {response.status_code}, errcode {code}: {said[:SHOWN_ERROR_CHARACTERS]}"
        if code == BAD_KEY:
            raise ChannelRefusedError(
                f"the WeCom robot refused its key: {found}",
                next_step="copy the robot's key again into the variable that key_env names",
            )
        if code == TOO_FAST:
            raise DeliveryError(
                f"the WeCom robot is over its rate: {found}", retry_after=RATE_PAUSE
            )
        raise DeliveryError(f"the WeCom robot did not take the message: {found}")

    def _hide(self, text: str) -> str:
        return _KEY.sub(r"\1***", text).replace(self._key.get_secret_value(), "***")
