"""Worlds written to files the way different companies write them: a canonical drop folder."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from tests.oracle.company import COLUMNS, MutableRow
from tests.oracle.worlds import World

SHANGHAI = timezone(timedelta(hours=8))


@dataclass(frozen=True)
class Hand:
    """How a company writes its files.

    `zone` is the zone that instants are written in, None: UTC without saying so. `is_pandas`
    writes whole numbers of columns that hold absent ones with a trailing ".0". `in_parts` are
    tables written as a folder of files, `as_lines` as JSON lines. `phones` is how the CRM writes
    a number. `extra` is a column that no landed table knows.
    """

    zone: timezone | None = SHANGHAI
    is_pandas: bool = False
    has_bom: bool = False
    in_parts: tuple[str, ...] = ()
    as_lines: tuple[str, ...] = ()
    phones: str = "{}"
    extra: str | None = None


def write_drop(world: World, folder: Path, hand: Hand | None = None) -> None:
    """Write one file (or folder of files) per table, and `_manifest.csv` where one is given."""
    hand = hand or Hand()
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in world.rows.items():
        if table in hand.as_lines:
            _write_lines(folder / f"{table}.jsonl", [_written(r, hand) for r in rows])
        elif table in hand.in_parts:
            half = len(rows) // 2
            (folder / table).mkdir()
            _write_csv(folder / table / "part-1.csv", table, rows[:half], hand)
            _write_csv(folder / table / "part-2.csv", table, rows[half:], hand)
        else:
            _write_csv(folder / f"{table}.csv", table, rows, hand)
    if world.manifest:
        with (folder / "_manifest.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("table", "complete_until"))
            for table, until in world.manifest.items():
                writer.writerow((table, _instant(until, hand)))


def _write_csv(path: Path, table: str, rows: list[MutableRow], hand: Hand) -> None:
    columns = COLUMNS[table].split()
    floats = {
        name
        for name in columns
        if hand.is_pandas
        and any(r[name] is None for r in rows)
        and any(isinstance(r[name], int) for r in rows)
    }
    columns += [hand.extra] if hand.extra else []
    encoding = "utf-8-sig" if hand.has_bom else "utf-8"
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for each in rows:
            written = _written(_phones(table, each, hand), hand)
            for name in floats:
                written[name] = None if each[name] is None else f"{each[name]}.0"
            writer.writerow(written)


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = (json.dumps(each, ensure_ascii=False) for each in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _phones(table: str, each: MutableRow, hand: Hand) -> MutableRow:
    if table == "crm_contacts" and each["phone"] is not None:
        return each | {"phone": hand.phones.format(each["phone"])}
    return each


def _written(each: Mapping[str, Any], hand: Hand) -> dict[str, Any]:
    written = {
        name: _instant(value, hand) if isinstance(value, datetime) else value
        for name, value in each.items()
    }
    return written | ({hand.extra: "说明"} if hand.extra else {})


def _instant(at: datetime, hand: Hand) -> str:
    if hand.zone is None:
        return at.strftime("%Y-%m-%d %H:%M:%S")
    return at.astimezone(hand.zone).isoformat(sep="T")
