"""A made-up Odoo behind HTTP: versions 13 to 19, as they were seen or documented to behave.

A small database in memory whose change times have microseconds that no reply shows; `false` for
nothing; pairs for references; field sets by version; errors within HTTP 200, in JSON-2 by status.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

DATABASE, USER, KEY = "shop", "bihuan@example.com", "a-key-that-must-not-show"
BASE_URL = "http://127.0.0.1:8069"
READ_METHODS = ("fields_get", "search_read")

Row = dict[str, Any]

# Field and type, and the model that a reference leads to.
MODELS: dict[str, str] = {
    "res.currency": "name:char",
    "res.company": "name:char currency_id:many2one:res.currency",
    "res.users": "name:char login:char",
    "res.partner": "name:char ref:char email:char phone:char active:boolean customer_rank:integer",
    "product.product": "name:char default_code:char",
    "payment.transaction": "amount:monetary",
    "sale.order": "name:char client_order_ref:char origin:char state:selection"
    " date_order:datetime amount_total:monetary currency_id:many2one:res.currency"
    " company_id:many2one:res.company partner_id:many2one:res.partner locked:boolean"
    " order_line:one2many:sale.order.line transaction_ids:many2many:payment.transaction",
    "sale.order.line": "order_id:many2one:sale.order product_id:many2one:product.product"
    " product_uom_qty:float price_total:monetary display_type:selection",
    "account.move": "name:char state:selection amount_total:monetary invoice_date:date"
    " invoice_origin:char currency_id:many2one:res.currency ref:char",
    "account.move.line": "move_id:many2one:account.move payment_id:many2one:account.payment"
    " price_total:monetary sale_line_ids:many2many:sale.order.line",
    "account.partial.reconcile": "amount:monetary credit_move_id:many2one:account.move.line"
    " debit_move_id:many2one:account.move.line",
    "account.payment": "name:char amount:monetary state:selection payment_type:selection"
    " partner_type:selection"
    " currency_id:many2one:res.currency company_id:many2one:res.company"
    " reconciled_invoice_ids:many2many:account.move",
    "stock.picking": "name:char state:selection picking_type_code:selection"
    " sale_id:many2one:sale.order date_done:datetime",
    "stock.move": "state:selection product_id:many2one:product.product product_uom_qty:float"
    " date:datetime sale_line_id:many2one:sale.order.line",
    "crm.stage": "name:char",
    "crm.lead": "name:char active:boolean stage_id:many2one:crm.stage expected_revenue:monetary"
    " partner_id:many2one:res.partner",
}
EVERY_MODEL = (
    "create_uid:many2one:res.users write_uid:many2one:res.users create_date:datetime"
    " write_date:datetime"
)
# Since which version, and until before which, a model has further fields.
BY_VERSION: dict[str, tuple[tuple[int, int, str], ...]] = {
    "account.payment": (
        (14, 99, "move_id:many2one:account.move"),
        (0, 14, "communication:char payment_date:date"),
        (14, 18, "ref:char date:date amount_total_signed:monetary"),
        (18, 99, "memo:char date:date amount_company_currency_signed:monetary"),
    ),
    "account.move": ((0, 14, "type:selection"), (14, 99, "move_type:selection")),
    "payment.transaction": (
        (0, 16, "acquirer_reference:char"),
        (16, 99, "provider_reference:char"),
    ),
    "res.partner": ((0, 19, "mobile:char"),),
    "stock.picking": ((0, 99, "carrier_tracking_ref:char"),),
}


@dataclass
class OdooServer:
    """One database of one Odoo. `forbidden` models the user may not read."""

    version: int = 15
    forbidden: frozenset[str] = frozenset()
    without: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Fields by model that are not there, for want of a module."""
    has_jsonrpc: bool = True
    busy_calls: int = 0
    """So many calls are still refused, because another transaction is in the way."""
    on_page: Callable[[], None] = lambda: None
    """What goes on in the database after a page was read."""
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    logins: int = 0
    _rows: dict[str, dict[int, Row]] = field(default_factory=dict)

    def commit(self, at: datetime, model: str, *rows: Row) -> list[int]:
        """Write rows in one transaction: all bear its time. A row with `id` changes that one."""
        table = self._rows.setdefault(model, {})
        told = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        numbers = []
        for row in rows:
            number = row.get("id") or max(table, default=0) + 1
            made = {"create_date": told, "create_uid": 1, "active": True}
            table[number] = made | table.get(number, {}) | row | {"id": number, "write_date": told}
            numbers.append(number)
        return numbers

    def delete(self, model: str, number: int) -> None:
        del self._rows[model][number]

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/jsonrpc" and self.has_jsonrpc:
            return self._answer_jsonrpc(json.loads(request.content))
        if path.startswith("/json/2/") and self.version >= 19:
            return self._answer_json2(request, *path.removeprefix("/json/2/").split("/"))
        return httpx.Response(404, html="<h1>Not Found</h1>")

    def _answer_jsonrpc(self, body: Mapping[str, Any]) -> httpx.Response:
        params = body["params"]
        try:
            result = self._serve(params["service"], params["method"], params["args"])
        except RefusedError as error:
            data = {"name": error.name, "message": str(error), "debug": f"Traceback: {KEY}"}
            told = {"code": 200, "message": "Odoo Server Error", "data": data}
            return httpx.Response(200, json={"jsonrpc": "2.0", "id": body["id"], "error": told})
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": body["id"], "result": result})

    def _answer_json2(self, request: httpx.Request, model: str, method: str) -> httpx.Response:
        named = json.loads(request.content)
        try:
            if request.headers.get("Authorization") != f"bearer {KEY}":
                raise RefusedError("werkzeug.exceptions.Unauthorized", "Invalid apikey", 401)
            if request.headers.get("X-Odoo-Database") != DATABASE:
                raise RefusedError("werkzeug.exceptions.NotFound", "No database", 404)
            return httpx.Response(200, json=self._execute(model, method, named))
        except RefusedError as error:
            told = {"name": error.name, "message": str(error), "debug": f"Traceback: {KEY}"}
            return httpx.Response(error.status, json=told)

    def _serve(self, service: str, method: str, args: list[Any]) -> Any:
        if (service, method) == ("common", "version"):
            told = f"saas~{self.version}" if self.version == 16 else self.version
            return {"server_version_info": [told, 0, 0, "final", 0, ""]}
        database, *_ = args
        if database != DATABASE:
            told = f'FATAL:  database "{database}" does not exist'
            raise RefusedError("psycopg2.OperationalError", told)
        if (service, method) == ("common", "login"):
            self.logins += 1
            return 7 if args[1:] == [USER, KEY] else False
        assert (service, method) == ("object", "execute_kw")
        _, number, key, model, called, positional, named = args
        if (number, key) != (7, KEY):
            raise RefusedError("odoo.exceptions.AccessDenied", "Access Denied")
        assert positional == []
        return self._execute(model, called, named)

    def _execute(self, model: str, method: str, named: dict[str, Any]) -> Any:
        assert method in READ_METHODS, f"{method} does more than read"
        self.calls.append((model, method, named))
        if self.busy_calls:
            self.busy_calls -= 1
            raise RefusedError("psycopg2.errors.SerializationFailure", "could not serialize access")
        if model not in MODELS:
            raise RefusedError("odoo.exceptions.UserError", f"Object {model} doesn't exist", 404)
        if method == "fields_get":
            return self._fields(model)
        if model in self.forbidden:
            told = f"You are not allowed to access '{model}' records."
            raise RefusedError("odoo.exceptions.AccessError", told, 403)
        assert set(named) == {"domain", "fields", "order", "limit", "context"}
        found = self._search_read(model, named)
        self.on_page()
        return found

    def _fields(self, model: str) -> dict[str, dict[str, str]]:
        extra = [
            told
            for since, until, told in BY_VERSION.get(model, ())
            if since <= self.version < until
        ]
        words = " ".join(["id:integer", MODELS[model], EVERY_MODEL, *extra]).split()
        parts = [word.split(":") for word in words]
        return {
            name: {"type": kind} | ({"relation": relation[0]} if relation else {})
            for name, kind, *relation in parts
            if name not in self.without.get(model, ())
        }

    def _search_read(self, model: str, named: Mapping[str, Any]) -> list[Row]:
        assert named["order"] == "id"
        fields = self._fields(model)
        for name in named["fields"]:
            if name not in fields:
                told = f"Invalid field '{name}' on model '{model}'"
                raise RefusedError("builtins.ValueError", told, 500)
        language = named["context"].get("lang", "en_US")
        companies = named["context"].get("allowed_company_ids")
        rows = [
            row
            for _, row in sorted(self._rows.get(model, {}).items())
            if (row["active"] or named["context"].get("active_test") is False)
            and (companies is None or row.get("company_id", companies[0]) in companies)
            and self._holds(model, row, list(named["domain"]))
        ]
        return [
            {name: self._told(fields[name], row.get(name), language) for name in named["fields"]}
            for row in rows[: named["limit"]]
        ]

    def _told(self, of: Mapping[str, str], value: Any, language: str) -> Any:
        """A value as the API words it."""
        if of["type"] in ("one2many", "many2many"):
            return value or []
        if value is None:
            return False
        if of["type"] == "many2one":
            row = self._rows[of["relation"]][value]
            told = row.get(f"name@{language}") or row.get("name") or f"{of['relation']},{value}"
            return [value, told]
        return value[:19] if of["type"] == "datetime" else value

    def _holds(self, model: str, row: Row, domain: list[Any]) -> bool:
        """Whether a domain means a row: prefix notation, side by side meaning `&`."""
        terms = iter(domain)
        holds = True
        for term in terms:
            holds = self._expression(model, row, term, terms) and holds
        return holds

    def _expression(self, model: str, row: Row, head: Any, rest: Iterator[Any]) -> bool:
        if head == "!":
            return not self._expression(model, row, next(rest), rest)
        if head in ("&", "|"):
            left = self._expression(model, row, next(rest), rest)
            right = self._expression(model, row, next(rest), rest)
            return (left and right) if head == "&" else (left or right)
        path, operator, wanted = head
        values = self._values(model, row, path)
        return any(_compare(value, operator, wanted) for value in values or [None])

    def _values(self, model: str, row: Row, path: str) -> list[Any]:
        """What stands at a path: of each record that a list on the way leads to."""
        name, _, rest = path.partition(".")
        of = self._fields(model).get(name)
        if of is None:
            told = f"Invalid field {model}.{name} in leaf"
            raise RefusedError("builtins.ValueError", told, 500)
        value = row.get(name)
        if not rest or value is None:
            return [value]
        rows = self._rows[of["relation"]]
        referred = value if isinstance(value, list) else [value]
        return [
            found for one in referred for found in self._values(of["relation"], rows[one], rest)
        ]


class RefusedError(Exception):
    """What Odoo raises, by the name of its exception and the status that JSON-2 gives it."""

    def __init__(self, name: str, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.name, self.status = name, status


def _compare(value: Any, operator: str, wanted: Any) -> bool:
    if operator in ("in", "not in"):
        return (value in wanted) == (operator == "in")
    if wanted is False and operator in ("=", "!="):
        return (not value) == (operator == "=")
    if operator in ("=", "!="):
        return (value == wanted) == (operator == "=")
    if value is None:
        return False
    return bool(
        {"<": value < wanted, "<=": value <= wanted, ">": value > wanted, ">=": value >= wanted}[
            operator
        ]
    )
