"""A company whose tables are files in one folder, as the tests of dropped files open them."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl

from pipeline.company import Company, Connection, Sources, TableSource
from pipeline.landing import Extract
from pipeline.sources import open_source
from pipeline.sources.files import FileSource

FIRST_DAY = date(2026, 10, 1)


def make_company(folder: Path, tables: Mapping[str, Any], last_day: date | None = None) -> Company:
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
            connections={"exports": Connection(folder=folder)},
            tables={
                name: TableSource.model_validate(
                    {"connector": "files", "connection": "exports", **settings}
                )
                for name, settings in tables.items()
            },
        ),
        loops=[],
        owners={},
        costs=[],
        scenarios={},
        pilots={},
    )


def open_files(folder: Path, table: str, **settings: Any) -> FileSource:
    source = open_source(table, make_company(folder, {table: settings}))
    assert isinstance(source, FileSource)
    return source


def ids(extract: Extract, column: str = "contact_id") -> list[str]:
    return extract.rows.column(column).to_pylist()


def only(extracts: list[Extract]) -> Extract:
    assert len(extracts) == 1
    return extracts[0]


def write_workbook(path: Path, rows: list[list[Any]], *, merged: tuple[str, ...] = ()) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.title = "会员"
    for row in rows:
        sheet.append(row)
    for cells in merged:
        sheet.merge_cells(cells)
    workbook.save(path)
