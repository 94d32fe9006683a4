"""What exports for people add to their rows: titles above, totals below, a spreadsheet's own marks.

How a format is read is the concern of `formats` and `delimited`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.sources.columns import WantedColumns

# A title, the span of the export and who made it stand above a header: no more rows than this.
HEADER_WITHIN = 30
# 合计, 本页小计：, 总计(3笔). RE2 and Python read it alike.
TOTAL = r"^[\s　]*(本页|当页|本期|本月)?(合\s*计|总\s*计|小\s*计|共\s*计)[\s　]*([:：（(\d].*)?$"
_TOTAL = re.compile(TOTAL)
# '4200…, `4200…, ="4200…" and a tab keep a spreadsheet from reading a number.
_MARKED = r"^[\s'`=]|\s$"
_MARKS = r"^\s*(?:=\"(.*)\"|['`]?(.*?))\s*$"
# A day as a spreadsheet counts it, from 1927 to 2173, and its part of a day.
_SERIAL = re.compile(r"[1-9]\d{4}(\.\d+)?")
_CHINESE_DAY = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日\s*(.*)")
_FIRST_SERIAL = datetime(1899, 12, 30)  # noqa: DTZ001  a spreadsheet knows no zone
_MILLISECONDS_OF_DAY = 86_400_000


def find_header(rows: Sequence[Sequence[str | None]], columns: WantedColumns) -> int:
    """The position of the row that bears most of the wanted names, the first of equals."""
    within = rows[:HEADER_WITHIN]
    return max(range(len(within)), key=lambda at: columns.count_borne(within[at]), default=0)


def is_total(cells: Iterable[str | None]) -> bool:
    """Whether a row says of itself that it sums others up."""
    return any(_TOTAL.match(cell) for cell in cells if cell)


def without_totals(
    rows: pa.Table, columns: WantedColumns, cells_of: Callable[[int], Iterable[str | None]]
) -> tuple[pa.Table, int]:
    """The rows without those that sum others up, and how many these are.

    Such a row lacks a part of its key, or says 合计 in its place; `cells_of` gives all cells of
    the row at a position. Other rows without a key stay, for landing to set aside.
    """
    suspect = _lacks_key(rows, columns.key_parts)
    if suspect is None or not pc.any(suspect).as_py():
        return rows, 0
    positions = pc.indices_nonzero(suspect).to_pylist()
    totals = {position for position in positions if is_total(cells_of(position))}
    if not totals:
        return rows, 0
    kept = [position for position in range(rows.num_rows) if position not in totals]
    return rows.take(pa.array(kept, pa.int64())), len(totals)


def _lacks_key(rows: pa.Table, parts: Sequence[Sequence[str]]) -> pa.ChunkedArray | None:
    """Whether each row lacks a part of its key, or bears the word for a total there."""
    lacks = None
    for part in parts:
        fields = [rows.column(name) for name in part if name in rows.column_names]
        if not fields:
            continue
        text = pc.coalesce(*fields)
        is_word = pc.fill_null(pc.match_substring_regex(text, TOTAL), True)
        lacks = is_word if lacks is None else pc.or_(lacks, is_word)
    return lacks


def may_be_marked(text: str) -> bool:
    """Whether any mark of a spreadsheet is in a text at all: most exports are spared the search."""
    return any(mark in text for mark in ("'", "`", '="', "\t"))


def as_meant(rows: pa.Table, columns: WantedColumns, *, is_marked: bool = True) -> pa.Table:
    """The rows without a spreadsheet's marks around texts, its days written as days."""
    for position, name in enumerate(rows.column_names):
        column = _unmarked(rows.column(position)) if is_marked else rows.column(position)
        if name in columns.dates:
            column = _dated(column)
        rows = rows.set_column(position, name, column)
    return rows


def _unmarked(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pc.any(pc.match_substring_regex(texts, _MARKED)).as_py():
        return texts
    plain = pc.replace_substring_regex(texts, _MARKS, r"\1\2")
    return pc.if_else(pc.equal(plain, ""), pa.scalar(None, pa.string()), plain)


def _dated(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days that a spreadsheet shows as 46023.5 or 2026年1月1日, as ISO 8601 writes them."""
    encoded = texts.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    read = [text and _read_day(text) for text in encoded.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(read, pa.string()).take(encoded.indices)])


def _read_day(text: str) -> str:
    if _SERIAL.fullmatch(text):
        milliseconds = round(float(text) * _MILLISECONDS_OF_DAY)
        return (_FIRST_SERIAL + timedelta(milliseconds=milliseconds)).isoformat(" ")
    if said := _CHINESE_DAY.fullmatch(text):
        year, month, day, time = said.groups()
        return f"{year}-{month:0>2}-{day:0>2} {time}".rstrip()
    return text
