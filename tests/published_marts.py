"""A small published DuckDB file with the marts' columns, filled case by case for a test."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

AS_OF = datetime(2026, 10, 30, 16, 0, tzinfo=UTC)
FIRST_DAY = date(2026, 10, 1)
LEGS = ("submitted", "paid", "booked", "received", "fulfilled", "known", "reflowed", "notified")
OPTIONAL_LEGS = ("notified",)
LOOP_LEGS = {
    "order": LEGS,
    "booking": ("submitted", "confirmed", "served", "known", "notified"),
    "aftersale": ("submitted", "ticketed", "resolved", "notified"),
}

TABLES = {
    "fct_cases": "case_id varchar, loop varchar, business_line varchar, channel varchar, "
    "entered_at timestamptz, business_day date, person_id varchar, entry_scene varchar, "
    "entry_group varchar, session_id varchar, amount_fen bigint, is_claimed boolean, "
    "is_abandoned boolean, is_backend_only boolean, is_mature boolean, surface_converted boolean, "
    "verified_converted boolean, is_closed boolean, is_closed_untouched boolean, "
    "first_broken_leg varchar, legs_verified bigint, depth bigint, erp_order_no varchar, "
    "as_of timestamptz",
    "fct_case_legs": "case_id varchar, loop varchar, business_line varchar, channel varchar, "
    "leg varchar, divergence varchar, sub_class varchar, truth varchar, claim_at timestamptz, "
    "evidence_at timestamptz, due_at timestamptz, lag_seconds bigint, claim_amount_fen bigint, "
    "evidence_amount_fen bigint, amount_at_stake_fen bigint, claim_ref varchar, "
    "evidence_ref varchar, owner varchar, detail varchar, leg_rank integer, is_mandatory boolean, "
    "surface_claims boolean, has_evidence boolean, made_by varchar, match_tier varchar, "
    "as_of timestamptz",
    "fct_divergences": "case_id varchar, loop varchar, business_line varchar, channel varchar, "
    "leg varchar, divergence varchar, sub_class varchar, truth varchar, claim_at timestamptz, "
    "evidence_at timestamptz, due_at timestamptz, lag_seconds bigint, claim_amount_fen bigint, "
    "evidence_amount_fen bigint, amount_at_stake_fen bigint, claim_ref varchar, "
    "evidence_ref varchar, owner varchar, detail varchar, first_seen_at timestamptz, "
    "last_seen_at timestamptz, healed_at timestamptz, as_of timestamptz",
    "fct_sessions": "session_id varchar, business_line varchar, channel varchar, "
    "person_id varchar, started_at timestamptz, business_day date, entry_scene varchar, "
    "entry_group varchar, events_count bigint, has_product_view boolean, has_add_to_cart boolean, "
    "has_checkout boolean, has_order_submit boolean, has_pay_start boolean, "
    "has_pay_success boolean, cases_count bigint, is_mature boolean, surface_converted boolean, "
    "verified_converted boolean, as_of timestamptz",
    "fct_restatements": "case_id varchar, leg varchar, truth_before varchar, truth_after varchar, "
    "divergence_before varchar, divergence_after varchar, cause varchar, cause_ref varchar, "
    "restated_run bigint, restated_as_of timestamptz",
    "fct_identity_conflicts": "person_id varchar, contact_ref varchar, reached_at timestamptz, "
    "as_of timestamptz",
    "source_watermarks": "table_name varchar, is_connected boolean, complete_from timestamptz, "
    "complete_until timestamptz, batches_count bigint, rows_count bigint, "
    "quarantined_count bigint, as_of timestamptz",
    "rpt_bridge_daily": "business_day date, business_line varchar, channel varchar, "
    "step_rank integer, step varchar, amount_fen bigint, cases_count bigint, "
    "surface_total_fen bigint, erp_total_fen bigint, residual_fen bigint, "
    "surface_total_count bigint, erp_total_count bigint, residual_count bigint, "
    "as_of timestamptz",
}


@dataclass(frozen=True)
class Divergence:
    """A row of fct_divergences on one leg; `truth` is the leg's."""

    leg: str
    name: str
    truth: str = "refuted"
    sub_class: str | None = None
    found_fen: int | None = None
    is_healed: bool = False


@dataclass(frozen=True)
class Case:
    """One claimed, mature case that closes, but for what is said otherwise.

    `broken` names the leg from which on nothing was found; `truths` overrules single legs.
    """

    number: str
    line: str = "retail"
    loop: str = field(default="order", kw_only=True)
    channel: str | None = "mini_program"
    day: date = FIRST_DAY
    amount_fen: int | None = 12_800
    is_claimed: bool = True
    is_mature: bool = True
    is_abandoned: bool = False
    is_backend_only: bool = False
    by_hand: tuple[str, ...] = ()
    broken: str | None = None
    truths: dict[str, str] = field(default_factory=dict)
    divergences: tuple[Divergence, ...] = ()

    @property
    def case_id(self) -> str:
        return f"{self.loop}:{self.number}"

    @property
    def legs(self) -> tuple[str, ...]:
        return LOOP_LEGS[self.loop]

    def truth(self, leg: str) -> str:
        if leg in self.truths:
            return self.truths[leg]
        if self.is_abandoned and leg != "submitted":
            return "not_due"
        if self.broken and self.legs.index(leg) >= self.legs.index(self.broken):
            return "refuted"
        return next((d.truth for d in self.divergences if d.leg == leg), "verified")

    @property
    def is_closed(self) -> bool:
        return all(
            self.truth(leg) in ("verified", "late") for leg in self.legs if leg not in OPTIONAL_LEGS
        )


def publish(
    file: Path,
    cases: Iterable[Case] = (),
    *,
    bridge: Iterable[dict[str, Any]] = (),
    sessions: Iterable[dict[str, Any]] = (),
    watermarks: Iterable[dict[str, Any]] = (),
) -> Path:
    """Write the marts of these cases to `file` and return it."""
    cases = list(cases)
    rows: dict[str, list[dict[str, Any]]] = {
        "fct_cases": [_case_row(case) for case in cases],
        "fct_case_legs": [_leg_row(case, leg) for case in cases for leg in case.legs],
        "fct_divergences": [
            _divergence_row(case, item) for case in cases for item in case.divergences
        ],
        "fct_restatements": [],
        "fct_identity_conflicts": [],
        "fct_sessions": list(sessions),
        "source_watermarks": list(watermarks),
        "rpt_bridge_daily": list(bridge),
    }
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema marts")
        for table, definition in TABLES.items():
            connection.execute(f"create table marts.{table} ({definition})")
            names = [column.split()[0] for column in definition.split(", ")]
            if rows[table]:
                whole = [{"as_of": AS_OF} | row for row in rows[table]]
                columns = {name: [row.get(name) for row in whole] for name in names}
                connection.register("filled", pa.table(columns))
                connection.execute(f"insert into marts.{table} select * from filled")
    return file


def _entered_at(case: Case) -> datetime:
    return datetime(case.day.year, case.day.month, case.day.day, 2, 0, tzinfo=UTC)


def _case_row(case: Case) -> dict[str, Any]:
    return {
        "case_id": case.case_id, "loop": case.loop, "business_line": case.line,
        "channel": case.channel, "entered_at": _entered_at(case), "business_day": case.day,
        "person_id": f"person-{case.number}", "amount_fen": case.amount_fen,
        "is_claimed": case.is_claimed, "is_abandoned": case.is_abandoned,
        "is_backend_only": case.is_backend_only, "is_mature": case.is_mature,
        "surface_converted": case.is_claimed, "verified_converted": case.is_closed,
        "is_closed": case.is_closed, "is_closed_untouched": case.is_closed and not case.by_hand,
        "erp_order_no": f"SO{case.number}",
    }  # fmt: skip


def _leg_row(case: Case, leg: str) -> dict[str, Any]:
    truth = case.truth(leg)
    found = truth in ("verified", "late")
    return {
        "case_id": case.case_id, "loop": case.loop, "business_line": case.line,
        "channel": case.channel, "leg": leg, "truth": truth,
        "divergence": next((d.name for d in case.divergences if d.leg == leg), "none"),
        "leg_rank": case.legs.index(leg) + 1, "is_mandatory": leg not in OPTIONAL_LEGS,
        "surface_claims": case.is_claimed, "has_evidence": found,
        "claim_amount_fen": case.amount_fen, "evidence_amount_fen": case.amount_fen,
        "made_by": ("human" if leg in case.by_hand else "interface") if found else "unknown",
    }  # fmt: skip


def _divergence_row(case: Case, item: Divergence) -> dict[str, Any]:
    claimed = case.amount_fen
    at_stake = claimed if item.found_fen is None else item.found_fen - (claimed or 0)
    return {
        "case_id": case.case_id, "loop": case.loop, "business_line": case.line,
        "channel": case.channel, "leg": item.leg, "divergence": item.name,
        "sub_class": item.sub_class, "truth": item.truth, "claim_at": _entered_at(case),
        "claim_amount_fen": case.amount_fen, "evidence_amount_fen": item.found_fen,
        "amount_at_stake_fen": None if at_stake is None else abs(at_stake),
        "claim_ref": f"tracking_events/b1/{case.number}", "owner": "erp_interface",
        "detail": "openid oTest-1234567890abcdefghij", "first_seen_at": AS_OF,
        "last_seen_at": AS_OF, "healed_at": AS_OF + timedelta(0) if item.is_healed else None,
    }  # fmt: skip
