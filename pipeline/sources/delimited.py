"""Delimited text and lines of text, as companies export them: strict about bytes and fields.

The whole file is read at once by Arrow. Only a file with something broken in it is walked line by
line, to set aside just the broken rows and say where they stood.
"""

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipeline.conform import PLACE
from pipeline.errors import BrokenContentError, PermanentSourceError
from pipeline.landing import Rejected
from pipeline.sources.columns import WantedColumns
from pipeline.sources.mapping import mask_phones

# GB18030 reads whatever GBK, GB2312 and code page 936 wrote.
_WIDER = {"gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030", "utf-8": "utf-8-sig"}
# A record may hold line breaks, but must end within this many bytes.
LONGEST_RECORD = 1 << 24


@dataclass(frozen=True)
class FileRows:
    """What one file holds: the wanted columns as text and the place of each row."""

    rows: pa.Table
    rejected: tuple[Rejected, ...] = ()


def decode(content: bytes, encoding: str | None, name: str) -> tuple[str, list[Rejected]]:
    """The text of a file. A line that cannot be decoded is rejected and left empty.

    Without `encoding` the file is UTF-8 (with or without a byte order mark) if all of it is, else
    GB18030 if all of it is, else whichever leaves fewer lines broken. Nothing is ever replaced.
    """
    known = [_codec(encoding)] if encoding else ["utf-8-sig", "gb18030"]
    for codec in known:
        try:
            return content.decode(codec), []
        except UnicodeDecodeError:
            continue
    if not encoding and content.startswith(codecs.BOM_UTF8):
        known = ["utf-8-sig"]
    lines = content.split(b"\n")
    attempts = [(codec, _broken_lines(lines, codec)) for codec in known]
    codec, broken = min(attempts, key=lambda attempt: len(attempt[1]))
    if len(broken) == len([line for line in lines if line.strip()]):
        raise BrokenContentError(
            f"{name}: no line of it can be read as {_name(codec)}",
            next_step="set `encoding` of this table in sources.yml to what the file was written in",
        )
    rejected = [
        Rejected(
            place=f"{name}:{number + 1}",
            reason=f"found a byte that is not {_name(codec)} (0x{lines[number][at]:02x}, the"
            f" {at + 1}th of the line), allowed: {_name(codec)}",
            raw=mask_phones(lines[number].decode(codec, "backslashreplace").strip("\r")),
        )
        for number, at in broken.items()
    ]
    sound = [b"" if number in broken else line for number, line in enumerate(lines)]
    return b"\n".join(sound).decode(codec), rejected


def read_delimited(
    content: bytes,
    name: str,
    columns: WantedColumns,
    *,
    encoding: str | None = None,
    header_row: int = 1,
) -> FileRows:
    """The wanted columns of a comma-separated file as text, empty fields as null.

    A row that cannot be decoded, or has another number of fields than the header, is rejected with
    its line; all others are read. Raises BrokenContentError where there is no header.
    """
    text, rejected = decode(content, encoding, name)
    names, body, first_line = _cut_header(text, header_row, name)
    wanted = columns.among([column for column in names if column], name)
    rows = _read_quickly(body, names, wanted, first_line, name)
    if rows is None:
        rows = _read_record_by_record(body, names, wanted, first_line, name)
    return FileRows(
        _without_empty_rows(rows.rows, wanted),
        (*rejected, *rows.rejected),
    )


def place(name: str, lines: pa.Array) -> pa.Array:
    """Where rows stood: `name:line`."""
    return pc.binary_join_element_wise(name, lines.cast(pa.string()), ":")


def _codec(encoding: str) -> str:
    known = codecs.lookup(encoding).name
    return _WIDER.get(known, known)


def _name(codec: str) -> str:
    return codec.removesuffix("-sig").upper()


def _broken_lines(lines: list[bytes], codec: str) -> dict[int, int]:
    """Index of each line that cannot be decoded, and of its first bad byte."""
    broken = {}
    for number, line in enumerate(lines):
        try:
            line.decode(codec)
        except UnicodeDecodeError as error:
            broken[number] = error.start
    return broken


def _cut_header(text: str, header_row: int, name: str) -> tuple[list[str], str, int]:
    """The column names, the text below them and the line that it starts at."""
    start = 0
    for _ in range(header_row - 1):
        start = text.find("\n", start) + 1
        if not start:
            break
    stream = io.StringIO(text[start:] if start or header_row == 1 else "", newline="")
    reader = csv.reader(stream)
    names = [column.strip() for column in next(reader, [])]
    if not any(names):
        raise BrokenContentError(
            f"{name}: found no column names in line {header_row}",
            next_step="check that the export ran to its end, and `header_row` in sources.yml",
        )
    repeated = sorted({column for column in names if column and names.count(column) > 1})
    if repeated:
        raise PermanentSourceError(
            f"{name}: column {', '.join(repeated)} found more than once, allowed: once each"
        )
    return names, stream.read(), header_row + reader.line_num


def _read_quickly(
    body: str, names: list[str], wanted: list[str], first_line: int, name: str
) -> FileRows | None:
    """The file through Arrow; None where only reading record by record tells sound from broken."""
    if not body.strip("\r\n"):
        return FileRows(_no_rows(wanted))
    if body.count('"') % 2:  # a quote is left open: Arrow would swallow all that follows
        return None
    try:
        rows, refused = _parse(body, [str(names.index(column)) for column in wanted], len(names))
        if any("\n" in row.text for row in refused):
            return None
        records = rows.num_rows + len(refused)
        breaks = np.zeros(records, dtype=np.int64)
        if records != body.count("\n") + (not body.endswith("\n")):
            every, _ = _parse(body, [str(number) for number in range(len(names))], len(names))
            breaks = _count_breaks(every, refused)
    except pa.ArrowInvalid:
        return None
    lines = first_line + np.arange(records) + np.cumsum(breaks) - breaks
    is_sound = np.ones(records, dtype=bool)
    is_sound[[row.number - 1 for row in refused]] = False
    return FileRows(
        _placed(rows.rename_columns(wanted), lines[is_sound], name),
        tuple(
            _refuse(row.text, row.actual_columns, len(names), f"{name}:{lines[row.number - 1]}")
            for row in refused
            if row.text.strip()
        ),
    )


def _parse(body: str, included: list[str], count: int) -> tuple[pa.Table, list[pa.csv.InvalidRow]]:
    """The included columns, named by position, and the records of another width than `count`."""
    refused: list[pa.csv.InvalidRow] = []

    def set_aside(row: pa.csv.InvalidRow) -> str:
        refused.append(row)
        return "skip"

    numbered = [str(number) for number in range(count)]
    rows = pa.csv.read_csv(
        io.BytesIO(body.encode()),
        # Records are numbered only where one thread reads them.
        read_options=pa.csv.ReadOptions(
            use_threads=False, column_names=numbered, block_size=LONGEST_RECORD
        ),
        parse_options=pa.csv.ParseOptions(
            newlines_in_values='"' in body,
            ignore_empty_lines=False,
            invalid_row_handler=set_aside,
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(numbered, pa.string()),
            include_columns=included,
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    return rows, refused


def _count_breaks(rows: pa.Table, refused: list[pa.csv.InvalidRow]) -> np.ndarray:
    """Line breaks inside the fields of each record; a refused record here has none."""
    records = rows.num_rows + len(refused)
    is_sound = np.ones(records, dtype=bool)
    is_sound[[row.number - 1 for row in refused]] = False
    breaks = np.zeros(records, dtype=np.int64)
    for column in rows.columns:
        counted = pc.fill_null(pc.count_substring(column, "\n"), 0)
        breaks[is_sound] += counted.to_numpy()
    return breaks


def _read_record_by_record(
    body: str, names: list[str], wanted: list[str], first_line: int, name: str
) -> FileRows:
    """The sound records around broken ones; a record is as many lines as close its quotes."""
    csv.field_size_limit(LONGEST_RECORD)
    lines = body.split("\n")
    kept: list[list[str]] = []
    numbers: list[int] = []
    rejected: list[Rejected] = []
    start = 0
    while start < len(lines):
        end = start + 1
        fields = _fields(lines[start])
        if fields is None:
            end = _closing_line(lines, start)
            fields = _fields("\n".join(lines[start:end]))
        if fields is None or len(fields) != len(names):
            # Only its first line is given up: what follows may be sound rows.
            end = start + 1
            fields = _fields(lines[start])
            if lines[start].strip():
                found = "a quote left open" if fields is None else len(fields)
                at = f"{name}:{first_line + start}"
                rejected.append(_refuse(lines[start], found, len(names), at))
        else:
            kept.append(fields)
            numbers.append(first_line + start)
        start = end
    columns = {
        column: pa.array([fields[names.index(column)] or None for fields in kept], pa.string())
        for column in wanted
    }
    return FileRows(
        _placed(pa.table(columns), np.array(numbers, dtype=np.int64), name), tuple(rejected)
    )


def _fields(record: str) -> list[str] | None:
    """The fields of one record; None where a quote stays open or closes in mid-field."""
    try:
        return next(csv.reader([record.rstrip("\r")], strict=True), [])
    except csv.Error:
        return None


def _closing_line(lines: list[str], start: int) -> int:
    """The end (exclusive) of the lines that a quote opened in line `start` spans."""
    for end in range(start + 1, len(lines)):
        if lines[end].count('"') % 2:
            return end + 1
    return start + 1


def _refuse(text: str, found: int | str, allowed: int, at: str) -> Rejected:
    counted = found if isinstance(found, str) else f"{found} fields"
    return Rejected(
        place=at,
        reason=f"found {counted}, allowed: {allowed} fields, as in the header",
        raw=mask_phones(text.strip("\r")),
    )


def _placed(rows: pa.Table, lines: np.ndarray, name: str) -> pa.Table:
    return rows.append_column(PLACE, place(name, pa.array(lines, pa.int64())))


def _no_rows(wanted: Sequence[str]) -> pa.Table:
    return pa.table({column: pa.array([], pa.string()) for column in (*wanted, PLACE)})


def _without_empty_rows(rows: pa.Table, wanted: Sequence[str]) -> pa.Table:
    """Leave out blank lines and the rows of bare commas that spreadsheets write below a table."""
    if not wanted:
        return rows
    is_empty = None
    for column in wanted:
        is_null = pc.is_null(rows.column(column))
        is_empty = is_null if is_empty is None else pc.and_(is_empty, is_null)
    return rows.filter(pc.invert(is_empty))
