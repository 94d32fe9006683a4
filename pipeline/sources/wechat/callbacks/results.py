"""Callbacks that tell what became of a message, as rows of `message_results`."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from pipeline.sources.wechat.callbacks.body import Body
from pipeline.sources.wechat.callbacks.fields import (
    Head,
    UnfitError,
    count,
    identifier,
    items,
    optional_identifier,
    shown,
    text,
)

Row = dict[str, Any]

# WeChat writes these with and without spaces, the documentation itself in both ways.
STATUSES = {
    "success": "success",
    "sendsuccess": "success",
    "sendfail": "system_failed",
    "failed:userblock": "user_block",
    "failed:systemfailed": "system_failed",
    "failed:freqlimit": "freq_limit",
}
# Why a mass sending was refused: err(number).
REFUSALS = {
    "10001": "advertising",
    "20001": "politics",
    "20002": "pornography",
    "20004": "social",
    "20006": "crime",
    "20008": "fraud",
    "20013": "copyright",
    "21000": "other",
    "22000": "mutual promotion",
    "30001": "the originality check failed technically",
    "30002": "judged not to be sendable",
    "30003": "judged a reprint, and the sender chose not to send reprints",
    "40001": "an administrator refused",
    "40002": "an administrator gave no answer within 30 minutes",
}
NOT_SUBSCRIBED = "43101"


def split_results(body: Body, head: Head) -> list[Callable[[], Row]] | None:
    """One reading per message that the callback tells of; None where it is no such callback.

    A reading raises UnfitError.
    """
    if head.event == "templatesendjobfinish":
        return [partial(_template, body, head)]
    if head.event == "masssendjobfinish":
        return [partial(_mass, body, head)]
    if head.event == "subscribe_msg_sent_event":
        return [partial(_subscribe, entry, head) for entry in items(body, "SubscribeMsgSentEvent")]
    return None


def _template(body: Body, head: Head) -> Row:
    status, reason = _status(text(body, "Status"))
    return _row(body, head, "template", status, reason) | {"openid": head.sender}


def _mass(body: Body, head: Head) -> Row:
    """A mass sending goes to many: its sender is WeChat's assistant, not a recipient."""
    status, reason = _status(text(body, "Status"))
    return _row(body, head, "mass", status, reason) | {
        "total_count": count(body, "TotalCount"),
        "filter_count": count(body, "FilterCount"),
        "sent_count": count(body, "SentCount"),
        "error_count": count(body, "ErrorCount"),
    }


def _subscribe(entry: Body, head: Head) -> Row:
    """WeChat calls back failures of its own alone; that it does not call is no failure."""
    code = text(entry, "ErrorCode")
    if code is None or not re.fullmatch(r"-?\d{1,9}", code, re.ASCII):
        raise UnfitError(f"ErrorCode: found {shown(code)}, allowed: 0 or an error code")
    status = {"0": "success", NOT_SUBSCRIBED: "not_sent"}.get(code, "system_failed")
    reason = None if code == "0" else f"{code} {shown(text(entry, 'ErrorStatus'))}"
    row = _row(entry, head, "subscribe", status, reason)
    return row | {"openid": head.sender, "template_id": optional_identifier(entry, "TemplateId")}


def _row(body: Body, head: Head, kind: str, status: str, reason: str | None) -> Row:
    return {
        "message_id": identifier(body, "MsgID", "MsgId"),
        "kind": kind,
        "app_id": head.app_id,
        "status": status,
        "status_at": head.created_at,
        "reason": reason,
    }


def _status(told: str | None) -> tuple[str, str | None]:
    """Our word for WeChat's, and the reason where it gives one."""
    word = re.sub(r"\s", "", told or "").casefold()
    if word in STATUSES:
        return STATUSES[word], None
    refused = re.fullmatch(r"err\((\d{1,6})\)", word, re.ASCII)
    if refused is None:
        raise UnfitError(f"Status: found {shown(told)}, allowed: {', '.join(STATUSES)}, err(N)")
    code = refused[1]
    return "not_sent", f"err({code}): {REFUSALS.get(code, 'a code that WeChat does not explain')}"
