"""A company whose ERP is one database, and what a daily run lands of it."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pipeline.company import Company, Connection, Sources, TableSource
from pipeline.defs.landing import choose_days, land_days
from pipeline.landing import Batch, Landing
from pipeline.sources import Source, open_source
from pipeline.sources.sql import SqlSource

FIRST_DAY = date(2026, 10, 1)
DAYS = [FIRST_DAY + timedelta(days=count) for count in range(3)]
ORDERS: dict[str, Any] = {
    "table": "t_sal_order",
    "changed_column": "FMODIFYDATE",
    "time_zone": "Asia/Shanghai",
    "columns": {
        "erp_order_no": "FBILLNO",
        "order_no": "FTHIRDBILLNO",
        "phone": "FLINKPHONE",
        "state": {"from": "FSTATUS", "values": {"A": "draft", "C": "paid"}},
        "ordered_at": "FDATE",
        "created_at": "FDATE",
        "updated_at": "FMODIFYDATE",
        "amount_fen": {"from": "FAMOUNT", "unit": "yuan"},
    },
}
ORDER_ROWS: list[tuple[Any, ...]] = [
    ("S0", None, None, "A", "2026-09-01 08:00:00", "2026-09-01 08:00:00", "0.10"),
    ("S1", "O1", "13800138000", "C", "2026-10-01 23:59:59", "2026-10-01 23:59:59", "199.99"),
    ("S2", "O2", None, "C", "2026-10-02 00:00:00", "2026-10-02 00:00:01", "12345678901.23"),
    ("S3", "", None, "C", "2026-10-03 09:30:00.5", "2026-10-03 09:30:00", "7.00"),
]


def order_table(instant: str, amount: str, *, rows: Iterable[tuple[Any, ...]] = ORDER_ROWS) -> str:
    """SQL that makes the table of orders with such types of column."""
    values = ", ".join(
        "(" + ", ".join("null" if value is None else f"'{value}'" for value in row) + ")"
        for row in rows
    )
    return (
        "create table t_sal_order (FBILLNO varchar(40), FTHIRDBILLNO varchar(40),"
        f" FLINKPHONE varchar(20), FSTATUS char(1), FDATE {instant}, FMODIFYDATE {instant} null,"
        f" FAMOUNT {amount});" + (f"insert into t_sal_order values {values};" if values else "")
    )


def make_company(
    folder: Path,
    tables: Mapping[str, Mapping[str, Any]],
    *,
    url: str = "sqlite:///erp.sqlite",
    last_day: date | None = DAYS[-1],
) -> Company:
    return Company(
        folder=folder,
        name="test",
        time_zone="Asia/Shanghai",
        currency="CNY",
        first_day=FIRST_DAY,
        last_day=last_day,
        data=folder / "data",
        retention_days=1095,
        hash_key_env="BIHUAN_HASH_KEY",
        alerts={"channels": ()},
        sources=Sources(
            connections={"erp": Connection(url=url)},
            tables={
                name: TableSource.model_validate({"connector": "sql", "connection": "erp", **table})
                for name, table in tables.items()
            },
        ),
        loops=[],
        owners={},
        costs=[],
        scenarios={},
        pilots={},
    )


def open_orders(
    folder: Path,
    *,
    url: str = "sqlite:///erp.sqlite",
    last_day: date | None = DAYS[-1],
    **changed: Any,
) -> SqlSource:
    company = make_company(folder, {"erp_orders": ORDERS | changed}, url=url, last_day=last_day)
    source = open_source("erp_orders", company)
    assert isinstance(source, SqlSource)
    return source


def landing_in(folder: Path) -> Landing:
    return Landing(folder / "landing", hash_key=b"0123456789abcdef")


def catch_up(folder: Path, source: Source) -> list[Batch]:
    """What a daily run lands: the days that are missing, changed or of another count."""
    landing = landing_in(folder)
    chosen = choose_days(
        source, landing, [DAYS[-1]], first_day=FIRST_DAY, trailing_days=0, catch_up=True
    )
    return list(land_days(source, landing, chosen))


def landed(folder: Path, table: str = "erp_orders") -> dict[date, tuple[int, int]]:
    """Rows and fen of each landed day."""
    return {
        batch.day: (batch.rows, batch.sums["amount_fen"])
        for batch in landing_in(folder).batches(table)
    }
