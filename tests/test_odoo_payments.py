"""Odoo's payments shared among the orders that they pay: to the fen, and nothing lost."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigurationError, PermanentSourceError
from pipeline.landing import Landing
from pipeline.sources.odoo.allocation import Invoice, allocate
from pipeline.sources.sharing import share
from tests.connected_company import DAYS
from tests.odoo_server import OdooServer
from tests.test_odoo import ORDERED, SAVED, column, open_table, order, stocked

RECEIPTS: dict[str, Any] = {
    "connector": "odoo",
    "object": "account.payment",
    "where": [["payment_type", "=", "inbound"]],
    "columns": {
        "receipt_no": "name",
        "erp_order_no": "allocated.order.name",
        "order_no": {"from": "allocated.order.client_order_ref", "pattern": r"(O\d+)"},
        "transaction_id": {"from": ["memo", "ref", "communication"], "pattern": r"(42\d+)"},
        "amount_fen": {"from": "allocated.amount", "unit": "yuan"},
        "received_at": ["date", "payment_date"],
        "created_at": "create_date",
    },
}
FEN = st.integers(min_value=0, max_value=10**9)
INVOICES = st.dictionaries(
    st.integers(1, 9),
    st.builds(
        Invoice,
        total_fen=FEN,
        orders_fen=st.dictionaries(st.integers(1, 9), FEN, max_size=4),
        paid_fen=st.none() | FEN,
    ),
    max_size=5,
)


@given(FEN, INVOICES)
def test_the_parts_sum_to_the_payment_and_none_is_negative(
    payment: int, invoices: dict[int, Invoice]
) -> None:
    parts = allocate(payment, invoices)
    assert sum(parts.values()) == payment
    assert all(part > 0 for part in parts.values()) or parts == {None: 0}
    assert parts == allocate(payment, dict(reversed(invoices.items())))


@given(FEN, st.dictionaries(st.integers(), FEN, max_size=6))
def test_shares_sum_to_the_total_and_keep_to_proportion(
    total: int, weights: dict[int, int]
) -> None:
    shares, whole = share(total, weights), sum(weights.values())
    assert sum(shares.values()) == (total if whole else 0)
    assert all(
        abs(part - total * weights[key] / whole) <= 1 + total * 1e-12
        for key, part in shares.items()
    )


def test_instalments_of_an_invoice_pay_its_orders_in_full_together() -> None:
    invoice = {1: Invoice(10000, {7: 6000, 8: 4000})}
    first, second = allocate(3333, invoice), allocate(6667, invoice)
    assert {number: first[number] + second[number] for number in (7, 8)} == {7: 6000, 8: 4000}


def shop(version: int = 15) -> OdooServer:
    """Four orders of 199.90, the first three on one invoice, the fourth on its own."""
    server = stocked(OdooServer(version=version))
    server.commit(ORDERED, "sale.order", *(order(number) for number in range(1, 5)))
    server.commit(
        ORDERED,
        "sale.order.line",
        *({"order_id": number, "price_total": 199.9} for number in range(1, 5)),
    )
    server.commit(
        ORDERED,
        "account.move",
        {"name": "INV/1", "amount_total": 599.7, "currency_id": 1},
        {"name": "INV/2", "amount_total": 219.9, "currency_id": 1},
    )
    server.commit(
        ORDERED,
        "account.move.line",
        *(
            {"move_id": 1 + number // 4, "price_total": 199.9, "sale_line_ids": [number]}
            for number in range(1, 5)
        ),
        # Freight of the second invoice, of no order.
        {"move_id": 2, "price_total": 20.0},
    )
    return server


def pay(server: OdooServer, amount: float, invoices: list[int], **more: Any) -> int:
    day = "payment_date" if server.version < 14 else "date"
    (number,) = server.commit(
        SAVED,
        "account.payment",
        {
            "name": "PAY", "amount": amount, "payment_type": "inbound", "currency_id": 1,
            "company_id": 1, "reconciled_invoice_ids": invoices, day: "2026-10-02",
        }
        | more,
    )  # fmt: skip
    server.commit(SAVED, "account.payment", {"id": number, "name": f"PAY/{number}"})
    return number


def match(
    server: OdooServer, payment: int, invoice: int, amount: float, at: datetime = SAVED
) -> None:
    """Book that a payment pays an invoice, as the accountant's screen does."""
    credit, debit = server.commit(
        SAVED,
        "account.move.line",
        {"move_id": 9, "payment_id": payment, "price_total": 0},
        {"move_id": invoice, "price_total": 0},
    )
    server.commit(SAVED, "account.move", {"id": 9, "name": "PAY-ENTRY", "amount_total": amount})
    server.commit(
        at,
        "account.partial.reconcile",
        {"amount": amount, "credit_move_id": credit, "debit_move_id": debit},
    )


def receipts(
    folder: Path, server: OdooServer, settings: Mapping[str, Any] = RECEIPTS
) -> dict[tuple[str, str | None], int]:
    """What lands, by receipt and order; landing must find nothing wrong with it."""
    source = open_table(folder, server, settings, table="erp_receipts")
    extracts = list(source.extract(DAYS))
    landing = Landing(folder / "landing", hash_key=b"0123456789abcdef")
    assert [landing.land(source.table, e, connector="odoo").quarantined for e in extracts] == [
        0
    ] * 3
    assert [extract.rows.num_rows for extract in extracts][::2] == [0, 0]
    keys = zip(column(extracts, "receipt_no"), column(extracts, "erp_order_no"), strict=True)
    return dict(zip(keys, column(extracts, "amount_fen"), strict=True))


@pytest.mark.parametrize("version", [13, 15, 18, 19])
def test_a_payment_of_many_orders_lands_once_per_order(tmp_path: Path, version: int) -> None:
    server = shop(version)
    field = {13: "communication", 15: "ref"}.get(version, "memo")
    pay(server, 599.7, [1], **{field: "微信支付 4200009"})
    assert receipts(tmp_path, server) == {
        ("PAY/1", "S1"): 19990, ("PAY/1", "S2"): 19990, ("PAY/1", "S3"): 19990,
    }  # fmt: skip
    source = open_table(tmp_path, server, RECEIPTS, table="erp_receipts")
    assert column(list(source.extract(DAYS)), "transaction_id") == ["4200009"] * 3
    assert column(list(source.extract(DAYS)), "order_no") == ["O1", "O2", "O3"]


def test_a_fen_that_does_not_divide_is_not_lost(tmp_path: Path) -> None:
    server = shop()
    pay(server, 100.0, [1])
    assert sorted(receipts(tmp_path, server).values()) == [3333, 3333, 3334]


def test_what_pays_no_order_lands_without_one(tmp_path: Path) -> None:
    server = shop()
    pay(server, 300.0, [2])
    pay(server, 50.0, [])
    assert receipts(tmp_path, server) == {
        ("PAY/1", "S4"): 19990, ("PAY/1", None): 2000 + 8010, ("PAY/2", None): 5000,
    }  # fmt: skip


def test_what_the_books_match_counts_before_what_totals_suggest(tmp_path: Path) -> None:
    server = shop()
    number = pay(server, 300.0, [1, 2])
    match(server, number, 2, 219.9)
    match(server, number, 1, 80.1)
    assert receipts(tmp_path, server) == {
        ("PAY/1", "S1"): 2670, ("PAY/1", "S2"): 2670, ("PAY/1", "S3"): 2670,
        ("PAY/1", "S4"): 19990, ("PAY/1", None): 2000,
    }  # fmt: skip


def test_a_payment_matched_later_makes_its_day_change(tmp_path: Path) -> None:
    server = shop()
    number = pay(server, 219.9, [2])
    source = open_table(tmp_path, server, RECEIPTS, table="erp_receipts")
    later = SAVED + timedelta(hours=5)
    known = dict.fromkeys(DAYS, "")
    assert source.changed_days(later, known) == set()
    match(server, number, 2, 219.9, at=later)
    assert source.changed_days(later, known) == {DAYS[1]}


def test_a_payment_that_leaves_the_filter_makes_its_day_change(tmp_path: Path) -> None:
    server = shop()
    number = pay(server, 219.9, [2], state="posted")
    filtered = RECEIPTS | {"where": [["state", "=", "posted"]]}
    source = open_table(tmp_path, server, filtered, table="erp_receipts")
    assert sum(extract.rows.num_rows for extract in source.extract(DAYS)) == 2
    later = SAVED + timedelta(hours=5)
    server.commit(later, "account.payment", {"id": number, "state": "canceled"})
    assert source.changed_days(later, dict.fromkeys(DAYS, "")) == {DAYS[1]}
    assert sum(extract.rows.num_rows for extract in source.extract(DAYS)) == 0


def test_a_payment_whose_entry_is_cancelled_makes_its_day_change(tmp_path: Path) -> None:
    server = shop()
    (entry,) = server.commit(SAVED, "account.move", {"name": "BNK/1", "amount_total": 219.9})
    pay(server, 219.9, [2], move_id=entry)
    source = open_table(tmp_path, server, RECEIPTS, table="erp_receipts")
    later, known = SAVED + timedelta(hours=5), dict.fromkeys(DAYS, "")
    assert source.changed_days(later, known) == set()
    server.commit(later, "account.move", {"id": entry, "state": "cancel"})
    assert source.changed_days(later, known) == {DAYS[1]}


def test_a_payment_in_another_currency_lands_in_that_of_its_company(tmp_path: Path) -> None:
    server = shop(18)
    pay(server, 30.0, [2], currency_id=2, amount_company_currency_signed=-219.9)
    assert receipts(tmp_path, server) == {("PAY/1", "S4"): 19990, ("PAY/1", None): 2000}


def test_a_payment_that_nobody_tells_in_yuan_is_set_aside(tmp_path: Path) -> None:
    server = shop(13)
    pay(server, 30.0, [2], currency_id=2)
    source = open_table(tmp_path, server, RECEIPTS, table="erp_receipts")
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    batches = [landing.land(source.table, e, connector="odoo") for e in source.extract(DAYS)]
    assert [batch.rows for batch in batches] == [0, 0, 0]
    assert [row.reason for row in landing.rejected(batches[1])] == [
        "amount_fen: found nothing, allowed: a whole number"
    ]


def test_a_deposit_taken_off_the_final_invoice_does_not_count_twice(tmp_path: Path) -> None:
    server = shop()
    server.commit(
        ORDERED, "account.move.line", {"move_id": 2, "price_total": -50.0, "sale_line_ids": [4]}
    )
    server.commit(ORDERED, "account.move", {"id": 2, "amount_total": 169.9})
    pay(server, 169.9, [2])
    assert receipts(tmp_path, server) == {("PAY/1", "S4"): 14990, ("PAY/1", None): 2000}


def test_an_order_that_an_invoice_only_takes_off_has_no_share_of_its_payment(
    tmp_path: Path,
) -> None:
    server = shop()
    server.commit(
        ORDERED, "account.move.line", {"move_id": 2, "price_total": -19.9, "sale_line_ids": [1]}
    )
    server.commit(ORDERED, "account.move", {"id": 2, "amount_total": 199.9})
    pay(server, 199.9, [2])
    assert receipts(tmp_path, server) == {("PAY/1", "S4"): 19990}


def test_books_kept_in_another_currency_say_nothing_of_yuan(tmp_path: Path) -> None:
    server = shop()
    server.commit(ORDERED, "res.company", {"name": "US", "currency_id": 2})
    number = pay(server, 219.9, [2], company_id=2)
    match(server, number, 2, 30.0)
    assert receipts(tmp_path, server) == {("PAY/1", "S4"): 19990, ("PAY/1", None): 2000}


def test_without_the_sales_module_an_order_cannot_be_asked_for(tmp_path: Path) -> None:
    server = shop()
    server.without = {"account.move.line": frozenset({"sale_line_ids"})}
    source = open_table(tmp_path, server, RECEIPTS, table="erp_receipts")
    with pytest.raises(PermanentSourceError, match=r"allocated\.order\.name"):
        source.probe()
    pay(server, 50.0, [1])
    columns = {
        name: of for name, of in RECEIPTS["columns"].items() if not name.endswith("order_no")
    }
    source = open_table(tmp_path, server, RECEIPTS | {"columns": columns}, table="erp_receipts")
    assert column(list(source.extract(DAYS)), "amount_fen") == [5000]


def test_only_payments_are_allocated(tmp_path: Path) -> None:
    settings = RECEIPTS | {"object": "account.move", "where": None}
    source = open_table(tmp_path, shop(), settings, table="erp_receipts")
    with pytest.raises(ConfigurationError, match=r"allowed: only of account\.payment"):
        source.probe()


def test_a_right_that_allocation_needs_is_named(tmp_path: Path) -> None:
    server = shop()
    pay(server, 50.0, [1])
    server.forbidden = frozenset({"account.partial.reconcile"})
    source = open_table(tmp_path, server, RECEIPTS, table="erp_receipts")
    with pytest.raises(PermanentSourceError, match=r"account\.partial\.reconcile") as error:
        list(source.extract(DAYS))
    assert "read access is enough" in str(error.value)


def test_payments_that_become_several_rows_are_not_counted(tmp_path: Path) -> None:
    server = shop()
    pay(server, 219.9, [2])
    assert open_table(tmp_path, server, RECEIPTS, table="erp_receipts").counts(DAYS) == {}
