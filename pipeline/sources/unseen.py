"""Which fields of a mapping no record bears: a misspelt name, or one that is never filled."""

from collections.abc import Sequence

from pipeline.sources.records import Record, to_rows

TOLD_FIELDS = 8


def tell_unseen(fields: Sequence[str], records: Sequence[Record], each: str | None) -> str:
    """What to add to a line about these records; nothing where every field is seen."""
    rows = to_rows(records, fields, each=each, place=lambda _: "")
    if rows.num_rows == 0:
        return ""
    unseen = [name for name in fields if rows.column(name).null_count == rows.num_rows]
    return f"; none of them has {', '.join(unseen[:TOLD_FIELDS])}" if unseen else ""
