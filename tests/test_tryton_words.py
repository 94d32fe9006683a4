"""Tryton's values, domains and allocation, without a server."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.landing import day_end, day_start
from pipeline.sources.records import Asked
from pipeline.sources.tryton.allocation import allocate
from pipeline.sources.tryton.domains import changed, window
from pipeline.sources.tryton.values import decode, encode, referred

FIRST, LAST = date(2026, 10, 1), date(2026, 10, 3)
AT = datetime(2026, 10, 1, 8, 30, 0, 123456, tzinfo=UTC)

amounts = st.decimals(min_value=0, max_value=10**10, places=2, allow_nan=False)
weights = st.dictionaries(
    st.integers(min_value=1, max_value=10**6),
    st.decimals(min_value=-(10**8), max_value=10**8, places=4, allow_nan=False),
    min_size=1,
    max_size=30,
)


@given(amounts, weights)
def test_the_parts_of_a_payment_sum_to_it_and_none_is_negative(
    amount: Decimal, of: dict[int, Decimal]
) -> None:
    parts = allocate(amount, of)
    assert sum(parts.values()) == amount
    assert all(part >= 0 for part in parts.values())
    assert set(parts) == set(of)


@given(amounts, weights)
def test_a_part_is_less_than_a_fen_from_its_proportion(
    amount: Decimal, of: dict[int, Decimal]
) -> None:
    counted = {sale: max(weight, Decimal(0)) for sale, weight in of.items()}
    total = sum(counted.values())
    if total == 0:
        counted, total = dict.fromkeys(counted, Decimal(1)), Decimal(len(counted))
    for sale, part in allocate(amount, of).items():
        assert abs(part * total - amount * counted[sale]) < Decimal("0.01") * total


@given(amounts, weights, st.randoms())
def test_a_payment_is_shared_out_alike_in_whatever_order_its_sales_come(
    amount: Decimal, of: dict[int, Decimal], chance: Any
) -> None:
    shuffled = list(of.items())
    chance.shuffle(shuffled)
    assert allocate(amount, dict(shuffled)) == allocate(amount, of)


def test_the_fen_that_cannot_be_halved_goes_to_the_lesser_number() -> None:
    assert allocate(Decimal("0.01"), {8: Decimal(1), 7: Decimal(1)}) == {
        7: Decimal("0.01"),
        8: Decimal("0.00"),
    }
    assert allocate(Decimal("100"), {1: Decimal(1), 2: Decimal(1), 3: Decimal(1)}) == {
        1: Decimal("33.34"),
        2: Decimal("33.33"),
        3: Decimal("33.33"),
    }


def test_what_pays_nothing_known_has_no_parts() -> None:
    assert allocate(Decimal("9.90"), {}) == {}


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1234567890123.4500"), AT, date(2026, 10, 1), None, True, 7, "文字",
        [Decimal("0.10"), {"party.": {"code": "7", "create_date": AT}}],
    ],
)  # fmt: skip
def test_a_value_comes_back_as_it_went(value: Any) -> None:
    assert decode(encode(value)) == value


def test_what_has_no_word_in_a_landed_column_is_read_as_its_nearest() -> None:
    assert decode({"__class__": "timedelta", "seconds": 90.5}) == timedelta(seconds=90.5)
    time = {"__class__": "time", "hour": 8, "minute": 5, "second": 0, "microsecond": 0}
    assert decode(time) == "08:05:00"
    assert decode({"__class__": "bytes", "base64": "AAAA"}) is None


def test_an_instant_of_shanghai_is_asked_for_in_utc() -> None:
    asked = encode(day_start(FIRST))
    assert (asked["month"], asked["day"], asked["hour"]) == (9, 30, 16)


@pytest.mark.parametrize(
    ("reference", "found"),
    [("sale.line,7", 7), ("sale.sale,7", None), ("sale.line,-1", None), ("sale.line,", None),
     (None, None)],
)  # fmt: skip
def test_a_reference_leads_only_to_its_own_object(reference: str | None, found: int | None) -> None:
    assert referred(reference, "sale.line") == found


def test_the_window_is_half_open_in_days_and_in_instants() -> None:
    asked = Asked(fields=(), since=day_start(FIRST), until=day_end(LAST))
    assert window(asked, {"sale_date": "date"}) == [
        "OR", [["sale_date", ">=", FIRST], ["sale_date", "<", date(2026, 10, 4)]],
    ]  # fmt: skip
    assert window(asked, {"create_date": "timestamp"}) == [
        "OR", [["create_date", ">=", day_start(FIRST)], ["create_date", "<", day_end(LAST)]],
    ]  # fmt: skip


def test_the_second_date_counts_only_where_the_first_is_empty() -> None:
    asked = Asked(fields=(), since=day_start(FIRST), until=day_end(LAST))
    _, by_sale, by_creation = window(asked, {"sale_date": "date", "create_date": "timestamp"})
    assert ["sale_date", "=", None] in by_creation
    assert ["sale_date", "=", None] not in by_sale


def test_the_first_day_takes_what_is_older_and_what_has_no_date() -> None:
    asked = Asked(fields=(), until=day_end(LAST))
    assert window(asked, {"sale_date": "date"}) == [
        "OR",
        [["sale_date", "!=", None], ["sale_date", "<", date(2026, 10, 4)]],
        [["sale_date", "=", None]],
    ]
    assert window(Asked(fields=()), {"sale_date": "date"}) == []


def test_a_record_that_was_never_changed_is_found_by_its_creation() -> None:
    domain = changed(AT, ("lines",))
    assert domain[0] == "OR"
    assert ["create_date", ">=", AT] in domain
    assert ["lines.write_date", ">=", AT] in domain
