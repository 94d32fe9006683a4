"""The order list of the simulated mini-program: pages of the orders paid in a span of time."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.simulation.http_call import CallRefusedError

PAGE_SIZE_MOST = 100


def list_orders(orders: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> dict[str, Any]:
    """A page of the orders paid in a span of epoch seconds, both ends included."""
    span = body.get("pay_time_range") or {}
    first, last = span.get("begin_time", 0), span.get("end_time", 2**40)
    size = body.get("page_size", PAGE_SIZE_MOST)
    if not all(isinstance(number, int) for number in (first, last, size)) or size < 1:
        raise CallRefusedError(10060014, "parameter error")
    found = [
        order
        for order in orders
        if first <= order["pay_time"] <= last
        and body.get("order_state") in (None, order["order_state"])
        and body.get("openid") in (None, order["openid"])
    ]
    try:
        start = int(body.get("last_index") or "0", 16)
    except (TypeError, ValueError):
        raise CallRefusedError(10060011, "invalid last_index") from None
    until = start + min(size, PAGE_SIZE_MOST)
    return {
        "errcode": 0,
        "errmsg": "ok",
        "order_list": found[start:until],
        "last_index": f"{until:016x}",
        "has_more": until < len(found),
    }
