"""Tryton's replies by script: what a live server cannot be made to say on demand."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from pipeline.company import Company, Connection, Sources, TableSource
from pipeline.landed import TABLES
from pipeline.sources.tryton.source import TrytonSource
from pipeline.sources.wire import Wire

PASSWORD = "pw-42-secret"
SESSION_KEY = "k0-session-key"
ORDERS: dict[str, Any] = {
    "where": [["company", "=", 1]],
    "columns": {
        "erp_order_no": ["number", "record"],
        "order_no": "reference",
        "customer_code": "party.code",
        "state": {"from": "state", "values": {"draft": "draft", "done": "done"}},
        "ordered_at": ["sale_date", "create_date"],
        "created_at": "create_date",
        "updated_at": ["write_date", "create_date"],
        "amount_fen": {"from": "total_amount", "unit": "yuan"},
    },
}
FIELDS = {
    "sale.sale": {
        "id": {"type": "integer"}, "number": {"type": "char"}, "reference": {"type": "char"},
        "party": {"type": "many2one", "relation": "party.party"},
        "lines": {"type": "one2many", "relation": "sale.line"},
        "state": {"type": "selection"}, "sale_date": {"type": "date"},
        "create_date": {"type": "timestamp"}, "write_date": {"type": "timestamp"},
        "total_amount": {"type": "numeric"},
    },
    "party.party": {"id": {"type": "integer"}, "code": {"type": "char"}},
}  # fmt: skip


@dataclass
class Script:
    """Answers calls by method; `calls` keeps what was asked."""

    answers: dict[str, Callable[[list[Any]], httpx.Response]] = field(default_factory=dict)
    calls: list[tuple[str, list[Any], str | None]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def handle(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        method, params = body["method"], body["params"]
        self.calls.append((method, params, request.headers.get("Authorization")))
        return self.answers[method](params)

    def named(self, method: str) -> list[list[Any]]:
        return [params for called, params, _ in self.calls if called == method]

    @property
    def wire(self) -> Wire:
        return Wire(transport=httpx.MockTransport(self.handle), sleep=self.pauses.append)


def result(value: Any) -> httpx.Response:
    return httpx.Response(200, json={"id": 1, "result": value})


def error(*parts: Any) -> httpx.Response:
    return httpx.Response(200, json={"id": 1, "error": list(parts)})


def in_turn(*replies: httpx.Response | Exception) -> Callable[[list[Any]], httpx.Response]:
    """One reply after the other; the last one again and again."""
    left = list(replies)

    def answer(params: list[Any]) -> httpx.Response:
        reply = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status_code, content=reply.content, headers=reply.headers)

    return answer


def paged(model: str, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Answers to `search_read` and `search_count` by the ids alone."""

    def read(params: list[Any]) -> httpx.Response:
        last, limit = params[0][1][2], params[2]
        return result([record for record in records if record["id"] > last][:limit])

    return {
        f"model.{model}.search_read": read,
        f"model.{model}.search_count": lambda params: result(len(records)),
    }


def server(*records: dict[str, Any], **answers: Any) -> Script:
    """A Tryton that knows sales, and how to log in."""
    return Script(
        {
            "common.db.login": lambda params: result([1, SESSION_KEY, None]),
            "model.res.user.get_preferences": lambda params: result({"company": 1}),
            "model.sale.sale.fields_get": lambda params: result(FIELDS["sale.sale"]),
            "model.party.party.fields_get": lambda params: result(FIELDS["party.party"]),
            **paged("sale.sale", records),
            **answers,
        }
    )


def sale(serial: int, **changed: Any) -> dict[str, Any]:
    day = {"__class__": "date", "year": 2026, "month": 10, "day": 1}
    at = {"__class__": "datetime", "hour": 3, "minute": 0, "second": 0, "microsecond": serial}
    return {
        "id": serial, "number": f"S{serial}", "reference": f"O{serial}", "state": "done",
        "party": 5, "party.": {"id": 5, "code": "7"}, "sale_date": day,
        "create_date": day | at, "write_date": None,
        "total_amount": {"__class__": "Decimal", "decimal": "1234567890.10"},
    } | changed  # fmt: skip


def open_table(
    folder: Path,
    wire: Wire,
    name: str = "erp_orders",
    settings: dict[str, Any] | None = None,
    *,
    url: str = "http://127.0.0.1:1",
    database: str = "tryton",
    user: str = "reader",
) -> TrytonSource:
    connection = Connection(
        base_url=url, database=database, user=user, password_env="TRYTON_PASSWORD"
    )
    table = TableSource.model_validate(
        {"connector": "tryton", "connection": "erp", **(settings or ORDERS)}
    )
    return TrytonSource(TABLES[name], table, connection, make_company(folder), wire=wire)


def make_company(folder: Path, first_day: date = date(2026, 10, 1)) -> Company:
    company = Company(
        folder=folder, name="test", time_zone="Asia/Shanghai", currency="CNY",
        first_day=first_day, last_day=None, data=folder / "data", retention_days=1095,
        hash_key_env="BIHUAN_HASH_KEY", alerts={"channels": ()}, sources=Sources(),
        loops=[], owners={}, costs=[], scenarios={}, pilots={},
    )  # fmt: skip
    company._environment["TRYTON_PASSWORD"] = PASSWORD
    return company
