"""The simulated company's sources.yml with its orders and receipts read from Tryton."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

TRYTON_URL = "SIMULATED_TRYTON_URL"
TRYTON_PASSWORD = "TRYTON_PASSWORD"  # noqa: S105 - the name of a variable
CONNECTION: dict[str, str] = {
    "base_url": "${" + TRYTON_URL + ":-http://127.0.0.1:8000}",
    "database": "tryton",
    "user": "admin",
    "password_env": TRYTON_PASSWORD,
}
MADE: dict[str, Any] = {"created_at": "create_date", "created_by": "create_uid.login"}
TABLES: dict[str, dict[str, Any]] = {
    "erp_orders": {
        "connector": "tryton",
        "connection": "tryton",
        "columns": {
            "erp_order_no": "number",
            "order_no": "reference",
            "channel": {"from": "description", "pattern": r"^\w+ (\w+)"},
            "business_line": {"from": "description", "pattern": r"^\w+"},
            "customer_code": {"from": "party.code", "pattern": r"^C\d+$"},
            "state": {
                "from": "state",
                "values": {
                    "draft": "draft", "quotation": "confirmed", "processing": "paid",
                    "cancelled": "cancelled",
                },
            },
            "ordered_at": "create_date",
            "updated_at": ["write_date", "create_date"],
            "amount_fen": {"from": "total_amount", "unit": "yuan"},
            "currency": "currency.code",
            "transaction_id": {"from": "description", "pattern": r"\d{28}"},
            **MADE,
        },
        "interface_actors": ["svc_miniprogram_bridge"],
    },
    "erp_receipts": {
        "connector": "tryton",
        "connection": "tryton",
        "columns": {
            "receipt_no": "record",
            "erp_order_no": "sale.number",
            "transaction_id": "reference",
            "amount_fen": {"from": "part", "unit": "yuan"},
            "received_at": "create_date",
            **MADE,
        },
        "object": "account.payment",
        "interface_actors": ["svc_payment_bridge"],
    },
}  # fmt: skip


def read_from_tryton(company_folder: Path) -> None:
    """Rewrite sources.yml: those two tables come from Tryton."""
    yaml, path = YAML(), company_folder / "sources.yml"
    written = yaml.load(path.read_text(encoding="utf-8"))
    written["connections"]["tryton"] = CONNECTION
    written["tables"].update(TABLES)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(written, file)
