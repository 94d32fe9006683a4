"""A Tryton company ready to sell: chart, journals, products, customers and users.

Runs in Tryton's environment. Arguments: the database's address and its configuration file.
"""

import datetime
import sys
from decimal import Decimal

from documents import seed
from proteus import Model, config
from trytond.modules.account.tests.tools import (
    create_chart,
    create_fiscalyear,
    create_tax,
    get_accounts,
)
from trytond.modules.account_invoice.tests.tools import (
    set_fiscalyear_invoice_sequences,
)
from trytond.modules.company.tests.tools import create_company, get_company
from trytond.modules.currency.tests.tools import get_currency

PASSWORD = "tryton-42-of-the-tests"
PRICES = {"TEE": "99.90", "MUG": "33.33", "BAG": "258.00"}
PARTIES = {
    "C1": "13800138001", "C2": "13800138002", "C3": "+86 138-0013-8003", "C4": None,
}  # fmt: skip


def prepare() -> None:
    create_company(currency=get_currency("CNY"))
    company = get_company()
    create_chart(company)
    year = create_fiscalyear(
        company, today=(datetime.date(2026, 1, 1), datetime.date(2026, 12, 31))
    )
    set_fiscalyear_invoice_sequences(year)
    year.save()
    year.click("create_period")
    make_journals(company)
    make_products(company)
    for code, mobile in PARTIES.items():
        make_party(code, mobile, is_grouped=code in ("C2", "C3"))
    make_users(company)


def make_journals(company: object) -> None:
    cash = get_accounts(company)["cash"]
    (journal,) = Model.get("account.journal").find([("code", "=", "CASH")])
    method = Model.get("account.invoice.payment.method")()
    method.name = "Cash"
    method.journal = journal
    method.credit_account = method.debit_account = cash
    method.save()
    payments = Model.get("account.payment.journal")(name="WeChat Pay", process_method="manual")
    payments.save()


def make_products(company: object) -> None:
    accounts = get_accounts(company)
    (unit,) = Model.get("product.uom").find([("name", "=", "Unit")])
    tax = create_tax(Decimal("0.13"))
    tax.save()
    category_model = Model.get("product.category")
    plain = category_model(name="Plain", accounting=True)
    taxed = category_model(name="Taxed", accounting=True)
    for category in (plain, taxed):
        category.account_expense = accounts["expense"]
        category.account_revenue = accounts["revenue"]
    taxed.customer_taxes.append(tax)
    plain.save()
    taxed.save()
    for code, price in PRICES.items():
        template = Model.get("product.template")(name=code, default_uom=unit, type="goods")
        template.salable = True
        template.list_price = Decimal(price)
        template.account_category = taxed if code == "BAG" else plain
        template.code = code
        template.save()


def make_party(code: str, mobile: str | None, *, is_grouped: bool) -> None:
    party = Model.get("party.party")(name=f"Customer {code}")
    party.code = code
    party.addresses.new(city="Hangzhou")
    if mobile:
        party.contact_mechanisms.new(type="mobile", value=mobile)
    if is_grouped:
        party.sale_invoice_grouping_method = "standard"
        party.sale_shipment_grouping_method = "standard"
    party.save()


def make_users(company: object) -> None:
    seller = Model.get("party.party")(name="Seller")
    seller.save()
    Model.get("company.employee")(party=seller, company=company).save()
    groups_model = Model.get("res.group")
    everything = groups_model.find([])
    for login, groups in (("bridge", everything), ("clerk", everything), ("nobody", [])):
        user = Model.get("res.user")(name=login, login=login)
        user.password = PASSWORD
        user.companies.append(type(company)(company.id))
        user.company = type(company)(company.id)
        for group in groups:
            user.groups.append(groups_model(group.id))
        user.save()


if __name__ == "__main__":
    database, configuration = sys.argv[1:]
    known = config.set_trytond(database, config_file=configuration)
    known.skip_warning = True
    prepare()
    known._context = Model.get("res.user").get_preferences(True, {})
    seed()
