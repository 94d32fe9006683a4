"""Rows as a connector delivers them, made to fit a landed table, or set aside with the reason.

Types, required columns, closed vocabularies, the keyed hash of phone numbers (blanked in free
text) and one row per key.
Knows nothing of files, batches or systems.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine import open_engine
from pipeline.landed import Column, LandedTable

PLACE = "_place"
"""Optional column of delivered rows: where a row stood in its source, such as `contacts.csv:17`."""

_IDENTIFIER = re.compile(r"(^scene$|^phone$|_no$|_id$|_code$|^unionid$|^openid$)")
# Not within a longer number: order numbers have more digits.
_MOBILE_NUMBER = r"(^|[^0-9])(?:86)?1[3-9][0-9]{9}([^0-9]|$)"
_SQL_TYPES = {
    "text": "varchar",
    "integer": "bigint",
    "decimal": "decimal(18, 4)",
    "number": "double",
    "instant": "timestamptz",
    "day": "date",
}
_ALLOWED = {
    "integer": "a whole number",
    "decimal": "a number",
    "number": "a number",
    "instant": "an ISO 8601 instant",
    "day": "an ISO 8601 day",
}


@dataclass(frozen=True)
class Rejected:
    """A row that does not fit, kept whole. `place` names file and line or the key."""

    place: str
    reason: str
    raw: str


@dataclass(frozen=True)
class Conformed:
    """The rows that fit, in the table's schema and sorted by key, and those that do not.

    `repeated` counts rows dropped because the same key came more than once: an exact replay, or an
    older version where the table has `updated_at`.
    """

    rows: pa.Table
    rejected: tuple[Rejected, ...]
    repeated: int


def conform(table: LandedTable, rows: pa.Table, *, hash_key: bytes) -> Conformed:
    """Fit delivered rows to a landed table.

    Text values are read as the column's kind: instants with or without a zone (none = UTC),
    "1234.0" as a whole number, empty text as null. Text is NFC-normalised.
    """
    return conform_all(table, [rows], hash_key=hash_key)[0]


def conform_all(
    table: LandedTable, deliveries: Sequence[pa.Table], *, hash_key: bytes
) -> list[Conformed]:
    """Fit several deliveries, each by itself, in one statement: many small days cost as one."""
    try:
        delivered = pa.concat_tables(
            [_marked(rows, number) for number, rows in enumerate(deliveries)],
            promote_options="permissive",
        )
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        # A column that is text on one day and a number on another: each day by itself.
        return [conform(table, rows, hash_key=hash_key) for rows in deliveries]
    if delivered.num_rows == 0:
        return [Conformed(table.schema.empty_table(), (), 0) for _ in deliveries]
    with open_engine() as engine:
        engine.register("delivered", delivered)
        engine.execute(_ranked_sql(table, delivered.schema))
        refused = engine.execute(
            "select _position, _delivery, _reason from ranked"
            " where _reason is not null order by _position"
        ).fetchall()
        fitting = engine.execute(_fitting_sql(table)).to_arrow_table()
        engine.unregister("delivered")
    rejected: dict[int, list[Rejected]] = {}
    for position, delivery, reason in refused:
        rejected.setdefault(delivery, []).append(_reject(table, delivered, position, reason))
    return [
        _conformed(table, rows, of_delivery, rejected.get(number, []), hash_key)
        for number, (rows, of_delivery) in enumerate(
            zip(deliveries, _split(fitting, len(deliveries)), strict=True)
        )
    ]


def _marked(rows: pa.Table, delivery: int) -> pa.Table:
    """Rows with their place in the source and the number of their delivery."""
    if PLACE not in rows.column_names:
        rows = rows.append_column(PLACE, pa.nulls(rows.num_rows, pa.string()))
    return rows.append_column("_delivery", pa.repeat(pa.scalar(delivery, pa.int32()), len(rows)))


def _split(fitting: pa.Table, deliveries: int) -> Iterator[pa.Table]:
    """The rows of each delivery; they come ordered by it."""
    counts = dict.fromkeys(range(deliveries), 0) | {
        counted["values"]: counted["counts"]
        for counted in pc.value_counts(fitting.column("_delivery")).to_pylist()
    }
    rows, start = fitting.drop_columns(["_delivery"]), 0
    for number in range(deliveries):
        yield rows.slice(start, counts[number])
        start += counts[number]


def _conformed(
    table: LandedTable,
    delivered: pa.Table,
    fitting: pa.Table,
    rejected: list[Rejected],
    hash_key: bytes,
) -> Conformed:
    rows = _hash_identifiers(table, fitting.cast(table.schema).combine_chunks(), hash_key)
    repeated = delivered.num_rows - len(rejected) - rows.num_rows
    return Conformed(rows=rows, rejected=tuple(rejected), repeated=repeated)


def hash_phone(phone: str, hash_key: bytes) -> str | None:
    """Keyed BLAKE2b of a phone number's digits, country code 86 left out; None where no digits."""
    digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", phone))
    digits = re.sub(r"^(00)?86(?=1\d{10}$)", "", digits)
    if not digits:
        return None
    return hashlib.blake2b(digits.encode(), key=hash_key[:64], digest_size=16).hexdigest()


def mask_raw(raw: dict[str, Any]) -> str:
    """A delivered row as JSON with phone numbers masked, for quarantine and messages."""
    return json.dumps(
        {
            name: "***" if value and _is_phone(name, raw) else value
            for name, value in raw.items()
            if name not in (PLACE, "_delivery") and value is not None
        },
        ensure_ascii=False,
        default=str,
    )


def _as_text(column: Column, kind: pa.DataType) -> str:
    """SQL for the delivered value as trimmed text, null where empty."""
    name = f'"{column.name}"'
    if pa.types.is_floating(kind) and column.kind in ("text", "integer"):
        whole = f"{name}::hugeint::varchar"
        name = f"case when {name} = trunc({name}) then {whole} else {name}::varchar end"
    text = f"nullif(trim(({name})::varchar), '')"
    if column.kind == "text":
        text = f"nfc_normalize({text})"
        if _IDENTIFIER.search(column.name):
            # A nullable whole number written through a float column of a data frame.
            text = rf"regexp_replace({text}, '^(\d+)\.0$', '\1')"
        if column.is_free_text:
            for _ in range(2):  # one sign may part two numbers, and is matched with the first
                text = rf"regexp_replace({text}, '{_MOBILE_NUMBER}', '\1***\2', 'g')"
    return text


def _value_sql(column: Column, kind: pa.DataType | None) -> tuple[str, str]:
    """SQL of the typed value and of the text it was read from."""
    target = _SQL_TYPES[column.kind]
    if kind is None:
        return f"null::{target}", "null::varchar"
    text = _as_text(column, kind)
    if column.kind == "text":
        return text, text
    if column.kind == "instant" and pa.types.is_timestamp(kind):
        name = f'"{column.name}"'
        return (name if kind.tz else f"timezone('UTC', {name})"), f"{name}::varchar"
    if column.kind == "integer":
        # A cast of "1234.6" to bigint rounds; one to a wide decimal takes a hundred times as long.
        number = f"try_cast({text} as decimal(18, 4))"
        whole = f"when regexp_full_match({text}, '[+-]?\\d+') then try_cast({text} as bigint)"
        return f"case {whole} when {number} = trunc({number}) then {number}::bigint end", text
    if column.kind == "instant":
        # ISO 8601 allows an instant to the minute, DuckDB does not.
        minute = r"'^(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2})(Z|[+-]\d{2}:?\d{2})?$'"
        return rf"try_cast(regexp_replace({text}, {minute}, '\1:00\2') as timestamptz)", text
    return f"try_cast({text} as {target})", text


def _ranked_sql(table: LandedTable, schema: pa.Schema) -> str:
    """Every delivered row as typed values, with the reason why it does not fit.

    The versions of a key are ranked: the newest `updated_at` first, else the first delivered. A
    row that bears the key of another, other content and nothing to choose by does not fit either.
    """
    values: list[str] = []
    reasons: list[str] = []
    for column in table.columns:
        position = schema.get_field_index(column.name)
        value, text = _value_sql(column, schema.field(position).type if position >= 0 else None)
        values.append(f'{value} as "{column.name}"')
        found = f"coalesce('''' || left({text}, 60) || '''', 'nothing')"
        reasons += [
            f"when {condition} then '{column.name}: found ' || {found} || ', allowed: {allowed}'"
            for condition, allowed in _misfits(column, value, text)
        ]
    reason = f"case {' '.join(reasons)} end" if reasons else "null::varchar"
    names = [column.name for column in table.columns]
    content = ", ".join(f'"{name}"' for name in names)
    key = ", ".join(f'"{part}"' for part in table.key)
    has_versions = "updated_at" in names
    order = "updated_at desc, _position" if has_versions else "_position"
    told = f"{'/'.join(table.key)}: found twice with different content, allowed: one row per key"
    differs = f"hash({content}) <> first(hash({content})) over versions"
    contradiction = "null" if has_versions else f"case when {differs} then '{told}' end"
    return f"""
        create or replace temp table ranked as
        with read as (
            select
                row_number() over () - 1 as _position,
                _delivery,
                {reason} as _misfit,
                {", ".join(values)}
            from delivered
        )
        select
            * exclude (_misfit),
            row_number() over versions as _version,
            coalesce(_misfit, {contradiction}) as _reason
        from read
        window versions as (partition by _delivery, (_misfit is null), {key} order by {order})"""


def _misfits(column: Column, value: str, text: str) -> list[tuple[str, str]]:
    """SQL conditions under which a value does not fit, each with what is allowed instead."""
    misfits = []
    if column.is_required:
        allowed = _ALLOWED.get(column.kind, "a value, the column is required")
        misfits.append((f"({value}) is null", allowed))
    elif column.kind != "text":
        misfits.append((f"({text}) is not null and ({value}) is null", _ALLOWED[column.kind]))
    if column.allowed:
        words = ", ".join(f"'{word}'" for word in column.allowed)
        misfits.append((f"({value}) not in ({words})", ", ".join(column.allowed)))
    return misfits


def _reject(table: LandedTable, delivered: pa.Table, position: int, reason: str) -> Rejected:
    raw = delivered.slice(position, 1).to_pylist()[0]
    key = "/".join(str(raw.get(part)) for part in table.key if raw.get(part) is not None)
    place = raw[PLACE] or (f"key {key}" if key else f"row {position + 1}")
    return Rejected(place=place, reason=reason, raw=mask_raw(raw))


def _fitting_sql(table: LandedTable) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    key = ", ".join(f'"{part}" nulls first' for part in table.key)
    return (
        f"select _delivery, {names} from ranked"
        f" where _version = 1 and _reason is null order by _delivery, {key}"
    )


def _is_phone(name: str, raw: dict[str, Any]) -> bool:
    """Whether a delivered value is a phone number: by its column, or by the kind beside it."""
    kind = raw.get(name.replace("_value", "_kind")) if name.endswith("_value") else None
    return "phone" in name.lower() or kind == "phone"


def _hash_identifiers(table: LandedTable, rows: pa.Table, hash_key: bytes) -> pa.Table:
    """Rows in which every phone number is its keyed hash."""
    for position, column in enumerate(table.columns):
        if column.is_hashed:
            values = _hash_phones(rows.column(position), hash_key)
        elif column.hashed_where_kind:
            is_phone = pc.equal(rows.column(column.hashed_where_kind), "phone")
            hashed = _hash_phones(rows.column(position), hash_key)
            values = pc.if_else(is_phone, hashed, rows.column(position))
        else:
            continue
        rows = rows.set_column(position, column.name, values)
    return rows


def _hash_phones(phones: pa.ChunkedArray, hash_key: bytes) -> pa.Array:
    encoded = phones.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    hashed = [
        hash_phone(phone, hash_key) if phone else None for phone in encoded.dictionary.to_pylist()
    ]
    dictionary = pa.array(hashed, pa.string())
    return dictionary.take(encoded.indices)
