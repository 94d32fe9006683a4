"""The ERP of the simulated company: a SQLite database in the manner of the ERPs sold in China.

Its own table and column names, state letters and words, yuan as decimal text, naive Shanghai
times, and a source column beside the account that made a record.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from pipeline.landing import SHANGHAI
from pipeline.simulation.cases import Case, ErpOrder, Made
from pipeline.simulation.world import World

CHANNEL_WORDS = {
    "mini_program": "小程序", "h5": "公众号H5", "mobile_site": "移动网站", "app": "APP",
    "pc": "PC商城", "store": "门店",
}  # fmt: skip

SCHEMA = """
create table t_sal_order (
    FID integer primary key, FBILLNO text not null, FTHIRDBILLNO text, FCHANNEL text,
    FBIZLINE text, FCUSTNO text, FLINKPHONE text, FSTATUS text not null, FDATE text not null,
    FCREATEDATE text not null, FCREATOR text, FSOURCE text, FMODIFYDATE text not null,
    FAMOUNT text not null, FFREIGHT text, FDISCOUNT text, FCURRENCY text, FPAYNO text, FNOTE text
);
create table t_ar_receipt (
    FID integer primary key, FBILLNO text not null, FSALORDERNO text, FPAYNO text,
    FAMOUNT text not null, FDATE text not null, FCREATEDATE text not null, FCREATOR text,
    FSOURCE text
);
create table t_sal_outstock (
    FID integer primary key, FBILLNO text not null, FSALORDERNO text, FSTATUS text not null,
    FSHIPDATE text, FCREATEDATE text not null, FMODIFYDATE text not null, FCREATOR text,
    FSOURCE text, FCARRYBILLNO text
);
create table t_ar_refund (
    FID integer primary key, FBILLNO text not null, FSALORDERNO text, FTHIRDREFUNDNO text,
    FAMOUNT text not null, FDATE text not null, FCREATOR text, FSOURCE text
);
"""

Row = tuple[str | None, ...]


def write_erp(world: World, path: Path) -> None:
    """Write the database as it stands at the end of the simulated period."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    try:
        connection.executescript(SCHEMA)
        with connection:
            _insert(connection, "t_sal_order", _orders(world))
            _insert(connection, "t_ar_receipt", _receipts(world))
            _insert(connection, "t_sal_outstock", _shipments(world))
            _insert(connection, "t_ar_refund", _refunds(world))
    finally:
        connection.close()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    """Rows in the order of their document numbers, as the ERP's own key."""
    listed = sorted(rows, key=lambda row: str(row[0]))
    if listed:
        marks = ", ".join("?" * (len(listed[0]) + 1))
        numbered = [(number, *row) for number, row in enumerate(listed, start=1)]
        connection.executemany(f"insert into {table} values ({marks})", numbered)


def _orders(world: World) -> Iterator[Row]:
    for case in world.cases:
        for order in case.orders:
            if order.created_at < world.end:
                yield _order(world, order, case)
    for order in world.shop_orders:
        if order.created_at < world.end:
            yield _order(world, order, None)


def _order(world: World, order: ErpOrder, case: Case | None) -> Row:
    state, modified_at = _order_state(world, order, case)
    ordered_at = case.submitted_at if case else order.created_at
    payment = case.payment if case and order.is_paid and order.has_transaction else None
    return (
        order.number, order.order_no, CHANNEL_WORDS[order.channel],
        case.line.name if case else "shop", case.person.customer_code if case else None,
        _typed_phone(case, order) if case else None, state, _local(ordered_at),
        _local(order.created_at), *_made(world, order.made), _local(modified_at),
        _yuan(order.fen), _yuan(order.freight_fen), _yuan(order.discount_fen), "CNY",
        payment.transaction_id if payment else None, None,
    )  # fmt: skip


def _order_state(world: World, order: ErpOrder, case: Case | None) -> tuple[str, datetime]:
    """The state letter and when it was reached: B confirmed, C paid, D shipping, E done, F void."""
    if case is None:
        return "E", order.created_at
    reached = [("C" if order.is_paid else "B", order.created_at)]
    if order is case.orders[0]:
        shipped = [shipment.shipped_at for shipment in case.shipments if shipment.shipped_at]
        delivered = [shipment.delivered_at for shipment in case.shipments if shipment.delivered_at]
        if shipped:
            reached.append(("D", min(shipped)))
        # Done is an order of which every parcel has arrived.
        if delivered and len(delivered) == len(case.shipments):
            reached.append(("E", max(delivered)))
    if order.cancelled_at is not None:
        reached.append(("F", order.cancelled_at))
    return [(state, at) for state, at in reached if at < world.end][-1]


def _receipts(world: World) -> Iterator[Row]:
    for case in world.cases:
        for receipt in case.receipts:
            if receipt.at < world.end:
                order_no = case.orders[0].number if receipt.has_order else None
                payment = case.payment if receipt.has_transaction else None
                yield (
                    receipt.number, order_no, payment.transaction_id if payment else None,
                    _yuan(receipt.fen), _local(receipt.at), _local(receipt.at),
                    *_made(world, receipt.made),
                )  # fmt: skip
    for order, receipt in zip(world.shop_orders, world.shop_receipts, strict=True):
        if receipt.at < world.end:
            yield (
                receipt.number, order.number, None, _yuan(receipt.fen), _local(receipt.at),
                _local(receipt.at), *_made(world, receipt.made),
            )  # fmt: skip


def _shipments(world: World) -> Iterator[Row]:
    opened = ((case, shipment) for case in world.cases for shipment in case.shipments)
    for case, shipment in opened:
        if shipment.created_at >= world.end:
            continue
        reached = [("待发货", shipment.created_at)]
        if shipment.shipped_at is not None:
            reached.append(("已发货", shipment.shipped_at))
        elif case.orders[0].cancelled_at is not None:
            reached.append(("已作废", case.orders[0].cancelled_at))
        if shipment.delivered_at is not None:
            reached.append(("已签收", shipment.delivered_at))
        if shipment.returned_at is not None:
            reached.append(("已退回", shipment.returned_at))
        state, modified_at = [(state, at) for state, at in reached if at < world.end][-1]
        is_shipped = shipment.shipped_at is not None and shipment.shipped_at < world.end
        yield (
            shipment.number, case.orders[0].number, state,
            _local(shipment.shipped_at) if is_shipped and shipment.shipped_at else None,
            _local(shipment.created_at), _local(modified_at), *_made(world, shipment.made),
            shipment.tracking_no if is_shipped else None,
        )  # fmt: skip


def _refunds(world: World) -> Iterator[Row]:
    for case in world.cases:
        for credit in case.credits:
            if credit.at < world.end:
                yield (
                    credit.number, case.orders[0].number, credit.refund_no, _yuan(credit.fen),
                    _local(credit.at), *_made(world, credit.made),
                )  # fmt: skip


def _made(world: World, made: Made) -> tuple[str | None, str | None]:
    """The account and the source column; an ERP may keep both from its exports."""
    return (None, None) if world.options.hide_actors else (made.actor, made.source)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _local(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"


def _typed_phone(case: Case, order: ErpOrder) -> str:
    """The phone as the channel wrote it: bare, with dashes, or with the country code."""
    phone = order.typed_phone or case.person.phone
    style = int(case.number[-1]) % 3
    return (phone, f"{phone[:3]}-{phone[3:7]}-{phone[7:]}", f"+86 {phone}")[style]
