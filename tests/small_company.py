"""A company small enough to count on one's fingers: files of canonical rows and its folder.

Three days of eight orders on one line. Everything agrees, but for one order that was paid and
never booked and one that the front end alone knows.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST_INSTANT = datetime(2026, 10, 1, 2, tzinfo=UTC)
DAYS, ORDERS_A_DAY = 3, 8
ORDERS_COUNT = DAYS * ORDERS_A_DAY
PAID_NOT_BOOKED, SURFACE_ONLY = "O0005", "O0011"
# Long after the last window has passed, so that nothing is pending.
COMPLETE_UNTIL = "2026-10-20T16:00:00+00:00"

Row = Mapping[str, object]
STEPS = (
    "session_start", "product_view", "checkout_start", "order_submit", "pay_start", "pay_success",
)  # fmt: skip


def write_company(folder: Path, *, connected: Sequence[str] = ()) -> Path:
    """Write the drop and the company folder under `folder`; return the company folder.

    `connected` names the tables that the company wires; all of them where it names none.
    """
    drop, company = folder / "drop", folder / "company"
    drop.mkdir(parents=True)
    company.mkdir()
    tables = orders()
    for name, rows in tables.items():
        write_table(drop, name, rows)
    told = "".join(f"{name},{COMPLETE_UNTIL}\n" for name in tables)
    (drop / "_manifest.csv").write_text(f"table,complete_until\n{told}")
    (company / "company.yml").write_text(
        "name: 小店\nfirst_day: 2026-10-01\nlast_day: 2026-10-03\n", encoding="utf-8"
    )
    (company / ".env").write_text("BIHUAN_HASH_KEY=" + "k" * 32 + "\n")
    wired = "".join(
        f"  {name}: {{connector: files, connection: drop, files: {name}.csv,"
        " interface_actors: [svc_bridge]}\n"
        for name in connected or tables
    )
    (company / "sources.yml").write_text(
        f"connections: {{drop: {{folder: ../drop}}}}\ntables:\n{wired}"
    )
    return company


def write_table(drop: Path, name: str, rows: Sequence[Row]) -> None:
    with (drop / f"{name}.csv").open("w", newline="") as file:
        written = csv.DictWriter(file, fieldnames=list(rows[0]))
        written.writeheader()
        written.writerows(rows)


def orders() -> dict[str, list[Row]]:
    """Every landed table that the small company has, as rows."""
    tables: dict[str, list[Row]] = {
        "tracking_events": [], "pay_bill": [], "erp_orders": [], "erp_receipts": [],
        "erp_shipments": [], "crm_contacts": [], "mp_orders": [],
    }  # fmt: skip
    for count in range(ORDERS_COUNT):
        number = f"O{count:04}"
        at = entered_at(number)
        tables["tracking_events"] += _events(number, at, 1000 + count)
        tables["crm_contacts"].append(_contact(number, at))
        if number == SURFACE_ONLY:
            continue
        tables["pay_bill"].append(_payment(number, at, 1000 + count))
        tables["mp_orders"].append(_listed(number, at, 1000 + count))
        if number != PAID_NOT_BOOKED:
            tables["erp_orders"].append(booking(number, at, 1000 + count))
            tables["erp_receipts"].append(_receipt(number, at, 1000 + count))
            tables["erp_shipments"].append(_shipment(number, at))
    return tables


def entered_at(number: str) -> datetime:
    """When the session of an order began: half an hour after the one before it."""
    days, order = divmod(int(number[1:]), ORDERS_A_DAY)
    return FIRST_INSTANT + timedelta(days=days, minutes=30 * order)


def booking(number: str, at: datetime, amount_fen: int) -> Row:
    return {
        "erp_order_no": f"E{number}", "order_no": number, "channel": "mini_program",
        "business_line": "retail", "state": "done", "ordered_at": _after(at, 65),
        "amount_fen": amount_fen, "transaction_id": f"T{number}",
        "updated_at": _after(at, 36000),
    } | _made(at, 70)  # fmt: skip


def _events(number: str, at: datetime, amount_fen: int) -> Iterator[Row]:
    for count, event in enumerate(STEPS):
        is_act = event in ("order_submit", "pay_start", "pay_success")
        yield {
            "event_id": f"{number}-{count}", "event": event, "occurred_at": _after(at, 10 * count),
            "channel": "mini_program", "session_id": f"S{number}", "openid": f"o{number}",
            "unionid": f"u{number}", "scene": "1001", "business_line": "retail",
            "case_no": number if is_act else "", "amount_fen": amount_fen if is_act else "",
        }  # fmt: skip


def _payment(number: str, at: datetime, amount_fen: int) -> Row:
    return {
        "row_kind": "payment", "transaction_id": f"T{number}", "order_no": number,
        "trade_state": "SUCCESS", "happened_at": _after(at, 51), "order_amount_fen": amount_fen,
        "openid": f"o{number}",
    }  # fmt: skip


def _listed(number: str, at: datetime, amount_fen: int) -> Row:
    is_shipped = number != PAID_NOT_BOOKED
    return {
        "transaction_id": f"T{number}", "order_no": number, "order_state": 2 if is_shipped else 1,
        "paid_amount_fen": amount_fen, "paid_at": _after(at, 51), "openid": f"o{number}",
        "first_shipped_upload_at": _after(at, 29400) if is_shipped else "",
    }  # fmt: skip


def _receipt(number: str, at: datetime, amount_fen: int) -> Row:
    return {
        "receipt_no": f"R{number}", "erp_order_no": f"E{number}", "order_no": number,
        "transaction_id": f"T{number}", "amount_fen": amount_fen,
        "received_at": _after(at, 3600),
    } | _made(at, 3600)  # fmt: skip


def _shipment(number: str, at: datetime) -> Row:
    return {
        "shipment_no": f"H{number}", "erp_order_no": f"E{number}", "state": "shipped",
        "shipped_at": _after(at, 28800),
    } | _made(at, 28800)  # fmt: skip


def _contact(number: str, at: datetime) -> Row:
    return {
        "contact_id": f"C{number}", "unionid": f"u{number}", "openid": f"o{number}",
        "updated_at": _after(at, 40),
    } | _made(at, 40)  # fmt: skip


def _made(at: datetime, seconds: int) -> Row:
    return {
        "created_at": _after(at, seconds),
        "created_by": "svc_bridge",
        "created_via": "interface",
    }


def _after(at: datetime, seconds: int) -> str:
    return (at + timedelta(seconds=seconds)).isoformat()
