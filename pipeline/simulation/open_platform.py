"""api.weixin.qq.com of the simulated company: who may call what, and where each call is answered.

A mini-program and a service account share the host. A token of one opens nothing of the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.simulation import call_quotas
from pipeline.simulation.account_tokens import AccountKind, AccountTokens, TokenDesk
from pipeline.simulation.call_quotas import CallQuotas
from pipeline.simulation.datacube_days import Calendar
from pipeline.simulation.habits import Habits
from pipeline.simulation.http_call import (
    Answer,
    Call,
    CallRefusedError,
    answer_json,
    refuse_with_rid,
)
from pipeline.simulation.mini_program_datacube import MiniProgramDatacube
from pipeline.simulation.order_list import list_orders
from pipeline.simulation.service_account_datacube import ServiceAccountDatacube
from pipeline.simulation.wechat_books import Books

# The article calls that WeChat withdrew for everybody.
WITHDRAWN = tuple(
    f"/datacube/get{name}"
    for name in (
        "articlesummary", "articletotal", "userread", "userreadhour", "usershare", "usersharehour",
    )
)  # fmt: skip
EXTRA_KEY_EVERY = 3


@dataclass(frozen=True)
class _Endpoint:
    kind: AccountKind
    reply: Callable[[dict[str, Any]], Mapping[str, Any]]


class OpenPlatform:
    """The calls of both accounts. `now` gives epoch seconds."""

    def __init__(self, books: Books, now: Callable[[], float], habits: Habits) -> None:
        account = books.account
        self._now = now
        self._desk = TokenDesk(
            (
                AccountTokens("mini_program", account.app_id, account.app_secret, now),
                AccountTokens(
                    "service_account", account.service_app_id, account.service_app_secret, now
                ),
            ),
            habits,
            now,
        )
        calendar = Calendar(account.last_day, habits, now)
        self._endpoints = {
            "/wxa/sec/order/get_order_list": _Endpoint(
                "mini_program", partial(list_orders, books.orders)
            ),
            **{
                path: _Endpoint("mini_program", reply)
                for path, reply in MiniProgramDatacube(books.sessions, calendar).calls().items()
            },
            **{
                path: _Endpoint("service_account", reply)
                for path, reply in ServiceAccountDatacube(books.service, calendar).calls().items()
            },
            **{path: _Endpoint("service_account", _withdrawn) for path in WITHDRAWN},
        }
        self._quotas = CallQuotas(habits.calls_a_day, frozenset(self._endpoints), now)
        self._count = 0

    def answer(self, call: Call) -> Answer | None:
        """The reply; None where this host has no such path."""
        given = self._desk.answer(call)
        if given is not None:
            return given
        about_quotas = {call_quotas.GET: self._quotas.tell, call_quotas.CLEAR: self._quotas.clear}
        endpoint = self._endpoints.get(call.path)
        if endpoint is None and call.path not in about_quotas:
            return None
        if call.method != "POST":
            return self._refuse(43002, "require POST method")
        owner = self._desk.owner(call.query.get("access_token", ""))
        if isinstance(owner, Answer):
            return owner
        body = call.json()
        if body is None:
            return self._refuse(47001, "data format error")
        if endpoint is None:
            return about_quotas[call.path](owner.app_id, body)
        return self._answer(endpoint, owner, call.path, body)

    def revoke_tokens(self) -> None:
        """End every token, as an owner does who renews the secret."""
        for account in self._desk.accounts:
            account.revoke()

    def _answer(
        self, endpoint: _Endpoint, owner: AccountTokens, path: str, body: dict[str, Any]
    ) -> Answer:
        if endpoint.kind != owner.kind:
            return self._refuse(48001, "api unauthorized")
        refusal = self._quotas.take(owner.app_id, path)
        if refusal is not None:
            return refusal
        try:
            reply = endpoint.reply(body)
        except CallRefusedError as error:
            return self._refuse(error.errcode, error.errmsg)
        self._count += 1
        # WeChat adds keys to its replies without a word.
        extra = {"data_version": 2} if self._count % EXTRA_KEY_EVERY == 0 else {}
        return answer_json({**reply, **extra})

    def _refuse(self, errcode: int, errmsg: str) -> Answer:
        return refuse_with_rid(errcode, errmsg, self._now())


def _withdrawn(body: dict[str, Any]) -> Mapping[str, Any]:
    raise CallRefusedError(47009, "this api is offline, please use the new api")
