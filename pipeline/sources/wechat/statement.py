"""What all statements of WeChat Pay share: envelope, lines, cells, amounts, summary. Opens no line.

A statement is UTF-8 text without quoting. Every value is prefixed by a backtick, so that values
part at ",`" and commas inside them are harmless. The last two lines are the summary. What a column
means stands in `bill.py` and `fund_flow.py`.
"""

import gzip
import hashlib
import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pipeline.errors import BrokenContentError
from pipeline.landing import Control, Rejected

GZIP_MAGIC = b"\x1f\x8b"
# The file itself, and a Content-Encoding around it where some host adds one.
LAYERS_MOST = 2
RUN_AGAIN = "run again: a fresh bill is asked for; if it repeats, ask WeChat Pay for the bill"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FEN_OF_YUAN = 100
ONE_FEN = Decimal("0.01")
_YUAN = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,5})?")
_COUNT = re.compile(r"[0-9]{1,12}(\.0+)?")
_PHONE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")


class UnreadableError(Exception):
    """A line that is not what its header promises; the text is the reason."""


@dataclass(frozen=True)
class Statement:
    """A statement that ties to its own summary; `rows` bear the names of the landed table."""

    rows: list[dict[str, Any]]
    rejected: tuple[Rejected, ...]
    control: Control


EMPTY = Statement(rows=[], rejected=(), control=Control(rows=0))


@dataclass(frozen=True)
class Lines:
    """The lines of a statement: `details` with the number that each has in the file."""

    header: bytes
    details: list[tuple[int, bytes]]
    summary_header: bytes
    summary: bytes


def unzip(data: bytes, *, name: str) -> list[bytes]:
    """The file and what is inside it, layer by layer. Raises BrokenContentError where it is cut."""
    layers = [data]
    while layers[-1].startswith(GZIP_MAGIC) and len(layers) <= LAYERS_MOST:
        try:
            layers.append(gzip.decompress(layers[-1]))
        except (EOFError, OSError, zlib.error) as error:
            size = len(layers[-1])
            found = f"the gzip file of {size} bytes is cut or damaged: {error}"
            raise broken(name, found) from error
    return layers


def unpack(data: bytes, sha1: str, *, name: str) -> bytes:
    """The statement's text. The declared SHA1 may be that of the file sent or of the text inside:
    old and new documentation differ. Raises BrokenContentError where it is neither."""
    layers = unzip(data, name=name)
    found = [hashlib.sha1(layer, usedforsecurity=False).hexdigest() for layer in layers]
    if sha1.strip().lower() not in found:
        raise broken(
            name,
            f"SHA1 declared {sha1[:40]}, found {' and, unzipped, '.join(found)}"
            f" over {len(data)} bytes",
        )
    return layers[-1]


def split_lines(text: bytes, *, name: str) -> Lines:
    """Part a text at its line ends, of either kind. Raises BrokenContentError where it is short."""
    lines = [
        (number, line.rstrip(b"\r"))
        for number, line in enumerate(text.removeprefix(BYTE_ORDER_MARK).split(b"\n"), start=1)
        if line.strip()
    ]
    if len(lines) < len(("header", "summary header", "summary")):
        raise broken(name, f"found {len(lines)} lines, allowed: header, rows and a summary of two")
    return Lines(lines[0][1], lines[1:-2], lines[-2][1], lines[-1][1])


def broken(name: str, found: str) -> BrokenContentError:
    return BrokenContentError(f"{name}: {found}", next_step=RUN_AGAIN)


def decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"found no UTF-8 at byte {error.start} of the line") from error


def read_names(line: bytes, today: Mapping[str, str]) -> list[str]:
    """Column names in today's words, without the remarks that some carry in parentheses."""
    names = [re.split("[(（]", cell.strip(" `"))[0] for cell in decode(line).split(",")]
    return [today.get(name, name) for name in names]


def read_header(
    line: bytes, required: Iterable[str], today: Mapping[str, str], *, name: str
) -> list[str]:
    """The column names of the rows. Raises BrokenContentError for one missing or coming twice."""
    try:
        header = read_names(line, today)
    except UnreadableError as error:
        raise broken(name, f"header: {error}") from error
    missing = [column for column in required if column not in header]
    if missing or len(set(header)) < len(header):
        raise broken(
            name,
            f"header: found {', '.join(header)[:400]};"
            f" missing {', '.join(missing) or 'nothing, but a name comes twice'}",
        )
    return header


def read_summary(
    lines: Lines,
    counts: Sequence[str],
    totals: Iterable[str],
    today: Mapping[str, str],
    *,
    name: str,
) -> dict[str, Decimal]:
    """The counts and totals that the summary has, by name; the first of `counts` must lead it.

    Raises BrokenContentError where it cannot be read, which is how a cut end shows.
    """
    first, totals = counts[0], list(totals)
    try:
        header = read_names(lines.summary_header, today)
        if header[0] != first:
            raise UnreadableError(f"found no {first}: the end is missing")
        cells = split_cells(lines.summary, header)
        for column in totals:
            if cells.get(column) == "":
                raise UnreadableError(f"{column}: found nothing, allowed: yuan such as 12.34")
        told = {column: _read_count(column, cells[column]) for column in counts if column in cells}
        return told | read_yuan(cells, totals)
    except UnreadableError as error:
        raise broken(name, f"summary: {error}") from error


def split_cells(line: bytes, header: list[str], verbatim: Collection[str] = ()) -> dict[str, str]:
    """The values of a line by name, without blanks around them but for those of `verbatim`."""
    text = decode(line)
    cells = text.removeprefix("`").split(",`")
    if not text.startswith("`") or len(cells) != len(header):
        raise UnreadableError(
            f"found {len(cells)} values, allowed: {len(header)}, each after a backtick"
        )
    return {
        name: cell if name in verbatim else cell.strip()
        for name, cell in zip(header, cells, strict=True)
    }


def read_yuan(cells: Mapping[str, str], columns: Iterable[str]) -> dict[str, Decimal]:
    """The amounts of a line in yuan; an empty or absent one is left out."""
    yuan = {}
    for column in columns:
        written = cells.get(column, "")
        if not written:
            continue
        if not _YUAN.fullmatch(written):
            raise UnreadableError(f"{column}: found '{written[:40]}', allowed: yuan such as 12.34")
        yuan[column] = Decimal(written)
    return yuan


def require_whole_fen(yuan: Mapping[str, Decimal], columns: Iterable[str]) -> None:
    for column in columns:
        if column in yuan and yuan[column] % ONE_FEN:
            raise UnreadableError(f"{column}: found '{yuan[column]}', allowed: whole fen")


def whole(yuan: Decimal | None, units: int) -> int | None:
    return None if yuan is None else int(yuan * units)


def read_time(written: str) -> datetime:
    """A Beijing wall-clock time; legacy bills write it with full-width colons."""
    try:
        beijing = datetime.strptime(f"{written.replace('：', ':')} +0800", "%Y-%m-%d %H:%M:%S %z")
        return beijing.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        allowed = "yyyy-MM-dd HH:mm:ss"
        raise UnreadableError(f"time: found '{written[:40]}', allowed: {allowed}") from error


def reject(place: str, reason: str, line: bytes) -> Rejected:
    return Rejected(place, reason, _PHONE.sub("***", line.decode("utf-8", errors="replace")))


def require_tie(name: str, column: str, declared: Decimal, found: Decimal) -> None:
    """A total holds to the fen: summaries have been seen with fewer decimals than the rows."""
    if abs(found - declared) >= ONE_FEN:
        told = f"the summary declares {column} {declared}, the rows sum to {found}"
        raise broken(name, told)


def require_count(name: str, column: str, declared: Decimal, found: int) -> None:
    if declared != found:
        raise broken(name, f"the summary declares {column} {declared}, found {found}")


def _read_count(column: str, written: str) -> Decimal:
    if not _COUNT.fullmatch(written):
        raise UnreadableError(f"{column}: found '{written[:20]}', allowed: a count")
    return Decimal(written)
