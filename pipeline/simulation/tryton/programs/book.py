"""Books a simulated company's orders and payments in Tryton, each at its own instant.

Runs in Tryton's environment. Arguments: Tryton's configuration, what is to be booked, and the file
for the numbers that Tryton gives the orders.

Tryton dates a record by its database's clock. On SQLite that clock is a function of this process,
so the weeks of a company are booked in a minute, and Tryton's own `create_date` says when.
"""

import datetime
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from proteus import Model, Wizard, config
from trytond.backend.sqlite import database as sqlite
from trytond.modules.company.tests.tools import create_company, get_company
from trytond.modules.currency.tests.tools import get_currency

BATCH = 50


class Clock:
    """What Tryton's database calls now."""

    at: datetime.datetime | None = None

    @classmethod
    def tell(cls) -> str:
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        return (cls.at or now).isoformat(" ")


class Books:
    """The company's books in Tryton. Records are made as the account that makes them."""

    def __init__(self, known: Any) -> None:
        self._known = known
        create_company(currency=get_currency("CNY"))
        self._company = get_company()
        known._context = Model.get("res.user").get_preferences(True, {})
        self._admin = known.user
        self._users: dict[str, int] = {}
        self._parties: dict[str, tuple[int, int]] = {}
        self._journal = Model.get("account.payment.journal")(
            name="WeChat Pay", process_method="manual"
        )
        self._journal.save()

    def order(self, told: dict[str, Any]) -> int:
        """A draft sale with one line of the whole amount, as a shop's interface creates it."""
        party, address = self._party(told["party"])
        line = {
            "type": "line", "description": "goods", "quantity": 1,
            "unit_price": Decimal(told["amount"]),
        }  # fmt: skip
        values = {
            "company": self._company.id, "party": party, "invoice_address": address,
            "shipment_address": address, "currency": self._company.currency.id,
            "invoice_method": "manual", "shipment_method": "manual",
            "reference": told["reference"], "description": told["remark"],
            "sale_date": _day(told), "lines": [("create", [line])],
        }  # fmt: skip
        return self._create("sale.sale", values, told)

    def payment(self, told: dict[str, Any], sale: int | None) -> int:
        """A draft payment, of a sale where the account that books it names one."""
        values = {
            "company": self._company.id, "journal": self._journal.id, "kind": "receivable",
            "party": self._party(told["party"])[0], "date": _day(told),
            "amount": Decimal(told["amount"]), "reference": told["transaction"],
            "origin": f"sale.sale,{sale}" if sale else None,
        }  # fmt: skip
        return self._create("account.payment", values, told)

    def press(self, model: str, ids: list[int], *buttons: str) -> None:
        """Press buttons on records as people do in their lists."""
        for start in range(0, len(ids), BATCH):
            records = [Model.get(model)(number) for number in ids[start : start + BATCH]]
            for button in buttons:
                Model.get(model).click(records, button)

    def process(self, payments: list[int]) -> None:
        """Group submitted payments, as a journal's run does."""
        Clock.at = None  # Tryton throws away wizards that were begun long ago
        Wizard("account.payment.process", [Model.get("account.payment")(n) for n in payments])

    def numbers(self, sales: list[int]) -> list[str]:
        return [Model.get("sale.sale")(number).number for number in sales]

    def _create(self, model: str, values: dict[str, Any], told: dict[str, Any]) -> int:
        Clock.at = datetime.datetime.fromisoformat(told["at"])
        self._known.user = self._user(told["by"])
        try:
            (created,) = Model.get(model)._proxy.create([values], self._known.context)
        finally:
            self._known.user = self._admin
        return created

    def _user(self, login: str) -> int:
        if login not in self._users:
            user = Model.get("res.user")(name=login, login=login)
            user.companies.append(Model.get("company.company")(self._company.id))
            user.company = Model.get("company.company")(self._company.id)
            for group in Model.get("res.group").find([]):
                user.groups.append(group)
            user.save()
            self._users[login] = user.id
        return self._users[login]

    def _party(self, code: str) -> tuple[int, int]:
        """The party with an address, made where it is not there yet."""
        if code not in self._parties:
            party = Model.get("party.party")(name=code, code=code)
            party.addresses.new()
            party.save()
            self._parties[code] = (party.id, party.addresses[0].id)
        return self._parties[code]


def _day(told: dict[str, Any]) -> datetime.date:
    return datetime.datetime.fromisoformat(told["at"]).date()


def book(books: Books, told: dict[str, Any]) -> list[str]:
    """Book everything; return the numbers of the orders, in their order."""
    orders, receipts = told["orders"], told["receipts"]
    sales = [books.order(order) for order in orders]
    by_state: dict[str, list[int]] = {}
    for sale, order in zip(sales, orders, strict=True):
        by_state.setdefault(order["state"], []).append(sale)
    books.press("sale.sale", sales, "quote")
    books.press("sale.sale", by_state.get("processing", []), "confirm")
    payments = [
        books.payment(receipt, None if receipt["order"] is None else sales[receipt["order"]])
        for receipt in receipts
    ]
    books.press("account.payment", payments, "submit")
    books.process(payments)
    books.press("account.payment", payments, "succeed")
    for sale, order in zip(sales, orders, strict=True):
        if order["state"] == "cancelled":
            Clock.at = datetime.datetime.fromisoformat(order["cancelled_at"])
            books.press("sale.sale", [sale], "cancel")
    return books.numbers(sales)


if __name__ == "__main__":
    configuration, told_path, numbers_path = sys.argv[1:]
    sqlite.now = Clock.tell
    connected = config.set_trytond("sqlite:///tryton", config_file=configuration)
    connected.skip_warning = True
    numbers = book(Books(connected), json.loads(Path(told_path).read_text()))
    Path(numbers_path).write_text(json.dumps(numbers))
