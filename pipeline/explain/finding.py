"""What the published file knows of one case, however the case was named."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from pipeline.company.contracts import default_loop
from pipeline.errors import BihuanError
from pipeline.warehouse import Warehouse

Row = dict[str, Any]

NEAR_CASES = """
    select case_id
    from (
        select
            case_id,
            contains(case_id, $asked) or coalesce(contains(erp_order_no, $asked), false) as is_part,
            least(
                levenshtein(case_id, $asked),
                levenshtein(split_part(case_id, ':', 2), $asked),
                coalesce(levenshtein(erp_order_no, $asked), 1000)
            ) as distance
        from marts.fct_cases
    ) as measured
    where is_part or distance <= $reach
    order by not is_part, distance, case_id
    limit $shown
"""
SHOWN_NEAR_CASES = 5


class UnknownCaseError(BihuanError):
    """No case of the published file bears that number."""


@dataclass(frozen=True)
class CaseStory:
    """One case as the marts have it: its row, legs by rank, its history, and the watermarks.

    `contact_refs` are the CRM contacts that the case's person leads to, where they contradict each
    other. `complete_until` holds each connected table's watermark; a table that is not connected
    is not in it.
    """

    case: Row
    legs: tuple[Row, ...]
    divergences: tuple[Row, ...]
    restatements: tuple[Row, ...]
    contact_refs: tuple[str, ...]
    complete_until: dict[str, datetime | None]

    def leg(self, name: str) -> Row | None:
        return next((leg for leg in self.legs if leg["leg"] == name), None)

    def first_seen_at(self, leg: Row) -> datetime | None:
        """Since which run's data the leg has diverged as it does now."""
        seen: dict[str, datetime] = {
            row["leg"]: row["first_seen_at"] for row in self.divergences if not row["healed_at"]
        }
        return seen.get(leg["leg"])

    def open_cause(self, leg: Row) -> str | None:
        """The nearest leg that this one comes after and that nobody can judge yet, or at all."""
        contract = default_loop(self.case["loop"])
        after = contract.leg(leg["leg"]).after
        while after:
            before = self.leg(after)
            if before and before["truth"] in ("pending", "unverifiable"):
                return after
            after = contract.leg(after).after
        return None


def find_case(warehouse: Warehouse, asked: str) -> CaseStory:
    """The case that `asked` names: a case id, a bare order number or an ERP order number.

    Raises UnknownCaseError with the nearest cases, WarehouseError where nothing was published.
    """
    with warehouse.read() as connection:
        case_id = _resolve(connection, asked.strip())
        (case,) = _rows(connection, "select * from marts.fct_cases where case_id = ?", case_id)
        legs = _rows(
            connection,
            "select * from marts.fct_case_legs where case_id = ? order by leg_rank",
            case_id,
        )
        divergences = _rows(
            connection,
            "select * from marts.fct_divergences where case_id = ? order by first_seen_at, leg",
            case_id,
        )
        restatements = _rows(
            connection,
            "select * from marts.fct_restatements where case_id = ? order by restated_run, leg",
            case_id,
        )
        contacts = _rows(
            connection,
            "select contact_ref from marts.fct_identity_conflicts where person_id = ?"
            " order by reached_at, contact_ref",
            case["person_id"],
        )
        watermarks = connection.execute(
            "select table_name, complete_until from marts.source_watermarks where is_connected"
        ).fetchall()
    return CaseStory(
        case,
        tuple(legs),
        tuple(divergences),
        tuple(restatements),
        tuple(row["contact_ref"] for row in contacts),
        dict(watermarks),
    )


def _resolve(connection: duckdb.DuckDBPyConnection, asked: str) -> str:
    found = connection.execute(
        "select case_id from marts.fct_cases"
        " where case_id = $asked or case_id = loop || ':' || $asked or erp_order_no = $asked"
        " order by case_id = $asked desc, erp_order_no = $asked, case_id",
        {"asked": asked},
    ).fetchone()
    if found:
        return str(found[0])
    # Farther off than a quarter of what was typed, it is another number and no slip of the finger.
    number = asked.rpartition(":")[2]
    near = connection.execute(
        NEAR_CASES,
        {"asked": number, "reach": max(1, len(number) // 4), "shown": SHOWN_NEAR_CASES},
    ).fetchall()
    if near:
        listed = ", ".join(case_id for (case_id,) in near)
        next_step = f"did you mean one of {listed}?"
    else:
        next_step = (
            "no case has a number like it; bihuan query"
            ' "select case_id, erp_order_no from marts.fct_cases" lists them'
        )
    raise UnknownCaseError(f"found no case '{asked}'", next_step=next_step)


def _rows(connection: duckdb.DuckDBPyConnection, query: str, value: str | None) -> list[Row]:
    result = connection.execute(query, [value])
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
