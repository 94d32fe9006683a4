"""The error codes of WeChat Pay v3: what each means, whether repeating helps, what to do."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from pipeline.errors import (
    NotReadyError,
    PermanentSourceError,
    SourceError,
    TransientSourceError,
)
from pipeline.sources.wire import QuotaOfMinuteError


class NoStatementError(PermanentSourceError):
    """There was no trade on that day, so there is no bill: a true empty day."""


class RequestRefusedError(PermanentSourceError):
    """What was asked for is out of bounds: for a bill, most often a day too old or too young."""


@dataclass(frozen=True)
class Paycode:
    """One error code of WeChat Pay."""

    error: type[SourceError]
    meaning: str
    next_step: str


PAYCODES = {
    "NO_STATEMENT_EXIST": Paycode(NoStatementError, "no trade on that day", ""),
    "STATEMENT_CREATING": Paycode(
        NotReadyError, "the bill is being built", "run again in half an hour, after 10:00 Beijing"
    ),
    "PARAM_ERROR": Paycode(
        RequestRefusedError,
        "parameter refused",
        "bills go from yesterday back three months; else report it with the Request-ID",
    ),
    "INVALID_REQUEST": Paycode(
        RequestRefusedError,
        "request refused",
        "bills go from yesterday back three months; else report it with the Request-ID",
    ),
    "SIGN_ERROR": Paycode(
        PermanentSourceError,
        "our signature was refused",
        "private_key_path and certificate_serial must be of one certificate of this merchant, one"
        " that is neither expired nor revoked (pay.weixin.qq.com, 账户中心, API安全); then check"
        " the clock",
    ),
    "NO_AUTH": Paycode(
        PermanentSourceError,
        "the merchant has no right to this bill",
        "compare merchant_id in sources.yml with pay.weixin.qq.com",
    ),
    "FREQUENCY_LIMITED": Paycode(
        QuotaOfMinuteError, "too many calls", "run again in a few minutes"
    ),
    "RATELIMIT_EXCEEDED": Paycode(
        QuotaOfMinuteError, "too many calls", "run again in a few minutes"
    ),
    "SYSTEM_ERROR": Paycode(
        TransientSourceError, "WeChat Pay is busy", "run again in a few minutes"
    ),
}
UNKNOWN = Paycode(
    PermanentSourceError,
    "a refusal that this client does not know",
    "look the code up on pay.weixin.qq.com, with the Request-ID",
)


def read_object(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a reply; empty where it is none."""
    try:
        found = json.loads(response.content.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def refusal(response: httpx.Response, subject: str) -> SourceError:
    """The error for a reply that is no success, with its code and Request-ID."""
    told = read_object(response)
    status, code = response.status_code, str(told.get("code", ""))[:60]
    known = PAYCODES.get(code)
    if known is None and status == httpx.codes.TOO_MANY_REQUESTS:
        known = PAYCODES["FREQUENCY_LIMITED"]
    elif known is None and response.is_server_error:
        known = PAYCODES["SYSTEM_ERROR"]
    elif known is None:
        known = UNKNOWN
    return known.error(
        f"{subject}: HTTP {status} {code or 'without a code'}, {known.meaning}; WeChat Pay says"
        f" '{str(told.get('message', ''))[:200]}'; Request-ID"
        f" {response.headers.get('Request-ID', 'not given')}",
        next_step=known.next_step,
    )
