"""The entries of bills as rows: at their own grain, and added up where one landed row is several.

Pure arithmetic and checks; how entries are asked for is the concern of `bills`.
"""

from collections.abc import Mapping

import pyarrow as pa

from pipeline.company import ColumnSource
from pipeline.conform import PLACE
from pipeline.errors import PermanentSourceError
from pipeline.landed import LandedTable
from pipeline.sources.kingdee.forms import HEAD, Form, first_step
from pipeline.sources.records import nearest


def add_up(rows: pa.Table) -> pa.Table:
    """Rows that say the same in all but their amounts, as one with the sums of these, in fen.

    A receipt that pays one order in two equal parts paid it twice.
    """
    amounts = [name for name in rows.column_names if name.endswith("_fen")]
    if not amounts or not rows.num_rows:
        return rows
    told = [name for name in rows.column_names if name not in (*amounts, PLACE)]
    summed = [(name, "sum") for name in amounts]
    added = rows.group_by(told, use_threads=False).aggregate([*summed, (PLACE, "first")])
    names = {f"{name}_{how}": name for name, how in [*summed, (PLACE, "first")]}
    return added.rename_columns([names.get(name, name) for name in added.column_names]).select(
        rows.column_names
    )


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
