"""One file of any known format as rows of text with their place; the suffix names the format."""

import datetime as dt
import io
import json
from collections.abc import Sequence, Set
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, WorksheetNotFound

from pipeline.company import TableSource
from pipeline.company.mistakes import suggest
from pipeline.conform import PLACE
from pipeline.engine import open_engine
from pipeline.errors import BrokenContentError, PermanentSourceError
from pipeline.landing import Rejected
from pipeline.sources.archives import unpack
from pipeline.sources.columns import WantedColumns
from pipeline.sources.delimited import FileRows, decode, place, read_delimited, refuse_repeated
from pipeline.sources.exported import as_meant, find_header, without_totals
from pipeline.sources.mapping import mask_people

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xls": "xlsx",
    ".parquet": "parquet",
}
# A spreadsheet keeps 15 digits of a number: from here on what it shows is not what was typed.
_FIRST_INEXACT = 10**15
# Between two elements of an array stand no more blanks than this.
_LONGEST_GAP = 4096


def format_of(name: str) -> str | None:
    """The format that a file's suffix names, a trailing .gz left aside; None where unknown."""
    return FORMATS.get(PurePosixPath(name.lower().removesuffix(".gz")).suffix)


def is_known(path: Path) -> bool:
    """Whether the suffix of a file says how it is read."""
    return path.suffix.lower() == ".zip" or format_of(path.name) is not None


def read_file(path: Path, name: str, columns: WantedColumns, settings: TableSource) -> FileRows:
    """The wanted columns of one file. `name` stands for the file in messages.

    Broken rows are rejected one by one. Raises NotReadyError where the file is still written to,
    BrokenContentError where it as a whole is not what its name says, PermanentSourceError where it
    lacks a column or its format is unknown.
    """
    parts = [
        _read_content(content, member, columns, settings)
        for member, content in unpack(path, name, settings.members)
    ]
    return FileRows(
        pa.concat_tables([part.rows for part in parts], promote_options="default"),
        tuple(row for part in parts for row in part.rejected),
        sum(part.totals_count for part in parts),
    )


def _read_content(
    content: bytes, name: str, columns: WantedColumns, settings: TableSource
) -> FileRows:
    known = settings.format or format_of(name)
    if known is None:
        suffix = PurePosixPath(name).suffix
        raise PermanentSourceError(
            f"{name}: found the suffix '{suffix}', {suggest(suffix, FORMATS)}",
            next_step="set `format` of this table in sources.yml",
        )
    if known == "csv":
        return read_delimited(
            content,
            name,
            columns,
            encoding=settings.encoding,
            delimiter=settings.delimiter,
            header_row=settings.header_row,
        )
    if known == "jsonl":
        return _read_json(content, name, columns, settings.encoding)
    if known == "xlsx":
        return _read_sheet(content, name, columns, settings)
    return _read_parquet(content, name, columns)


def _read_json(content: bytes, name: str, columns: WantedColumns, encoding: str | None) -> FileRows:
    """One JSON object a line, or an array of them. `a.b` names `b` of the object under `a`."""
    text, rejected = decode(content, encoding or "utf-8", name)
    objects = _elements(text, name) if text.lstrip().startswith("[") else text.split("\n")
    lines = pa.table({"line": pa.array(objects, pa.string())})
    paths = [_json_path(column) for column in columns.names]
    with open_engine() as connection:
        connection.register("lines", lines)
        connection.execute("""
            create temp table objects as
            select
                number, line,
                coalesce(json_type(try_cast(line as json)) = 'OBJECT', false) as is_sound
            from (select row_number() over () as number, line from lines)
            where trim(line, chr(9) || chr(13) || ' ') <> ''""")
        broken = connection.execute(
            "select number, line from objects where not is_sound order by number"
        ).fetchall()
        keys = connection.execute("""
            select distinct unnest(json_keys(line))
            from (select line from objects where is_sound limit 1000)""").fetchall()
        values = ", ".join(f"found[{at}] as c{at}" for at in range(1, len(paths) + 1))
        # The paths stand as literals and the list is kept: else every value parses its line again.
        connection.execute(f"""
            create temp table read as
            select number, json_extract_string(line, [{", ".join(paths)}]) as found
            from objects where is_sound""")
        rows = connection.execute(
            f"select {values}, number from read order by number"
        ).to_arrow_table()
    if rows.num_rows:
        found = {key for (key,) in keys} | {
            column
            for at, column in enumerate(columns.names)
            if rows.column(at).null_count < rows.num_rows
        }
        columns.require(columns.required, sorted(found), name)
        columns.tell_ignored(sorted({key for (key,) in keys}), name)
    places = place(name, rows.column("number"))
    rows = rows.drop_columns(["number"]).rename_columns(columns.names).append_column(PLACE, places)
    rejected += [
        Rejected(
            f"{name}:{number}", "found broken JSON, allowed: one object a line", mask_people(line)
        )
        for number, line in broken
    ]
    return FileRows(rows, tuple(rejected))


def _elements(text: str, name: str) -> list[str]:
    """The elements of a JSON array as they are written: no number loses a digit."""
    decoder = json.JSONDecoder()
    elements = []
    at = text.index("[") + 1
    try:
        while not (rest := text[at : at + _LONGEST_GAP].lstrip(" \t\r\n,")).startswith("]"):
            at += len(text[at : at + _LONGEST_GAP]) - len(rest)
            _, end = decoder.raw_decode(text, at)
            elements.append(text[at:end])
            at = end
    except (json.JSONDecodeError, RecursionError) as error:
        raise BrokenContentError(
            f"{name}: the JSON array is broken or cut short after {len(elements)} elements",
            next_step="fetch or export the file again; nothing of it was landed",
        ) from error
    return elements


def _json_path(column: str) -> str:
    """SQL literal of the path to `a.b`."""
    path = "$" + "".join(f'."{part}"' for part in column.split("."))
    return "'" + path.replace("'", "''") + "'"


def _read_sheet(
    content: bytes, name: str, columns: WantedColumns, settings: TableSource
) -> FileRows:
    """One sheet of a workbook, the first unless `sheet` names another."""
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheet = (
            workbook.get_sheet_by_name(settings.sheet)
            if settings.sheet
            else workbook.get_sheet_by_index(0)
        )
        cells = sheet.to_python(skip_empty_area=False)
    except WorksheetNotFound:
        raise PermanentSourceError(
            f"{name}: found no sheet '{settings.sheet}', "
            f"{suggest(settings.sheet or '', workbook.sheet_names)}"
        ) from None
    except CalamineError as error:
        raise BrokenContentError(
            f"{name}: cannot be opened as a workbook ({error})",
            next_step="open it in a spreadsheet program and save it again without a password",
        ) from error
    texts = [[_cell_text(cell) for cell in row] for row in _unmerged(cells, sheet)]
    above = settings.header_row - 1 if settings.header_row else find_header(texts, columns)
    names = texts[above] if above < len(texts) else []
    wanted = columns.among([column for column in names if column], name)
    refuse_repeated(name, names, wanted)
    _take_back_amounts(texts, above, wanted, columns.amounts, sheet)
    below = [(number, row) for number, row in enumerate(texts[above + 1 :], above + 2) if any(row)]
    read = {
        column: pa.array([row[at] for _, row in below], pa.string())
        for column in wanted
        for at in (names.index(column),)
    }
    numbers = pa.array([number for number, _ in below], pa.int64())
    rows = as_meant(pa.table(read), columns).append_column(PLACE, place(name, numbers))
    rows, totals = without_totals(rows, columns, lambda position: below[position][1])
    return FileRows(rows, totals_count=totals)


def _unmerged(cells: list[list[Any]], sheet: CalamineSheet) -> list[list[Any]]:
    """The cells of a sheet, with what is merged over several rows in each of them.

    An order is often written once beside its lines, and a column's name beside a group of others.
    """
    for (top, column), (bottom, _) in sheet.merged_cell_ranges or ():
        for row in cells[top + 1 : bottom + 1]:
            if column < len(row):  # a merged area may reach beyond the last cell that is filled
                row[column] = cells[top][column]
    return cells


def _take_back_amounts(
    texts: list[list[str | None]],
    above: int,
    wanted: Sequence[str],
    amounts: Set[str],
    sheet: CalamineSheet,
) -> None:
    """Leave out an amount that is merged over several rows below the header, unless they are all
    one record: whose it is nobody can tell, and rows that need one are refused."""
    names = texts[above] if above < len(texts) else []
    others = [at for at, name in enumerate(names) if name in wanted and name not in amounts]
    for (top, column), (bottom, _) in sheet.merged_cell_ranges or ():
        if top <= above or column >= len(names) or names[column] not in amounts:
            continue
        told = {tuple(row[at] for at in others) for row in texts[top : bottom + 1]}
        if len(told) > 1:
            for row in texts[top : bottom + 1]:
                row[column] = None


def _cell_text(cell: object) -> str | None:
    """A cell as its text would read in a plain export; null where empty.

    A whole number too long for a spreadsheet keeps the mark that digits are lost, as in 4.2E+27.
    """
    if isinstance(cell, str):
        return cell.strip() or None
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell)) if abs(cell) < _FIRST_INEXACT else f"{cell:.14E}"
    if isinstance(cell, dt.datetime | dt.date | dt.time):
        return cell.isoformat()
    return str(cell)


def _read_parquet(content: bytes, name: str, columns: WantedColumns) -> FileRows:
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        wanted = columns.among(file.schema_arrow.names, name)
        rows = file.read(columns=wanted)
    except (pa.ArrowInvalid, OSError) as error:
        raise BrokenContentError(
            f"{name}: cannot be read as Parquet ({str(error).splitlines()[0]})",
            next_step="fetch or export the file again; nothing of it was landed",
        ) from error
    numbers = pa.array(range(1, rows.num_rows + 1), pa.int64())
    return FileRows(_as_text(rows).append_column(PLACE, place(name, numbers)))


def _as_text(rows: pa.Table) -> pa.Table:
    """Typed columns as the text that a plain export would hold, instants with a zone in UTC."""
    said = []
    for field in rows.schema:
        quoted = '"' + field.name.replace('"', '""') + '"'
        text = f"{quoted}::varchar"
        if pa.types.is_floating(field.type):
            # A nullable whole number becomes a float in a data frame: 1234.0 is 1234.
            whole = f"coalesce(try_cast({quoted} as bigint)::varchar, {text})"
            text = f"case when {quoted} = trunc({quoted}) then {whole} else {text} end"
        said.append(f"{text} as {quoted}")
    if not said:
        return rows
    with open_engine() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("delivered", rows)
        return connection.execute(f"select {', '.join(said)} from delivered").to_arrow_table()
