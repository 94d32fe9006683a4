"""The error codes of api.weixin.qq.com: what each means, whether trying again helps, what to do.

Only the code decides. The texts beside it change their wording and language.
"""

import re
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import (
    NotReadyError,
    PermanentSourceError,
    QuotaOfDayError,
    RetiredEndpointError,
    SourceError,
    TransientSourceError,
)
from pipeline.sources.wire import QuotaOfMinuteError


class TokenRefusedError(PermanentSourceError):
    """The access token is not valid any more: renew it once, then it is a refusal."""


class UnknownCallError(PermanentSourceError):
    """A call whose quota was asked for does not exist for this account."""


Reaction = Literal[
    "busy", "wait a minute", "renew token", "not ready", "tomorrow", "retired", "unknown call",
    "stop",
]  # fmt: skip

REACTIONS: dict[Reaction, type[SourceError]] = {
    "busy": TransientSourceError,
    "wait a minute": QuotaOfMinuteError,
    "renew token": TokenRefusedError,
    "not ready": NotReadyError,
    "tomorrow": QuotaOfDayError,
    "retired": RetiredEndpointError,
    "unknown call": UnknownCallError,
    "stop": PermanentSourceError,
}


@dataclass(frozen=True)
class Errcode:
    """One error code."""

    meaning: str
    reaction: Reaction = "stop"
    next_step: str = ""


REPORT = "this is a fault of the client: report it with the rid"
RENEW_KEY = "copy the AppSecret anew from mp.weixin.qq.com into the variable of app_secret_env"
COMPARE_APP_ID = "compare app_id in sources.yml with mp.weixin.qq.com, 开发管理"
WAIT = "nothing to mend: run again in a few minutes"
OTHER_CALLER = "look for another program that forces new tokens for this app_id"

ERRCODES: dict[int, Errcode] = {
    -1: Errcode("the platform is busy", "busy", WAIT),
    40001: Errcode("the access token is invalid or superseded", "renew token", OTHER_CALLER),
    40002: Errcode("wrong grant_type", next_step=REPORT),
    40003: Errcode("wrong openid", next_step=REPORT),
    40013: Errcode("wrong app_id, or one of another kind of account", next_step=COMPARE_APP_ID),
    40014: Errcode("the access token is malformed or unknown", "renew token", OTHER_CALLER),
    40037: Errcode("wrong template_id", next_step=REPORT),
    40125: Errcode("wrong AppSecret", next_step=RENEW_KEY),
    40164: Errcode(
        "this machine's address is not on the IP whitelist",
        next_step="add the address above to the IP whitelist on mp.weixin.qq.com, 开发管理",
    ),
    40243: Errcode(
        "the AppSecret is frozen by its owner",
        next_step="an administrator must unfreeze the AppSecret on mp.weixin.qq.com",
    ),
    41001: Errcode("access_token missing", next_step=REPORT),
    41002: Errcode("appid missing", next_step=REPORT),
    41004: Errcode("secret missing", next_step=REPORT),
    42001: Errcode("the access token has expired", "renew token", OTHER_CALLER),
    43002: Errcode("POST required", next_step=REPORT),
    43101: Errcode("the user takes no such messages", next_step=REPORT),
    44002: Errcode("empty body", next_step=REPORT),
    45009: Errcode(
        "the daily quota of this call is used up",
        "tomorrow",
        "run again after midnight Beijing time; see who else calls with this app_id",
    ),
    45011: Errcode("too many calls within this minute", "wait a minute", WAIT),
    47001: Errcode("body not understood", next_step=REPORT),
    47009: Errcode(
        "WeChat has retired this call for every account, which is no failure of yours",
        "retired",
        "take the table out of sources.yml, or update bihuan; what was landed stays",
    ),
    48001: Errcode(
        "the account has no right to this call: not certified, or another kind of account",
        next_step="see 接口权限 on mp.weixin.qq.com; app_id must be that of the kind of"
        " account whose figures are asked for",
    ),
    48004: Errcode(
        "this call is banned for the account",
        next_step="an administrator finds the reason in the messages of mp.weixin.qq.com",
    ),
    48006: Errcode("the quota may not be reset so often", "tomorrow", WAIT),
    50002: Errcode(
        "the account is restricted",
        next_step="an administrator finds the reason in the messages of mp.weixin.qq.com",
    ),
    50004: Errcode(
        "the account may not ask for tokens",
        next_step="an administrator finds the reason in the messages of mp.weixin.qq.com",
    ),
    50007: Errcode(
        "the account is frozen",
        next_step="an administrator finds the reason in the messages of mp.weixin.qq.com",
    ),
    61004: Errcode("not granted to the calling platform", next_step=COMPARE_APP_ID),
    61007: Errcode("not granted to the calling platform", next_step=COMPARE_APP_ID),
    61500: Errcode("malformed date", next_step=REPORT),
    61501: Errcode(
        "the date is out of range",
        next_step="ask for finished days only, yesterday at the latest",
    ),
    61502: Errcode("no figures are offered for mini-games", next_step=COMPARE_APP_ID),
    61503: Errcode(
        "the figures of that day are not built yet",
        "not ready",
        "run again in half an hour; they are usually there by noon of the next day",
    ),
    61504: Errcode("the platform is busy", "busy", WAIT),
    76021: Errcode("cgi_path is not found", "unknown call", REPORT),
    76022: Errcode("cgi_path may not be asked about", "unknown call", COMPARE_APP_ID),
    89503: Errcode(
        "the call waits for an administrator's consent",
        next_step="an administrator confirms it in the message that WeChat sent",
    ),
    89506: Errcode(
        "an administrator refused this address for 24 hours",
        next_step="agree with the administrator, then run again tomorrow",
    ),
    89507: Errcode(
        "an administrator refused this address for an hour",
        next_step="agree with the administrator, then run again in an hour",
    ),
    10060001: Errcode("no such payment", next_step=REPORT),
    10060011: Errcode(
        "last_index is wrong", next_step="run again: the list is read from its start"
    ),
    10060012: Errcode("the order list is busy", "busy", WAIT),
    10060014: Errcode("parameter refused", next_step=REPORT),
    10060019: Errcode("the order list is busy", "busy", WAIT),
}

# What took the place of the calls that answer 47009 since 2026; article data from 2025-11-01 on.
RETIRED: dict[str, str] = {
    "/datacube/getarticlesummary": "/datacube/getarticletotaldetail",
    "/datacube/getarticletotal": "/datacube/getarticletotaldetail",
    "/datacube/getuserread": "/datacube/getbizsummary",
    "/datacube/getuserreadhour": "/datacube/getbizsummary",
    "/datacube/getusershare": "/datacube/getbizsummary",
    "/datacube/getusersharehour": "/datacube/getbizsummary",
}

# Where the token itself is asked for, 40001 speaks of the secret.
TOKEN_ERRCODES: dict[int, Errcode] = ERRCODES | {
    40001: Errcode("wrong AppSecret", next_step=RENEW_KEY),
}

UNKNOWN = Errcode(
    "a code that this client does not know",
    next_step="look it up under 全局返回码 on developers.weixin.qq.com",
)

_RID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}\b")
_OPENID = re.compile(r"\bo[\w-]{27}\b")


def refusal(
    subject: str,
    code: int,
    errmsg: str,
    *,
    known: dict[int, Errcode],
    conceal: tuple[str, ...] = (),
) -> SourceError:
    """The error for a reply that bears an error code, with its rid, without secrets.

    `subject` says what was asked; `conceal` lists texts that must not be told.
    """
    errcode = known.get(code, UNKNOWN)
    for secret in filter(None, conceal):
        errmsg = errmsg.replace(secret, "***")
    rid = _RID.search(errmsg)
    return REACTIONS[errcode.reaction](
        f"{subject}: errcode {code}, {errcode.meaning}; WeChat says"
        f" '{_OPENID.sub('***', errmsg)[:300]}'; rid {rid[0] if rid else 'not given'}",
        next_step=errcode.next_step,
    )
