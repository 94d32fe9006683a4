"""The fields of callbacks, read one by one; and what of a body quarantine may keep."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.sources.wechat.callbacks.body import Body

# The clocks of WeChat and of the receiving machine may differ by this much.
CLOCKS_APART = timedelta(minutes=10)
# Everything else, such as what a customer wrote or where they stood, is personal.
KEPT_FIELDS = {
    "ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "MsgID", "MsgId", "Status",
    "TemplateId", "ErrorCode", "ErrorCount", "ErrorStatus", "SubscribeStatusString", "PopupScene",
    "TotalCount", "FilterCount", "SentCount", "publish_id", "publish_status", "article_id",
    "transaction_id", "merchant_trade_no",
}  # fmt: skip
_IDENTIFIER = re.compile(r"[\w@.:-]{1,128}", re.ASCII)
_WORD = re.compile(r"[\w .-]{1,40}", re.ASCII)


class UnfitError(Exception):
    """A callback that does not say what a row needs; the text is the reason."""


@dataclass(frozen=True)
class Head:
    """What every callback says of itself: `event` in small letters, `sender` mostly an openid."""

    event: str
    sender: str
    created: int
    app_id: str | None

    @property
    def created_at(self) -> datetime:
        return datetime.fromtimestamp(self.created, UTC)


def read_head(body: Body, *, app_id: str | None, received_at: datetime) -> Head:
    """Raises UnfitError, also for an instant after the receipt."""
    event = text(body, "Event") if text(body, "MsgType") == "event" else None
    return Head(
        event=(event or "").casefold(),
        sender=identifier(body, "FromUserName"),
        created=_seconds(body, "CreateTime", received_at),
        app_id=app_id,
    )


def text(body: Body, *names: str) -> str | None:
    """The first of these fields that says something, as text; a number is what JSON makes of it."""
    for name in names:
        value = body.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int):
            continue
        if told := str(value).strip():
            return told
    return None


def identifier(body: Body, *names: str) -> str:
    """A field that rows are joined by."""
    told = text(body, *names)
    if told is None:
        raise UnfitError(f"{names[0]}: found nothing, allowed: an identifier")
    if not _IDENTIFIER.fullmatch(told):
        raise UnfitError(f"{names[0]}: found other signs, allowed: letters, digits and -_.:@")
    return told


def optional_identifier(body: Body, *names: str) -> str | None:
    """As `identifier`, where the field may be missing."""
    return None if text(body, *names) is None else identifier(body, *names)


def count(body: Body, name: str) -> str | None:
    """A number of people, as text; None where it is not told."""
    told = text(body, name)
    if told is not None and not re.fullmatch(r"\d{1,12}", told, re.ASCII):
        raise UnfitError(f"{name}: found {shown(told)}, allowed: a whole number")
    return told


def items(body: Body, wrapper: str) -> list[Body]:
    """The entries of `List`: flat in JSON, wrapped in XML, an object where there is but one."""
    outer = body.get(wrapper, body)
    listed = outer.get("List") if isinstance(outer, dict) else None
    entries = listed if isinstance(listed, list) else [listed]
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        raise UnfitError("List: found no entry, allowed: an object or an array of objects")
    return entries


def shown(told: str | None) -> str:
    """A short word of WeChat's, for a reason; anything longer may be a person's and is not told."""
    if told is None:
        return "nothing"
    return repr(told) if _WORD.fullmatch(told) else f"{len(told)} other signs"


def kept(body: Body) -> str:
    """A body for quarantine: the fields that name nobody but by openid, the others masked."""
    return json.dumps(_kept(body, ""), ensure_ascii=False)


def _kept(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {inner[:40]: _kept(part, inner) for inner, part in value.items()}
    if isinstance(value, list):
        return [_kept(part, name) for part in value]
    return str(value)[:128] if name in KEPT_FIELDS else "***"


def _seconds(body: Body, name: str, received_at: datetime) -> int:
    told = text(body, name)
    if told is None or not re.fullmatch(r"[1-9]\d{0,10}", told, re.ASCII):
        raise UnfitError(f"{name}: found {shown(told)}, allowed: epoch seconds")
    if int(told) > (received_at + CLOCKS_APART).timestamp():
        raise UnfitError(f"{name}: found {told}, allowed: no instant after the receipt")
    return int(told)
