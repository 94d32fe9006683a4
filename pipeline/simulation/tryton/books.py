"""What the simulated company books in Tryton, and Tryton's own number of each order.

Shipments and refunds stay with the other ERP, which then names orders by Tryton's numbers.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigurationError
from pipeline.simulation.cases import Case, ErpOrder, Made, Receipt
from pipeline.simulation.world import World

PROGRAMS = Path(__file__).parent / "programs"
DATABASE = "tryton"
ADMIN_PASSWORD = "tryton-of-the-simulated"  # noqa: S105 - it guards made-up books on loopback
CONFIGURATION = "trytond.conf"
# Faults that differ by freight: an order in Tryton has no column for it.
NOT_IN_TRYTON = ("claim_without_freight", "booked_without_freight", "refund_posted_without_freight")
SHOP = "SHOP"
PYTHON = Path(__file__).parents[3] / ".tryton" / "venv" / "bin" / "python"


def tryton_python() -> Path:
    """The Python of Tryton's environment. Raises ConfigurationError where there is none."""
    if not PYTHON.exists():
        raise ConfigurationError(f"{PYTHON}: not found", next_step="`make tryton` installs Tryton")
    return PYTHON


def write_tryton(world: World, folder: Path) -> None:
    """Book the orders and receipts of the world; its orders then bear Tryton's numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    orders, told = tell(world)
    (folder / "told.json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    _make(folder, tryton_python())
    numbers = json.loads((folder / "numbers.json").read_text())
    for order, number in zip(orders, numbers, strict=True):
        order.number = number


def tell(world: World) -> tuple[list[ErpOrder], dict[str, Any]]:
    """The orders that are booked, and all that is booked, as `programs/book.py` reads it."""
    booked: list[tuple[ErpOrder, Case | None]] = [
        *((order, case) for case in world.cases for order in case.orders),
        *((order, None) for order in world.shop_orders),
    ]
    orders = sorted(
        ((order, case) for order, case in booked if order.created_at < world.end),
        key=lambda told: (told[0].created_at, told[0].number),
    )
    places = {id(order): place for place, (order, _) in enumerate(orders)}
    told = {
        "orders": [_order(world, order, case) for order, case in orders],
        "receipts": sorted(_receipts(world, places), key=lambda receipt: receipt["at"]),
    }
    return [order for order, _ in orders], told


def _make(folder: Path, python: Path) -> None:
    configuration = folder / CONFIGURATION
    configuration.write_text(f"[database]\nuri = sqlite://\npath = {folder.resolve()}\n")
    password = folder / "password"
    password.write_text(ADMIN_PASSWORD + "\n")
    (folder / f"{DATABASE}.sqlite").touch()
    environment = {"TRYTONPASSFILE": str(password), "TRYTOND_CONFIG": str(configuration)}
    _run(
        [
            python.with_name("trytond-admin"), "-c", configuration, "-d", DATABASE, "-u",
            "sale_payment", "--activate-dependencies", "--email", "admin@example.com",
        ],
        environment,
    )  # fmt: skip
    files = [configuration, folder / "told.json", folder / "numbers.json"]
    _run([python, PROGRAMS / "book.py", *files], environment)


def _run(command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConfigurationError(
            f"{Path(command[0]).name} ended with {done.returncode}: {last}",
            next_step="`make tryton` installs Tryton anew",
        )


def _order(world: World, order: ErpOrder, case: Case | None) -> dict[str, Any]:
    payment = case.payment if case and order.is_paid and order.has_transaction else None
    words = [case.line.name if case else "shop", order.channel]
    return _made(order.created_at, order.made) | {
        "party": case.person.customer_code if case else SHOP,
        "reference": order.order_no,
        "remark": " ".join([*words, payment.transaction_id] if payment else words),
        "amount": _yuan(order.fen),
        "state": _state(world, order),
        "cancelled_at": order.cancelled_at and _utc(order.cancelled_at),
    }


def _state(world: World, order: ErpOrder) -> str:
    if order.cancelled_at is not None and order.cancelled_at < world.end:
        return "cancelled"
    return "processing" if order.is_paid else "quotation"


def _receipts(world: World, places: dict[int, int]) -> Iterator[dict[str, Any]]:
    for case in world.cases:
        for receipt in case.receipts:
            if receipt.at < world.end:
                order = case.orders[0] if case.orders else None
                payment = case.payment if receipt.has_transaction else None
                yield _receipt(receipt, case.person.customer_code) | {
                    "transaction": payment.transaction_id if payment else None,
                    "order": _place(world, receipt, order, places),
                }
    for order, receipt in zip(world.shop_orders, world.shop_receipts, strict=True):
        if receipt.at < world.end:
            yield _receipt(receipt, SHOP) | {
                "transaction": None, "order": _place(world, receipt, order, places),
            }  # fmt: skip


def _place(
    world: World, receipt: Receipt, order: ErpOrder | None, places: dict[int, int]
) -> int | None:
    """The order that the receipt names: Tryton takes payments only for orders that it delivers."""
    if order is None or not receipt.has_order or _state(world, order) != "processing":
        return None
    return places.get(id(order))


def _receipt(receipt: Receipt, party: str) -> dict[str, Any]:
    return _made(receipt.at, receipt.made) | {"party": party, "amount": _yuan(receipt.fen)}


def _made(at: datetime, made: Made) -> dict[str, str]:
    """When and by whom: a sheet is loaded by a user, whatever account its rows bear elsewhere."""
    by = "import" if made.source == "EXCEL" else made.actor
    return {"at": _utc(at), "by": by}


def _utc(at: datetime) -> str:
    """An instant as Tryton's database holds one."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat()


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"
