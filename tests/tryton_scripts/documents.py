"""What a company books in Tryton: orders, invoices, payments, shipments, returns.

Runs in Tryton's environment, on the connection that proteus holds.
"""

import datetime
import sys
from decimal import Decimal
from typing import Any

from proteus import Model, Wizard, config

FIRST_DAY = datetime.date(2026, 10, 1)


def day(number: int) -> datetime.date:
    return FIRST_DAY + datetime.timedelta(days=number)


def find(model: str, **values: Any) -> Any:
    (found,) = Model.get(model).find([(name, "=", value) for name, value in values.items()])
    return found


def sell(reference: str, party: str, items: dict[str, float], on: int) -> Any:
    """A draft sale."""
    sale = Model.get("sale.sale")(reference=reference, sale_date=day(on))
    sale.party = find("party.party", code=party)
    sale.invoice_method = sale.shipment_method = "order"
    for code, quantity in items.items():
        line = sale.lines.new()
        line.product = find("product.product", code=code)
        line.quantity = quantity
    sale.save()
    return sale


def confirm(*sales: Any) -> None:
    for sale in sales:
        sale.click("quote")
        sale.click("confirm")
        sale.reload()
        if sale.state == "confirmed":
            sale.click("process")


def invoice(sale: Any, on: int) -> Any:
    sale.reload()
    (invoice,) = sale.invoices
    invoice.invoice_date = day(on)
    invoice.save()
    invoice.click("post")
    return invoice


def pay(invoice: Any, amount: str, on: int, reference: str, *, ends: str = "succeed") -> None:
    """A payment for what an invoice asks for, such as a shop's payment bridge books."""
    line = next(line for line in invoice.move.lines if line.account.type.receivable)
    _pay(amount, on, reference, ends, party=invoice.party, line=line)


def pay_ahead(sale: Any, amount: str, on: int, reference: str) -> None:
    """A payment for a sale that nobody has billed yet."""
    _pay(amount, on, reference, "succeed", party=sale.party, origin=sale)


def _pay(amount: str, on: int, reference: str, ends: str, **values: Any) -> None:
    payment = Model.get("account.payment")(kind="receivable", **values)
    payment.journal = find("account.payment.journal", name="WeChat Pay")
    payment.amount = Decimal(amount)
    payment.date = day(on)
    payment.reference = reference
    payment.save()
    payment.click("submit")
    payment.click("process_wizard")
    payment.click(ends)


def pay_by_wizard(invoice: Any, amount: str, on: int, description: str) -> None:
    """A payment as a clerk books it on the invoice itself."""
    wizard = invoice.click("pay")
    wizard.form.amount = Decimal(amount)
    wizard.form.date = day(on)
    wizard.form.description = description
    wizard.form.payment_method = find("account.invoice.payment.method", name="Cash")
    wizard.execute("choice")
    if wizard.form_state == "ask":
        wizard.form.type = "partial"
        wizard.execute("pay")


def ship(sale: Any) -> Any:
    sale.reload()
    (shipment,) = sale.shipments
    if shipment.state == "draft":
        shipment.click("wait")
    for step in ("assign_force", "pick", "pack", "ship", "do"):
        shipment.click(step)
    return shipment


def take_back(sale: Any, on: int) -> Any:
    """The whole sale returned, and the credit note for it posted."""
    wizard = Wizard("sale.return_sale", [sale])
    wizard.execute("return_")
    (returned,) = Model.get("sale.sale").find([("origin", "=", f"sale.sale,{sale.id}")])
    returned.sale_date = day(on)
    returned.save()
    confirm(returned)
    return invoice(returned, on)


def credit(invoice: Any, on: int) -> Any:
    """A credit note for an invoice as a whole."""
    wizard = Wizard("account.invoice.credit", [invoice])
    wizard.form.with_refund = False
    wizard.form.invoice_date = day(on)
    wizard.execute("credit")
    (note,) = wizard.actions[0]
    note.invoice_date = day(on)
    note.save()
    note.click("post")
    return note


def transaction(number: int) -> str:
    return f"4200002026{number:018}"


def seed() -> None:
    """Twelve orders over three days in every state that an order can be in."""
    paid = sell("O1001", "C1", {"TEE": 2, "MUG": 1}, 0)
    together = [sell("O1002", "C2", {"MUG": 1}, 0), sell("O1003", "C2", {"MUG": 1, "TEE": 3}, 0)]
    taxed = sell("O1004", "C1", {"BAG": 1}, 1)
    failed = sell("O1005", "C1", {"TEE": 1}, 1)
    returned = sell("O1006", "C4", {"TEE": 1, "BAG": 2}, 1)
    confirm(paid, *together, taxed, failed, returned)
    quoted, cancelled = (sell(f"O100{n}", "C1", {"MUG": 4}, 2) for n in (7, 8))
    quoted.click("quote")
    cancelled.click("cancel")
    sell("O1009", "C4", {"TEE": 1}, 2)
    pay(invoice(paid, 0), "233.13", 0, transaction(1))
    pay(invoice(together[0], 1), "366.36", 1, transaction(2))
    bill = invoice(taxed, 1)
    pay_by_wizard(bill, "100.00", 2, transaction(4))
    pay_by_wizard(bill, "191.54", 2, transaction(5))
    pay(invoice(failed, 2), "99.90", 2, transaction(6), ends="fail")
    pay(invoice(returned, 2), "682.98", 2, transaction(7))
    ship(paid)
    ship(together[0])
    take_back(returned, 2)
    credit(bill, 2)
    for number, state in enumerate(("lead", "opportunity", "lost")):
        start_talking(f"T{number}", "C1", state)


def start_talking(description: str, party: str, state: str) -> None:
    opportunity = Model.get("sale.opportunity")(description=description)
    opportunity.party = find("party.party", code=party)
    opportunity.amount = Decimal("1000.50")
    (opportunity.employee,) = Model.get("company.employee").find([])
    opportunity.save()
    if state != "lead":
        opportunity.click("opportunity")
    if state == "lost":
        opportunity.click("lost")


def go_on() -> None:
    """One more day: an order comes, one is changed, one cancelled, one paid, a draft deleted."""
    sales = Model.get("sale.sale")
    come = sell("O1010", "C3", {"MUG": 2}, 2)
    come.click("quote")
    pay_ahead(come, "66.66", 2, transaction(9))
    (quoted,) = sales.find([("reference", "=", "O1007")])
    (draft,) = sales.find([("reference", "=", "O1009")])
    quoted.click("draft")
    quoted.lines[0].quantity = 5
    quoted.save()
    quoted.click("quote")
    (failed,) = sales.find([("reference", "=", "O1005")])
    pay(failed.invoices[0], "99.90", 2, transaction(8))
    cancelled = sell("O1011", "C1", {"TEE": 1}, 1)
    cancelled.click("cancel")
    draft.delete()


if __name__ == "__main__":
    database, configuration = sys.argv[1:]
    known = config.set_trytond(database, config_file=configuration)
    known.skip_warning = True
    go_on()
