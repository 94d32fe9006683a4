"""Delimited text and lines of text, as companies export them: strict about bytes and fields.

The whole file is read at once by Arrow. Only a file with something broken in it is walked line by
line, to set aside just the broken rows and say where they stood.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipeline.conform import PLACE
from pipeline.errors import BrokenContentError, PermanentSourceError
from pipeline.landing import Rejected
from pipeline.sources.columns import WantedColumns
from pipeline.sources.exported import (
    HEADER_WITHIN,
    as_meant,
    find_header,
    is_total,
    may_be_marked,
    without_totals,
)
from pipeline.sources.mapping import mask_people

# GB18030 reads whatever GBK, GB2312 and code page 936 wrote.
_WIDER = {"gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030", "utf-8": "utf-8-sig"}
# A record may hold line breaks, but must end within this many bytes.
LONGEST_RECORD = 1 << 24
_LONGEST_HEADER = 1 << 20
# In this order where the header does not tell.
DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";"}


@dataclass(frozen=True)
class FileRows:
    """What one file holds: the wanted columns as text and the place of each row.

    `totals_count` rows are not among them, for they sum others up.
    """

    rows: pa.Table
    rejected: tuple[Rejected, ...] = ()
    totals_count: int = 0


@dataclass(frozen=True)
class _Layout:
    """How one file is laid out: its column names, and the line below them."""

    name: str
    columns: list[str]
    delimiter: str
    first_line: int

    def place(self, line: int) -> str:
        return f"{self.name}:{line}"


def decode(content: bytes, encoding: str | None, name: str) -> tuple[str, list[Rejected]]:
    """The text of a file. A line that cannot be decoded is rejected and left empty.

    Without `encoding` the file is UTF-16 if a byte order mark says so, UTF-8 (with such a mark or
    without) if all of it is, else GB18030 if all of it is, else whichever leaves fewer lines
    broken. Nothing is ever replaced.
    """
    if not encoding and content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decode_utf16(content, name), []
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
            raw=mask_people(lines[number].decode(codec, "backslashreplace").strip("\r")),
        )
        for number, at in broken.items()
    ]
    sound = [b"" if number in broken else line for number, line in enumerate(lines)]
    return b"\n".join(sound).decode(codec), rejected


def _decode_utf16(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-16")
    except UnicodeDecodeError as error:
        raise BrokenContentError(
            f"{name}: its mark says UTF-16, and byte {error.start} is none",
            next_step="fetch or export the file again; nothing of it was landed",
        ) from error


def read_delimited(
    content: bytes,
    name: str,
    columns: WantedColumns,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    header_row: int | None = None,
) -> FileRows:
    """The wanted columns of delimited text as text, empty fields as null.

    Header and delimiter are found by the wanted names where they are not told. A row that cannot
    be decoded, or has another number of fields than the header, is rejected with its line; all
    others are read. Raises BrokenContentError where there is no header.
    """
    text, rejected = decode(content, encoding, name)
    if "\n" not in text:  # lines as old Macs end them
        text = text.replace("\r", "\n")
    layout, body = _find_layout(text, columns, name, delimiter, header_row)
    wanted = columns.among([column for column in layout.columns if column], name)
    refuse_repeated(name, layout.columns, wanted)
    read = _read_quickly(body, layout, wanted) or _read_record_by_record(body, layout, wanted)
    read = _set_totals_apart(read, body, layout, columns)
    return replace(
        read,
        rows=_without_empty_rows(read.rows, wanted),
        rejected=(*rejected, *read.rejected),
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


def _find_layout(
    text: str,
    columns: WantedColumns,
    name: str,
    delimiter: str | None,
    header_row: int | None,
) -> tuple[_Layout, str]:
    """The layout of a file and the text below its header."""
    csv.field_size_limit(LONGEST_RECORD)
    within = header_row or HEADER_WITHIN
    lines = [f"{line}\n" for line in text.split("\n", within)[:within]]
    candidates = [DELIMITERS[delimiter]] if delimiter else list(DELIMITERS.values())
    found = []
    for candidate in candidates:
        split = [_names(lines[start:], candidate)[0] for start in range(len(lines))]
        at = header_row - 1 if header_row else find_header(split, columns)
        borne = columns.count_borne(split[at]) if at < len(split) else 0
        found.append((at, candidate, borne))
    at, chosen, _ = max(found, key=lambda each: each[2])
    start = _start_of_line(text, at)
    header = io.StringIO(text[start : start + _LONGEST_HEADER], newline="\n")
    names, lines_count = _names(header, chosen)
    if not any(names):
        raise BrokenContentError(
            f"{name}: found no column names in line {at + 1}",
            next_step="check that the export ran to its end, and `header_row` in sources.yml",
        )
    layout = _Layout(name, names, chosen, first_line=at + 1 + lines_count)
    return layout, text[_start_of_line(text, lines_count, start) :]


def _start_of_line(text: str, number: int, start: int = 0) -> int:
    """Where the line begins that comes so many after `start`; the end where there are no more."""
    for _ in range(number):
        start = text.find("\n", start) + 1
        if not start:
            return len(text)
    return start


def _names(lines: Iterable[str], delimiter: str) -> tuple[list[str], int]:
    """The names of the first record, and how many lines it spans."""
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        names = [column.strip() for column in next(reader, [])]
    except csv.Error:  # no line of such a table
        return [], 1
    return names, reader.line_num


def refuse_repeated(name: str, columns: Sequence[str | None], wanted: Sequence[str]) -> None:
    """Raise PermanentSourceError where the header of the file `name` bears a wanted name twice."""
    repeated = [column for column in wanted if columns.count(column) > 1]
    if repeated:
        raise PermanentSourceError(
            f"{name}: column {', '.join(repeated)} found more than once, allowed: once each"
        )


def _set_totals_apart(
    read: FileRows, body: str, layout: _Layout, columns: WantedColumns
) -> FileRows:
    """The file without the lines that sum others up, whether they fit the header or not."""
    plain = read.rows.drop_columns([PLACE])
    plain = as_meant(plain, columns, is_marked=may_be_marked(body))
    rows = plain.append_column(PLACE, read.rows.column(PLACE))
    lines: list[str] = []

    def cells_of(position: int) -> list[str]:
        if not lines:
            lines.extend(body.split("\n"))
        line = int(rows.column(PLACE)[position].as_py().rpartition(":")[2])
        return _fields(lines[line - layout.first_line], layout.delimiter) or []

    kept, totals = without_totals(rows, columns, cells_of)
    rejected = [
        replace(row, raw=mask_people(row.raw))
        for row in read.rejected
        if not _is_short_total(row, layout)
    ]
    return FileRows(kept, tuple(rejected), totals + len(read.rejected) - len(rejected))


def _is_short_total(row: Rejected, layout: _Layout) -> bool:
    """A total that leaves out the fields it has nothing to say of: its first word tells it."""
    fields = _fields(row.raw, layout.delimiter) or []
    return len(fields) < len(layout.columns) and is_total(list(filter(None, fields))[:1])


def _read_quickly(body: str, layout: _Layout, wanted: list[str]) -> FileRows | None:
    """The file through Arrow; None where only reading record by record tells sound from broken."""
    if not body.strip("\r\n"):
        return FileRows(_no_rows(wanted))
    if body.count('"') % 2:  # a quote is left open: Arrow would swallow all that follows
        return None
    try:
        included = [str(layout.columns.index(column)) for column in wanted]
        rows, refused = _parse(body, included, layout)
        if any("\n" in row.text for row in refused):
            return None
        records = rows.num_rows + len(refused)
        breaks = np.zeros(records, dtype=np.int64)
        if records != body.count("\n") + (not body.endswith("\n")):
            every, _ = _parse(body, list(map(str, range(len(layout.columns)))), layout)
            breaks = _count_breaks(every, refused)
    except pa.ArrowInvalid:
        return None
    lines = layout.first_line + np.arange(records) + np.cumsum(breaks) - breaks
    is_sound = np.ones(records, dtype=bool)
    is_sound[[row.number - 1 for row in refused]] = False
    return FileRows(
        _placed(rows.rename_columns(wanted), lines[is_sound], layout.name),
        tuple(
            _refuse(row.text, row.actual_columns, layout, lines[row.number - 1])
            for row in refused
            if row.text.strip()
        ),
    )


def _parse(
    body: str, included: list[str], layout: _Layout
) -> tuple[pa.Table, list[pa.csv.InvalidRow]]:
    """The included columns, named by position, and the records of another width than the header."""
    refused: list[pa.csv.InvalidRow] = []

    def set_aside(row: pa.csv.InvalidRow) -> str:
        refused.append(row)
        return "skip"

    numbered = list(map(str, range(len(layout.columns))))
    rows = pa.csv.read_csv(
        io.BytesIO(body.encode()),
        # Records are numbered only where one thread reads them.
        read_options=pa.csv.ReadOptions(
            use_threads=False, column_names=numbered, block_size=LONGEST_RECORD
        ),
        parse_options=pa.csv.ParseOptions(
            delimiter=layout.delimiter,
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


def _read_record_by_record(body: str, layout: _Layout, wanted: list[str]) -> FileRows:
    """The sound records around broken ones; a record is as many lines as close its quotes."""
    lines = body.split("\n")
    kept: list[list[str]] = []
    numbers: list[int] = []
    rejected: list[Rejected] = []
    start = 0
    while start < len(lines):
        end = start + 1
        fields = _fields(lines[start], layout.delimiter)
        if fields is None:
            end = _closing_line(lines, start)
            fields = _fields("\n".join(lines[start:end]), layout.delimiter)
        if fields is None or len(fields) != len(layout.columns):
            # Only its first line is given up: what follows may be sound rows.
            end = start + 1
            fields = _fields(lines[start], layout.delimiter)
            if lines[start].strip():
                found = "a quote left open" if fields is None else len(fields)
                at = layout.first_line + start
                rejected.append(_refuse(lines[start], found, layout, at))
        else:
            kept.append(fields)
            numbers.append(layout.first_line + start)
        start = end
    columns = {
        column: pa.array([fields[at] or None for fields in kept], pa.string())
        for column in wanted
        for at in (layout.columns.index(column),)
    }
    placed = _placed(pa.table(columns), np.array(numbers, dtype=np.int64), layout.name)
    return FileRows(placed, tuple(rejected))


def _fields(record: str, delimiter: str) -> list[str] | None:
    """The fields of one record; None where a quote stays open or closes in mid-field."""
    try:
        return next(csv.reader([record.rstrip("\r")], strict=True, delimiter=delimiter), [])
    except csv.Error:
        return None


def _closing_line(lines: list[str], start: int) -> int:
    """The end (exclusive) of the lines that a quote opened in line `start` spans."""
    for end in range(start + 1, len(lines)):
        if lines[end].count('"') % 2:
            return end + 1
    return start + 1


def _refuse(text: str, found: int | str, layout: _Layout, line: int) -> Rejected:
    counted = found if isinstance(found, str) else f"{found} fields"
    return Rejected(
        place=layout.place(line),
        reason=f"found {counted}, allowed: {len(layout.columns)} fields, as in the header",
        raw=text.strip("\r"),
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
