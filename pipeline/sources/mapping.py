"""A system's own columns, units, state words and time zone, read as landed ones.

Rows come in as Arrow text under the system's names and leave under landed names, each bearing its
business day. What a column of the landed table may hold is judged later, by landing.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.company import Candidate, ColumnSource
from pipeline.conform import PLACE
from pipeline.engine import open_engine
from pipeline.landed import Column, LandedTable
from pipeline.landing import Rejected

DAY = "_day"
"""The column of mapped rows that bears their business day."""

DATED = "_dated"
"""Optional column of delivered rows: the instant that dates them, where the source words it."""

# Chinese mobile numbers, as they are typed: grouped or not, with or without the country code.
_MOBILE = re.compile(r"(?<!\d)((?:\+?86[- ]?)?1[3-9]\d)[- ]?\d{4}[- ]?\d{2}(\d{2})(?!\d)")
# Names and addresses are Chinese words, also where they are escaped; addresses of mail bear an @.
_OF_PEOPLE = re.compile(
    r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]+"
    r"|(?:\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2})+"
    r"|[^\s,;\"]+@[^\s,;\"]+"
)
_ALLOWED = {
    "yuan": "yuan with at most two decimals, such as 199.90",
    "fen": "whole fen, such as 19990",
    "seconds": "seconds since 1970-01-01 UTC",
    "milliseconds": "milliseconds since 1970-01-01 UTC",
    "iso": "an instant such as 2026-10-01 08:00:00",
    "day": "a day such as 2026-10-01",
}
# What messages call the field that says which rows land.
_ROWS = "rows"
_MICROSECONDS = {"seconds": 1_000_000, "milliseconds": 1_000}
# An epoch outside these years was written in another unit than the mapping says, and a business
# day outside them is a placeholder such as 9999-12-31.
_FIRST_INSTANT, _LAST_INSTANT = "1970-01-01", "2100-01-01"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Mapped:
    """Rows under landed names with their business day, and the rows that could not be mapped."""

    rows: pa.Table
    rejected: tuple[tuple[date, Rejected], ...] = ()
    latest: datetime | None = None
    """The greatest instant that dates a row; the end of its day where a day dates it."""
    skipped: Mapping[date, int] = field(default_factory=dict)
    """How many rows of each day were left out, as `rows` of the mapping says."""


def map_rows(
    rows: pa.Table,
    table: LandedTable,
    columns: Mapping[str, ColumnSource],
    *,
    time_zone: str,
    first_day: date,
    last_day: date | None = None,
    choosing: ColumnSource | None = None,
) -> Mapped:
    """Read the system's columns as landed ones; `columns` is landed name to where it comes from.

    Amounts in yuan become fen without a detour through floats, epochs and naive instants (meant in
    `time_zone`) become UTC, state words become landed words. A row with a value that cannot be
    read, or with a word that the mapping does not list, is rejected with what was found. Without
    `columns` the rows bear landed names already and pass as they are; only their day is read.
    Rows older than `first_day`, and rows without a readable instant, belong to `first_day`; rows
    after `last_day`, such as one with a mistyped year, to `last_day`: landed, and beyond judging.
    `choosing` says by the words of a field which rows land and which are left out.
    """
    is_mapped = bool(columns)
    fields = [
        _Field(table.column(name), source, is_mapped, time_zone)
        for name, source in (columns or _own_names(table, rows)).items()
    ]
    names = ", ".join(f'"{field.column.name}"' for field in fields)
    if choosing is not None:
        fields.append(_Field(Column(_ROWS, "text"), choosing, is_mapped, time_zone, True))
    with open_engine(time_zone=time_zone) as connection:
        connection.register("delivered", rows)
        connection.execute(_map_sql(fields, table, rows, (first_day, last_day)))
        (latest,) = connection.execute(
            f"select epoch_us(max(_instant)) from mapped where {_is_plausible('_instant')}"
        ).fetchall()[0]
        skipped = {} if choosing is None else _take_skipped(connection)
        fitting = connection.execute(
            f'select {names}, "{PLACE}", "{DAY}" from mapped'
            " where _reason is null order by _position"
        ).to_arrow_table()
        refused = connection.execute(
            f'select _position, "{PLACE}", _reason, "{DAY}" from mapped'
            " where _reason is not null order by _position"
        ).fetchall()
    rejected = tuple(_reject(rows, fields, table, *row) for row in refused)
    if latest is None:
        return Mapped(fitting, rejected, skipped=skipped)
    is_dated_by_day = table.column(table.day_of[0]).kind == "day"
    return Mapped(
        fitting,
        rejected,
        _EPOCH + timedelta(microseconds=latest) + timedelta(days=1 if is_dated_by_day else 0),
        skipped,
    )


def _take_skipped(connection: duckdb.DuckDBPyConnection) -> dict[date, int]:
    """Take what is to be left out from the mapped rows: how many there were of each day."""
    is_skipped = f"{_quote(_ROWS)} = 'skip'"
    counted = connection.execute(
        f'select "{DAY}", count(*) from mapped where {is_skipped} group by all'
    ).fetchall()
    connection.execute(f"delete from mapped where {is_skipped}")
    return dict(counted)


def split_days(
    mapped: Mapped, days: Sequence[date]
) -> Iterator[tuple[date, pa.Table, tuple[Rejected, ...]]]:
    """The rows and the rejected rows of each asked day, in order; a day without any is empty."""
    rows = mapped.rows.take(pc.sort_indices(mapped.rows, sort_keys=[(DAY, "ascending")]))
    counted = pc.value_counts(rows.column(DAY)).to_pylist()
    spans: dict[date, tuple[int, int]] = {}
    start = 0
    for entry in counted:  # one entry per day, in the order of the sorted rows
        spans[entry["values"]] = (start, entry["counts"])
        start += entry["counts"]
    rows = rows.drop_columns([DAY])
    rejected: dict[date, list[Rejected]] = {}
    for day, row in mapped.rejected:
        rejected.setdefault(day, []).append(row)
    for day in sorted(days):
        yield day, rows.slice(*spans.get(day, (0, 0))), tuple(rejected.get(day, ()))


def mask_phones(text: str) -> str:
    """The text with the middle digits of every mobile number struck out."""
    return _MOBILE.sub(r"\1******\2", text)


def mask_people(text: str) -> str:
    """Text whose columns nobody knows, without what may name or reach a person."""
    return mask_phones(_OF_PEOPLE.sub("…", text))


@dataclass(frozen=True)
class _Field:
    """One landed column and the SQL that reads it from the trimmed text of its source column."""

    column: Column
    source: ColumnSource
    is_mapped: bool
    time_zone: str
    is_needed: bool = False
    """Whether a row is refused that says nothing here."""

    @property
    def is_dated(self) -> bool:
        """Whether it is a day or an instant."""
        return self.column.kind in ("day", "instant")

    @property
    def text(self) -> str:
        """The name under which the source's text stands."""
        return self._own_text if self.choice_sql else _quote(self.source.fields[0])

    @property
    def _own_text(self) -> str:
        return f'"_text {self.column.name}"'

    @property
    def choice_sql(self) -> str | None:
        """SQL of the text, where more is to be done than to read one field as it is."""
        if self.source.value is not None:
            return _literal(self.source.value)
        candidates = self.source.candidates
        if self.has_own_words:
            said = ", ".join(map(_candidate_sql, candidates))
            return f"nullif(concat_ws('/', {said}), '')"
        if len(candidates) == 1 and candidates[0].pattern is None:
            return None
        return f"coalesce({', '.join(map(_candidate_sql, candidates))})"

    @property
    def has_own_words(self) -> bool:
        """Whether each field has words of its own: the first field that has one of them counts."""
        return any(candidate.values for candidate in self.source.candidates)

    @property
    def told_name(self) -> str:
        """The source's names, for messages."""
        if self.source.plus:
            return " + ".join(self.source.fields)
        return " or ".join(candidate.field for candidate in self.source.candidates) or "`value`"

    @property
    def told_words(self) -> str:
        """The words that the mapping lists, for messages."""
        if not self.has_own_words:
            return ", ".join(self.source.values)
        return "; ".join(f"{', '.join(of.values)} in {of.field}" for of in self.source.candidates)

    @property
    def reading(self) -> str:
        """How the text is read: a unit, `day`, `words`, or where landing reads it `text`, or
        `number` once the commas between its thousands are gone."""
        if self.source.value is not None:
            return "text"
        if self.source.values or self.has_own_words:
            return "words"
        if self.column.kind == "instant":
            return self.source.unit or "iso"
        if self.column.kind == "day":
            return "day"
        if self.source.unit == "yuan" or self.source.plus:
            return self.source.unit or "fen"
        is_number = self.column.kind in ("integer", "decimal", "number")
        return "number" if is_number and self.is_mapped else "text"

    @property
    def value(self) -> str:
        """The name under which the value, once read, stands: null where it could not be."""
        return self.text if self.reading == "text" else f'"_read {self.column.name}"'

    @property
    def reading_sql(self) -> str:
        """SQL that reads the value from the text."""
        reading = self.reading
        if reading == "words" and self.has_own_words:
            cases = (_words_sql(_candidate_sql(of), of.values) for of in self.source.candidates)
            return f"coalesce({', '.join(cases)})"
        if reading == "words":
            return _words_sql(self.text, self.source.values)
        if reading in ("yuan", "fen"):
            parts = " + ".join(
                f"case when {part} is null then 0 else {_fen(part, reading)} end"
                for part in self._parts
            )
            return f"case when coalesce({', '.join(self._parts)}) is not null then {parts} end"
        if reading == "number":
            return _without_commas(self.text)
        if reading == "day":
            digits = f"try_strptime({self.text}, '%Y%m%d')::date"
            return f"coalesce(try_cast({self.text} as date), {digits})"
        return _instant(self.text, reading)

    @property
    def _parts(self) -> list[str]:
        """The names of the texts that add up to an amount."""
        return [self.text, *map(_quote, self.source.plus)]

    @property
    def delivered(self) -> str:
        """SQL of what is handed on: landed names pass as they are, but for a zone of their own."""
        if self.is_mapped or (self.reading == "iso" and self.time_zone != "UTC"):
            return self.value if self.is_mapped else f"coalesce({self.value}::varchar, {self.text})"
        return self.text

    @property
    def refusal(self) -> str | None:
        """SQL of a `when` that words why the row is refused; None where nothing can be wrong."""
        if not self.is_mapped or self.reading in ("text", "number"):
            return None
        allowed = self.told_words if self.reading == "words" else _ALLOWED[self.reading]
        before, after = (
            f"{self.column.name}: found '",
            f"' in {self.told_name}, allowed: {allowed}",
        )
        found = self.text
        if self.source.plus:
            unreadable = (
                f"case when {_fen(part, self.reading)} is null then {part} end"
                for part in self._parts
            )
            found = f"coalesce({', '.join(unreadable)})"
        is_wrong = f"{self.value} is null"
        if not self.is_needed:
            is_wrong = f"{found} is not null and {is_wrong}"
        said = f"coalesce(left({found}, 60), '')"
        return f"when {is_wrong} then {_literal(before)} || {said} || {_literal(after)}"


def _own_names(table: LandedTable, rows: pa.Table) -> dict[str, ColumnSource]:
    return {
        column.name: ColumnSource.model_validate(column.name)
        for column in table.columns
        if column.name in rows.column_names
    }


def _map_sql(
    fields: Sequence[_Field], table: LandedTable, rows: pa.Table, span: tuple[date, date | None]
) -> str:
    sources = dict.fromkeys(name for field in fields for name in field.source.fields)
    if DATED in rows.column_names:
        sources[DATED] = None
    dated = {name for field in fields if field.is_dated for name in field.source.fields}
    said = "".join(f", {_said_sql(name, name in dated)} as {_quote(name)}" for name in sources)
    place = f'"{PLACE}"' if PLACE in rows.column_names else "null::varchar"
    chosen = "".join(
        f", {choice} as {field.text}" for field in fields if (choice := field.choice_sql)
    )
    read = "".join(
        f", {field.reading_sql} as {field.value}" for field in fields if field.reading != "text"
    )
    values = "".join(f', {field.delivered} as "{field.column.name}"' for field in fields)
    reasons = " ".join(refusal for field in fields if (refusal := field.refusal))
    first = f"date '{span[0]}'"
    day = f"greatest(timezone('Asia/Shanghai', _instant)::date, {first})"
    if span[1] is not None:
        day = f"least({day}, date '{span[1]}')"
    return f"""
        create temp table mapped as
        with said as (
            select row_number() over () - 1 as _position, {place} as "{PLACE}" {said}
            from delivered
        ),
        chosen as (select * {chosen} from said),
        read as (select * {read} from chosen),
        dated as (select *, {_dating_sql(fields, table, rows)} as _instant from read)
        select
            _position, "{PLACE}", _instant,
            {f"case {reasons} end" if reasons else "null::varchar"} as _reason,
            case when {_is_plausible("_instant")} then {day} else {first} end as "{DAY}"
            {values}
        from dated"""


def _dating_sql(fields: Sequence[_Field], table: LandedTable, rows: pa.Table) -> str:
    """SQL of the instant that gives a row its day: the first present of the `day_of` columns."""
    if DATED in rows.column_names:
        return _instant(f'"{DATED}"', "iso")
    by_name = {field.column.name: field for field in fields}
    dating = [by_name[name] for name in table.day_of if name in by_name]
    instants = [
        f"timezone('Asia/Shanghai', {field.value}::timestamp)"
        if field.column.kind == "day"
        else field.value
        for field in dating
    ]
    return f"coalesce({', '.join(instants)})" if instants else "null::timestamptz"


def _candidate_sql(candidate: Candidate) -> str:
    """SQL of the text of one field, or of what its pattern finds there."""
    text = _quote(candidate.field)
    if candidate.pattern is None:
        return text
    group = re.compile(candidate.pattern).groups
    found = f"regexp_extract({text}, {_literal(candidate.pattern)}, {group})"
    return f"nullif(trim({found}), '')"


def _said_sql(name: str, is_dated: bool) -> str:
    """SQL of a field's text; null where it is empty, or the day that systems write for none."""
    text = f"nullif(trim({_quote(name)}), '')"
    return f"case when {text} like '0000-00-00%' then null else {text} end" if is_dated else text


def _words_sql(text: str, words: Mapping[str, str]) -> str:
    cases = " ".join(
        f"when {_literal(word)} then {_literal(meaning)}" for word, meaning in words.items()
    )
    return f"case {text} {cases} end"


def _fen(text: str, unit: str) -> str:
    """SQL that reads an amount as fen; null where it cannot be read."""
    # 1,234.50 and ¥1234.50 are how exports for people write money.
    plain = (
        rf"case when regexp_matches({text}, '^[¥￥]?-?\d{{1,3}}(,\d{{3}})+(\.\d*)?$')"
        f" then translate({text}, ',¥￥', '') else ltrim({text}, '¥￥') end"
    )
    # Four decimals wash out what a float column added far behind the comma.
    fen = f"({_number(plain, 4)} * {100 if unit == 'yuan' else 1})"
    # DuckDB also reads 1_000 and 1e2, which nobody writes who means an amount.
    is_plain = rf"regexp_full_match({plain}, '[+-]?\d*\.?\d*')"
    return f"case when {is_plain} and {fen} = trunc({fen}) then try_cast({fen} as bigint) end"


def _without_commas(text: str) -> str:
    """SQL of a number as landing reads it: 1,234.50 is 1234.50, and all else stays as it is."""
    is_grouped = rf"regexp_matches({text}, '^-?\d{{1,3}}(,\d{{3}})+(\.\d*)?$')"
    return (
        f"case when contains({text}, ',') and {is_grouped}"
        f" then replace({text}, ',', '') else {text} end"
    )


def _is_plausible(instant: str) -> str:
    bounds = [f"timestamptz '{bound} 00:00:00+00'" for bound in (_FIRST_INSTANT, _LAST_INSTANT)]
    return f"({instant} >= {bounds[0]} and {instant} < {bounds[1]})"


def _instant(text: str, unit: str) -> str:
    if unit == "iso":
        return f"try_cast({text} as timestamptz)"
    epoch = f"try_cast({_number(text, 3)} * {_MICROSECONDS[unit]} as bigint)"
    first, last = (f"epoch_us(timestamp '{bound}')" for bound in (_FIRST_INSTANT, _LAST_INSTANT))
    is_plausible = f"{epoch} >= {first} and {epoch} < {last}"
    return f"timezone('UTC', make_timestamp(case when {is_plausible} then {epoch} end))"


def _number(text: str, decimals: int) -> str:
    """SQL of an exact number with room to multiply.

    Read in 18 digits first: DuckDB reads wider decimals from text a thousand times slower.
    """
    return f"try_cast({text} as decimal(18, {decimals}))::decimal(30, {decimals})"


def _reject(
    rows: pa.Table,
    fields: Sequence[_Field],
    table: LandedTable,
    position: int,
    place: str | None,
    reason: str,
    day: date,
) -> tuple[date, Rejected]:
    row = rows.slice(position, 1).to_pylist()[0]
    raw = {name: row[name] for of in fields for name in of.source.fields}
    found: dict[str, dict[str, None]] = {}
    for of in fields:
        for candidate in of.source.candidates:
            if candidate.pattern is not None and raw[candidate.field]:
                told = found_by(candidate.pattern, raw[candidate.field])
                found.setdefault(candidate.field, {}).update({told: None} if told else {})
    raw |= {name: " … ".join(["", *told, ""]).strip() or "…" for name, told in found.items()}
    raw |= {
        name: "***"
        for of in fields
        if of.column.is_hashed
        for name in of.source.fields
        if raw[name]
    }
    by_name = {of.column.name: of for of in fields}
    key = "/".join(
        str(next((raw[name] for name in by_name[part].source.fields if raw[name]), None))
        for part in table.key
        if part in by_name
    )
    written = json.dumps(
        {name: value for name, value in raw.items() if value not in (None, "")},
        ensure_ascii=False,
        default=str,
    )
    place = place or (f"key {key}" if key else f"row {position + 1}")
    return day, Rejected(
        place=mask_phones(place), reason=mask_phones(reason), raw=mask_phones(written)
    )


def found_by(pattern: str, text: str) -> str | None:
    """Of a remark, what a mapping looks for in it: who bought stands there, too."""
    found = re.search(pattern, text)
    return found[found.re.groups] if found else None


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
