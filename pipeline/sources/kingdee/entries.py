"""The entries of bills as rows: at their own grain, and added up where one landed row is several.

Pure arithmetic and checks; how entries are asked for is the concern of `bills`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.company import ColumnSource
from pipeline.errors import PermanentSourceError
from pipeline.landed import LandedTable
from pipeline.sources.kingdee.forms import HEAD, Form, first_step
from pipeline.sources.records import Record, as_text, nearest, text_at


def add_up(
    entries: Iterable[Record], fields: Sequence[str], amounts: frozenset[str]
) -> Iterator[Record]:
    """Entries that say the same in all `fields` but the amounts, as one with their sums.

    A receipt that pays one order in two equal parts paid it twice. What is no number is not added
    to: such entries stay as they are.
    """
    told = [field for field in fields if field not in amounts]
    added = [field for field in fields if field in amounts]
    sums: dict[tuple[Any, ...], dict[str, Any]] = {}
    for entry in entries:
        numbers = {field: _number(entry.get(field)) for field in added}
        unread = {field: as_text(entry.get(field)) for field, n in numbers.items() if n is None}
        alike = (*(text_at(entry, field) for field in told), *unread.items())
        if alike not in sums:
            sums[alike] = {**entry, **{field: n for field, n in numbers.items() if n is not None}}
            continue
        for field, number in numbers.items():
            if number is not None:
                sums[alike][field] += number
    yield from sums.values()


def _number(value: Any) -> Decimal | None:
    text = as_text(value)
    try:
        return Decimal(text) if text is not None else None
    except InvalidOperation:
        return None


def require_one_grain(
    form: Form, entry: str | None, table: LandedTable, columns: Mapping[str, ColumnSource]
) -> None:
    """Refuse what would count an amount once per entry. Raises PermanentSourceError.

    A query joins the head to each of its entries: what the head says comes again with every one.
    """
    if entry is None:
        return
    if entry not in form.parts:
        raise PermanentSourceError(
            f"{form.name}: found no entry '{entry}', allowed: "
            + ", ".join(nearest(entry, [part for part in form.parts if part != HEAD])),
            next_step=f"mend `each` of {table.name} in sources.yml",
        )
    for name, source in columns.items():
        if not table.is_amount(name):
            continue
        for field in source.fields:
            part = form.part_of.get(first_step(field), entry)
            if part != entry:
                raise PermanentSourceError(
                    f"{form.name}: {name} comes from {field} of {part}, but there is one row per"
                    f" {entry}: the amount would count once for each",
                    next_step=f"map {name} of {table.name} from a field of {entry}, or leave out"
                    " `each` for one row per bill",
                )
