"""What a mapping makes of a few live rows, told to people before anything lands, and so masked."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.company import TableSource
from pipeline.conform import Rejected, conform
from pipeline.landed import Column, LandedTable
from pipeline.landing import SHANGHAI
from pipeline.sources import Sampled
from pipeline.sources.mapping import DAY, mask_phones

SAMPLED_ROWS = 200
SHOWN_ROWS = 5
SHOWN_REFUSALS = 10
# The numbers by which the legs of a case find each other.
JOINING = ("order_no", "transaction_id")
_IDENTIFIER = re.compile(r"(_no|_id|_code|^openid|^unionid|^phone)$")
_OF_A_PERSON = re.compile(r"^(openid|unionid|member_no|phone|left_value|right_value)$")
# Words of a business, which say nothing of a person. All other free text is struck out.
_WORDS = re.compile(r"(^|_)(state|kind|status|type|event|channel|currency|business_line|node|sku)$")
_SHOWN_OF_A_PERSON = 4


@dataclass(frozen=True)
class Looked:
    """What was found in a sample. Nothing in it identifies a person."""

    rows_count: int
    shown: tuple[str, ...]
    """The first rows that fit, a column and its value after the other."""
    present: Mapping[str, int]
    """Identifier column that a row need not have, to how many of the rows have one."""
    not_mapped: tuple[str, ...]
    """Numbers that join cases, of which the mapping says nothing."""
    by_interface_count: int | None
    """How many were made through an interface; None where the rows do not say by whom."""
    refusals: Mapping[str, int]
    """Reason to how many rows were refused for it, such as a state word that is not listed."""

    @property
    def never_present(self) -> list[str]:
        """The joining numbers that are mapped, and that no row has."""
        return [name for name in JOINING if self.rows_count and self.present.get(name) == 0]


def look_into(
    source: Sampled, table: LandedTable, settings: TableSource, *, hash_key: bytes | None
) -> Looked | None:
    """Map and fit some rows as landing will, and mask what is shown of them; None if unmapped.

    Without a hashing key phones are struck out. Raises subclasses of SourceError.
    """
    mapped = source.sample(SAMPLED_ROWS)
    if mapped is None:
        return None
    rows = mapped.rows.drop_columns([DAY]) if DAY in mapped.rows.column_names else mapped.rows
    fitted = conform(table, rows, hash_key=hash_key or b"")
    shown = fitted.rows.slice(0, SHOWN_ROWS).to_pylist()
    told = settings.columns or dict.fromkeys(table.schema.names)
    refused: list[Rejected] = [*(row for _, row in mapped.rejected), *fitted.rejected]
    return Looked(
        rows_count=fitted.rows.num_rows,
        shown=tuple(_tell(row, table, is_hashed=hash_key is not None) for row in shown),
        present={
            column.name: fitted.rows.num_rows - fitted.rows.column(column.name).null_count
            for column in table.columns
            if _IDENTIFIER.search(column.name) and column.name in told and not column.is_required
        },
        not_mapped=tuple(
            name for name in JOINING if name in table.schema.names and name not in told
        ),
        by_interface_count=_count_by_interface(fitted.rows, settings.interface_actors, told),
        refusals=Counter(mask_phones(row.reason) for row in refused),
    )


def describe(looked: Looked) -> Iterator[str]:
    """The lines that tell a sample."""
    yield from looked.shown
    for name, count in looked.present.items():
        yield f"{name}: {count} of {looked.rows_count} rows have one"
    for name in looked.not_mapped:
        yield f"{name}: not mapped"
    if looked.by_interface_count is not None:
        yield f"made through an interface: {looked.by_interface_count} of {looked.rows_count} rows"
    commonest = sorted(looked.refusals.items(), key=lambda refusal: (-refusal[1], refusal[0]))
    for reason, count in commonest[:SHOWN_REFUSALS]:
        yield f"refused, {count} rows: {reason}"
    if len(commonest) > SHOWN_REFUSALS:
        yield f"refused for {len(commonest) - SHOWN_REFUSALS} other reasons"


def _count_by_interface(
    rows: pa.Table, actors: Sequence[str], told: Mapping[str, object]
) -> int | None:
    if not {"created_by", "created_via"} & set(told) & set(rows.column_names):
        return None
    is_actor = pc.is_in(rows.column("created_by"), pa.array(list(actors), pa.string()))
    is_interface = pc.fill_null(pc.equal(rows.column("created_via"), "interface"), False)
    return int(pc.sum(pc.or_(is_actor, is_interface)).as_py() or 0)


def _tell(row: Mapping[str, object], table: LandedTable, *, is_hashed: bool) -> str:
    said = [
        f"{column.name} {_masked(column, value, row, is_hashed=is_hashed)}"
        for column in table.columns
        if (value := row[column.name]) is not None
    ]
    return " · ".join(said)


def _masked(column: Column, value: object, row: Mapping[str, object], *, is_hashed: bool) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"
    if column.kind != "text":
        return str(value)
    text = str(value)
    is_phone = column.is_hashed or row.get(column.hashed_where_kind) == "phone"
    if is_phone and not is_hashed:
        return "***"
    if _OF_A_PERSON.search(column.name):
        return f"{text[:_SHOWN_OF_A_PERSON]}…"
    if column.allowed or _IDENTIFIER.search(column.name) or _WORDS.search(column.name):
        return mask_phones(text)
    return "***"
