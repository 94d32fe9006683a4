"""Callbacks that are no result of a message, as rows of `callback_events`.

Coordinates, tickets and what a customer wrote are never read.
"""

from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Any

from pipeline.sources.wechat.callbacks.body import Body
from pipeline.sources.wechat.callbacks.fields import (
    Head,
    UnfitError,
    identifier,
    items,
    optional_identifier,
    shown,
    text,
)

Row = dict[str, Any]

# What a follower does in the service account.
ACTS = {
    "subscribe": "subscribe",
    "unsubscribe": "unsubscribe",
    "scan": "scan",
    "click": "click",
    # Items of the menu that open the camera, the album or the map.
    "scancode_push": "click",
    "scancode_waitmsg": "click",
    "pic_sysphoto": "click",
    "pic_photo_or_album": "click",
    "pic_weixin": "click",
    "location_select": "click",
    "view": "view",
    "view_miniprogram": "view_miniprogram",
    "location": "location",
}
ANSWERS = {"accept": "subscription_accepted", "reject": "subscription_rejected"}
# Settings of the user: a rejection there takes a consent back.
CHANGES = {"accept": "subscription_accepted", "reject": "subscription_withdrawn"}
TRADE = {
    "trade_manage_remind_access_api": "access_reminded",
    "trade_manage_remind_shipping": "shipping_reminded",
    "wxa_trade_controlled": "trade_controlled",
}
EVENT_KEY_MOST = 1024


def split_events(body: Body, head: Head) -> list[Callable[[], Row]] | None:
    """One reading per row that the callback makes; None where no such event is known.

    A reading raises UnfitError.
    """
    if head.event in ACTS:
        return [partial(_act, body, head)]
    if head.event == "subscribe_msg_popup_event":
        return _answers(items(body, "SubscribeMsgPopupEvent"), head, ANSWERS)
    if head.event == "subscribe_msg_change_event":
        return _answers(items(body, "SubscribeMsgChangeEvent"), head, CHANGES)
    if head.event == "freepublishjobfinish":
        return [partial(_published, body, head)]
    if head.event in TRADE:
        return [partial(_trade, body, head, TRADE[head.event])]
    if head.event == "trade_manage_order_settlement":
        return [partial(_settlement, body, head)]
    return None


def _act(body: Body, head: Head) -> Row:
    event_key = text(body, "EventKey")
    if event_key is not None and (len(event_key) > EVENT_KEY_MOST or not event_key.isprintable()):
        raise UnfitError(f"EventKey: allowed: at most {EVENT_KEY_MOST} printable signs")
    return _row(head, ACTS[head.event]) | {
        "openid": head.sender,
        "event_key": event_key,
        "menu_id": optional_identifier(body, "MenuId"),
    }


def _answers(entries: list[Body], head: Head, words: dict[str, str]) -> list[Callable[[], Row]]:
    return [partial(_answer, entry, head, words) for entry in entries]


def _answer(entry: Body, head: Head, words: dict[str, str]) -> Row:
    told = text(entry, "SubscribeStatusString")
    event = words.get((told or "").casefold())
    if event is None:
        problem = f"found {shown(told)}, allowed: {', '.join(words)}"
        raise UnfitError(f"SubscribeStatusString: {problem}")
    template_id = identifier(entry, "TemplateId")
    return _row(head, event, template_id) | {
        "openid": head.sender,
        "template_id": template_id,
        "popup_scene": optional_identifier(entry, "PopupScene"),
    }


def _published(body: Body, head: Head) -> Row:
    """The sender is WeChat's own; the article's id is there only where it was published."""
    outcome = body.get("PublishEventInfo")
    if not isinstance(outcome, dict):
        raise UnfitError("PublishEventInfo: found nothing, allowed: the outcome of a publication")
    is_published = identifier(outcome, "publish_status") == "0"
    key = identifier(outcome, "article_id") if is_published else identifier(outcome, "publish_id")
    event = "published" if is_published else "publication_failed"
    return _row(head, event, key) | {"event_key": key}


def _trade(body: Body, head: Head, event: str) -> Row:
    key = optional_identifier(body, "transaction_id")
    return _row(head, event, key or "") | {"event_key": key}


def _settlement(body: Body, head: Head) -> Row:
    """WeChat calls twice: with the estimate once shipped, with the instant once settled."""
    is_settled = text(body, "settlement_time") is not None
    key = identifier(body, "transaction_id")
    event = "order_settled" if is_settled else "settlement_estimated"
    return _row(head, event, key) | {"event_key": key}


def _row(head: Head, event: str, about: str = "") -> Row:
    return {
        "event_id": _event_id(head, about),
        "event": event,
        "occurred_at": head.created_at,
        "app_id": head.app_id,
    }


def _event_id(head: Head, about: str) -> str:
    """An event has no number: sender, second and name tell WeChat's repetitions from others."""
    told = "\x1f".join((head.sender, str(head.created), head.event, about))
    return blake2b(told.encode(), digest_size=16).hexdigest()
