"""What is planted in the simulated company, read back from its systems and nothing else."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline.landing import SHANGHAI, business_day, day_end
from pipeline.simulation import Options, simulate
from pipeline.simulation.faults import ORDER_FAULTS
from pipeline.simulation.service_faults import AFTERSALE_FAULTS, BOOKING_FAULTS, MEMBER_FAULTS
from pipeline.simulation.truth import TRUTH, read_truth
from pipeline.simulation.wechat_books import read_books
from pipeline.simulation.world import World, build_world
from tests.simulated_services import diagnose, read_files

FAULTS = {
    "order": ORDER_FAULTS,
    "booking": BOOKING_FAULTS,
    "aftersale": AFTERSALE_FAULTS,
    "member": MEMBER_FAULTS,
}
BROKEN = Options(seed=1, days=20, orders=900, fault_rate=0.6)
DAY, SKEW = timedelta(hours=24), timedelta(seconds=120)


@dataclass(frozen=True)
class Simulated:
    """A company on disk, and the world that it was written from."""

    folder: Path
    world: World


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = tmp_path_factory.mktemp("broken") / "company"
    simulate(folder, BROKEN)
    return Simulated(folder, build_world(BROKEN))


# How much is broken.


def test_nothing_is_planted_at_a_rate_of_zero_and_what_is_lawful_stays() -> None:
    world = build_world(Options(days=14, orders=300, fault_rate=0.0))
    assert world.expected == []
    names = {fault.name for faults in FAULTS.values() for fault in faults}
    variants = {attempt.variant for attempt in world.attempts}
    assert variants & names == set()
    assert {"", "refunded_in_parts", "sent_in_parcels", "paid_under_other_number"} <= variants


def test_a_rate_breaks_that_share_of_what_can_be_broken_and_every_kind_of_it() -> None:
    def planted(rate: float) -> Counter[str]:
        rows = build_world(Options(days=20, orders=900, fault_rate=rate)).expected
        if rate < 1:
            kinds = {fault.name for faults in FAULTS.values() for fault in faults}
            assert {row.fault for row in rows} == kinds
        assert len({row.case_id for row in rows}) == len(rows)
        return Counter(row.case_id.partition(":")[0] for row in rows)

    breakable, broken = planted(1.0), planted(0.6)
    assert broken == {loop: round(0.6 * count) for loop, count in breakable.items()}
    assert broken.keys() == FAULTS.keys()


def test_every_finding_is_due_before_the_end_and_after_its_case_began(broken: Simulated) -> None:
    began = {attempt.case_id: attempt.submitted_at for attempt in broken.world.attempts}
    for row in read_truth(broken.folder / TRUTH):
        assert row.settled_at is not None
        settled_at = datetime.fromisoformat(row.settled_at)
        assert began[row.case_id] < settled_at <= broken.world.end


# Bookings, tickets and registrations.


@pytest.mark.parametrize(
    "options",
    [
        *(Options(seed=seed, days=14, orders=300) for seed in range(1, 6)),
        *(Options(seed=seed, days=14, orders=300, fault_rate=0.6) for seed in range(1, 6)),
        Options(seed=6, days=14, orders=300, fault_rate=0.0),
        BROKEN,
    ],
    ids=str,
)
def test_each_booking_ticket_and_registration_shows_its_fault_and_no_other(
    options: Options, tmp_path: Path
) -> None:
    simulate(tmp_path / "company", options)
    expected: Mapping[str, set[tuple[str, str]]] = defaultdict(set)
    for row in read_truth(tmp_path / "company" / TRUTH):
        expected[row.case_id].add((row.leg, row.divergence))
    end = day_end(options.last_day)
    diagnosed = dict(diagnose(read_files(tmp_path / "company", end)))
    assert {loop for loop, _, _ in (case_id.partition(":") for case_id in diagnosed)} == {
        "booking", "aftersale", "member",
    }  # fmt: skip
    assert {case_id: found for case_id, found in diagnosed.items() if found} == {
        case_id: planted
        for case_id, planted in expected.items()
        if not case_id.startswith("order:")
    }


def test_what_the_crm_exports_is_not_younger_than_the_last_day(broken: Simulated) -> None:
    files = read_files(broken.folder, broken.world.end)
    times = [
        row[column]
        for rows in files.records.values()
        for row in rows
        for column in ("创建时间", "更新时间", "受理时间", "完结时间")
        if row.get(column)
    ]
    assert len(times) > 300
    assert max(times) < f"{broken.world.end.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"


# Orders: the lost key, and the buyer known twice.

ORDERS = """
    select FBILLNO, FTHIRDBILLNO, FPAYNO, FCUSTNO, FLINKPHONE, FCREATEDATE, FCREATOR,
        cast(round(cast(FAMOUNT as real) * 100) as integer) as fen
    from t_sal_order where FCHANNEL <> '门店'
"""


def _erp(company: Path, query: str) -> list[sqlite3.Row]:
    with sqlite3.connect(company / "systems" / "erp.sqlite") as erp:
        erp.row_factory = sqlite3.Row
        return erp.execute(query).fetchall()


def _at(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=SHANGHAI)


def test_an_order_without_its_key_is_found_by_amount_and_time_alone(broken: Simulated) -> None:
    """Whoever the buyers are: exactly one record fits each case, and one case each record."""
    world = broken.world
    lost = {row.case_id for row in world.expected if row.divergence == "key_lost"}
    issued = {case.number for case in world.cases}
    rows = _erp(broken.folder, ORDERS)
    keyed = {row["FTHIRDBILLNO"] for row in rows}
    unclaimed = [row for row in rows if row["FTHIRDBILLNO"] not in issued]
    named = {row["FPAYNO"] for row in rows}
    seeking = {
        case.case_id: (case.payment.at if case.payment else case.submitted_at, amount)
        for case in world.cases
        if case.number not in keyed
        and (case.payment is None or case.payment.transaction_id not in named)
        for amount in [case.payment.order_fen if case.payment else case.claim_fen]
    }
    fitting = [
        (case_id, row)
        for case_id, (anchor, fen) in seeking.items()
        for row in unclaimed
        if fen == row["fen"] and anchor - SKEW <= _at(row["FCREATEDATE"]) < anchor + DAY
    ]
    assert len(lost) > 5
    assert len(seeking) > 2 * len(lost)
    assert sorted(case_id for case_id, _ in fitting) == sorted(lost)
    assert len({row["FBILLNO"] for _, row in fitting}) == len(unclaimed) == len(lost)
    buyers = {case.case_id: case.person for case in world.cases}
    for case_id, row in fitting:
        assert row["FPAYNO"] is None
        assert row["FCUSTNO"] == buyers[case_id].customer_code
        assert row["FLINKPHONE"].replace("-", "").endswith(buyers[case_id].phone)
        assert row["FCREATOR"] == "svc_miniprogram_bridge"
    assert {row["FTHIRDBILLNO"] is None for row in unclaimed} == {True, False}


def test_a_key_is_lost_only_where_no_other_order_of_those_days_has_the_amount() -> None:
    world = build_world(Options(fault_rate=0.6))
    submitted = defaultdict(list)
    for case in world.cases:
        submitted[case.order_fen].append(case.submitted_at)
    lost = [case for case in world.cases if case.variant == "order_number_lost"]
    assert len(lost) > 20
    for case in lost:
        around = [
            at
            for at in submitted[case.order_fen]
            if abs(at - case.submitted_at) < timedelta(hours=25)
        ]
        assert around == [case.submitted_at]


def test_whom_the_crm_knows_twice_in_time_has_one_case_and_it_is_planted(
    broken: Simulated,
) -> None:
    conflicts = {row.case_id for row in broken.world.expected if row.fault == "buyer_known_twice"}
    attempts = defaultdict(list)
    for attempt in broken.world.attempts:
        attempts[attempt.person.number].append(attempt)
    found, later = set(), 0
    for person in broken.world.people:
        if person.double is None:
            continue
        assert person.contact_at is not None
        (attempt,) = attempts[person.number]
        if attempt.loop != "order":
            continue
        if max(person.double.at, person.contact_at) < attempt.submitted_at + DAY:
            found.add(attempt.case_id)
        else:
            later += 1
            assert attempt.variant == "met_again_later"
    assert found == conflicts
    assert len(found) > 5
    assert later > 0


# Orders: what is lawful.


def test_one_payment_pays_several_orders_to_the_fen(broken: Simulated) -> None:
    world = broken.world
    numbers = {case.number for case in world.cases}
    bill = read_books(broken.folder / "systems" / "wechat").bill
    payments = {
        row["transaction_id"]: row
        for rows in bill.values()
        for row in rows
        if row["kind"] == "payment" and row["order_no"] not in numbers
    }
    orders, receipts = defaultdict(list), defaultdict(list)
    for row in _erp(broken.folder, ORDERS):
        orders[row["FPAYNO"]].append(row)
    for row in _erp(broken.folder, "select * from t_ar_receipt"):
        receipts[row["FPAYNO"]].append(row)
    sizes, is_one_receipt = Counter[int](), set()
    for transaction_id, payment in payments.items():
        assert payment["order_no"].startswith("ZF")
        paid = orders[transaction_id]
        assert {row["FTHIRDBILLNO"] for row in paid} <= numbers
        assert sum(row["fen"] for row in paid) == payment["order_fen"]
        received = receipts[transaction_id]
        if len(received) == len(paid):
            whole = sum(round(float(row["FAMOUNT"]) * 100) for row in received)
            assert whole == payment["order_fen"]
            if len(paid) > 1:
                is_one_receipt.add(len({row["FBILLNO"] for row in received}) == 1)
        sizes[len(paid)] += 1
    assert sizes.keys() == {1, 2, 3}
    assert is_one_receipt == {True, False}


def test_a_shared_payment_is_in_the_bill_and_in_the_order_list_once(broken: Simulated) -> None:
    books = read_books(broken.folder / "systems" / "wechat")
    payments = [
        row["transaction_id"]
        for rows in books.bill.values()
        for row in rows
        if row["kind"] == "payment"
    ]
    listed = [row["transaction_id"] for row in books.orders]
    assert len(set(payments)) == len(payments)
    assert len(set(listed)) == len(listed)
    assert set(listed) <= set(payments)


def test_partial_refunds_are_each_posted_in_time_and_never_on_the_closed_day() -> None:
    world = build_world(Options(fault_rate=0.0))
    parted = [case for case in world.cases if case.variant == "refunded_in_parts"]
    assert {len(case.refunds) for case in parted} == {2, 3}
    for case in parted:
        assert sum(refund.fen for refund in case.refunds) < case.order_fen
        assert len({refund.refund_no for refund in case.refunds}) == len(case.refunds)
        for refund, credit in zip(case.refunds, case.credits, strict=True):
            assert (refund.fen, refund.refund_no) == (credit.fen, credit.refund_no)
            assert timedelta(0) < credit.at - refund.at < timedelta(hours=24)
            assert business_day(refund.at) != world.options.closed_day


def test_a_later_parcel_is_a_delivery_of_its_own_in_every_system(broken: Simulated) -> None:
    sent = {case.number: case for case in broken.world.cases if case.variant == "sent_in_parcels"}
    parcels = defaultdict(list)
    for row in _erp(
        broken.folder,
        "select FTHIRDBILLNO, FCARRYBILLNO, FSHIPDATE from t_sal_outstock"
        " join t_sal_order on FSALORDERNO = t_sal_order.FBILLNO"
        " where FSHIPDATE is not null and FTHIRDBILLNO is not null",
    ):
        parcels[row["FTHIRDBILLNO"]].append(row)
    several = {number for number, rows in parcels.items() if len(rows) > 1}
    assert several
    assert several <= sent.keys()
    assert {len({row["FCARRYBILLNO"] for row in rows}) for rows in parcels.values()} <= {1, 2, 3}
    uploads = {
        order["merchant_trade_no"]: order["shipping"].get("shipping_list", [])
        for order in read_books(broken.folder / "systems" / "wechat").orders
    }
    uploaded = [number for number in several if len(uploads.get(number, [])) > 1]
    assert uploaded
    for number in uploaded:
        tracked = {parcel["tracking_no"] for parcel in uploads[number]}
        assert tracked <= {row["FCARRYBILLNO"] for row in parcels[number]}
