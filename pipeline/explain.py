"""One case, leg by leg, in plain words: what was claimed, what was found where, and the verdict.

Reads the published file alone; how it looks on a terminal is the concern of `pipeline.terminal`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from pipeline.errors import BihuanError
from pipeline.landing import SHANGHAI
from pipeline.report.words import explain_divergence, name_divergence
from pipeline.warehouse import Warehouse

Row = dict[str, Any]

# The landed tables in which the evidence of a leg is looked for.
EVIDENCE_TABLES = {
    "submitted": ("tracking_events",),
    "paid": ("pay_bill",),
    "booked": ("erp_orders",),
    "received": ("erp_receipts",),
    "fulfilled": ("erp_shipments",),
    "known": ("crm_contacts",),
    "reflowed": ("mp_orders", "tracking_events"),
    "notified": ("messages",),
    "refunded": ("pay_bill", "erp_refunds"),
    "confirmed": ("crm_appointments",),
    "served": ("crm_appointments",),
    "ticketed": ("crm_cases",),
    "resolved": ("crm_cases",),
}
# A refund is owed on two sides; one of them is there.
ONE_SIDED = {"refund_missing": ("erp_refunds",), "refund_unbacked": ("pay_bill",)}
MARKS = {
    "verified": "✓", "late": "!", "pending": "…", "refuted": "✗", "unverifiable": "?",
    "not_due": "–",
}  # fmt: skip
MADE_BY = {"interface": "by an interface", "human": "by hand"}
SHOWN_NEAR_CASES = 5


class UnknownCaseError(BihuanError):
    """No case of the published file bears that number."""


@dataclass(frozen=True)
class CaseStory:
    """One case as the marts have it: its row, legs by rank, its history, and the watermarks.

    `complete_until` holds each connected table's watermark; a table that is not connected is not
    in it.
    """

    case: Row
    legs: tuple[Row, ...]
    divergences: tuple[Row, ...]
    restatements: tuple[Row, ...]
    complete_until: dict[str, datetime | None]


def find_case(warehouse: Warehouse, asked: str) -> CaseStory:
    """The case that `asked` names: a case id, a bare order number or an ERP order number.

    Raises UnknownCaseError with the nearest cases, WarehouseError where nothing was published.
    """
    with warehouse.read() as connection:
        case_id = _resolve(connection, asked.strip())
        (case,) = _rows(connection, "select * from marts.fct_cases where case_id = ?", [case_id])
        legs = _rows(
            connection,
            "select * from marts.fct_case_legs where case_id = ? order by leg_rank",
            [case_id],
        )
        divergences = _rows(
            connection,
            "select * from marts.fct_divergences where case_id = ? order by first_seen_at, leg",
            [case_id],
        )
        restatements = _rows(
            connection,
            "select * from marts.fct_restatements where case_id = ? order by restated_run, leg",
            [case_id],
        )
        watermarks = connection.execute(
            "select table_name, complete_until from marts.source_watermarks where is_connected"
        ).fetchall()
    return CaseStory(case, tuple(legs), tuple(divergences), tuple(restatements), dict(watermarks))


def _resolve(connection: duckdb.DuckDBPyConnection, asked: str) -> str:
    found = connection.execute(
        "select case_id from marts.fct_cases"
        " where case_id = $asked or case_id = loop || ':' || $asked or erp_order_no = $asked"
        " order by case_id = $asked desc, erp_order_no = $asked, case_id",
        {"asked": asked},
    ).fetchone()
    if found:
        return str(found[0])
    near = connection.execute(
        "select case_id from marts.fct_cases order by least("
        " levenshtein(case_id, $asked), levenshtein(split_part(case_id, ':', 2), $asked)), case_id"
        f" limit {SHOWN_NEAR_CASES}",
        {"asked": asked},
    ).fetchall()
    if not near:
        raise UnknownCaseError("the published file holds no cases", next_step="run bihuan build")
    listed = ", ".join(case_id for (case_id,) in near)
    raise UnknownCaseError(f"found no case '{asked}'", next_step=f"did you mean one of {listed}?")


def _rows(connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[str]) -> list[Row]:
    result = connection.execute(query, values)
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def tell_case(story: CaseStory) -> Iterator[str]:
    """The case as lines of text; a leg begins with the mark of its truth, all else is indented."""
    case = story.case
    told = [case["case_id"], case["business_line"], case["channel"], _money(case["amount_fen"])]
    yield " · ".join(word for word in told if word)
    entered, as_of = _instant(case["entered_at"]), _instant(case["as_of"])
    yield f"entered {entered}, judged as of {as_of} (Shanghai time)"
    yield _verdict(case, story.legs)
    yield ""
    for leg in story.legs:
        yield from _tell_leg(leg, story)
    yield from _tell_healed(story.divergences)
    yield from _tell_restated(story.restatements)


def _verdict(case: Row, legs: Sequence[Row]) -> str:
    if case["is_abandoned"]:
        return "Given up before paying: an interruption, not a divergence."
    if any(leg["divergence"] == "surface_only" for leg in legs):
        return "The front end shows success, and no system behind it knows the case."
    broken = case["first_broken_leg"]
    if case["is_backend_only"]:
        return (
            f"Only the back end knows it. {_broken_at(broken if broken != 'submitted' else None)}"
        )
    claims = "shows" if case["is_claimed"] else "does not show"
    return f"The front end {claims} success. {_broken_at(broken) or _proven(case, legs)}"


def _broken_at(leg: str | None) -> str:
    return f"It breaks at {leg}." if leg else ""


def _proven(case: Row, legs: Sequence[Row]) -> str:
    if case["verified_converted"]:
        diverging = [leg["leg"] for leg in legs if leg["divergence"] != "none"]
        also = f", yet look at {', '.join(diverging)}" if diverging else ""
        return f"Every mandatory leg is proven{also}."
    if not case["is_mature"]:
        return "Nothing is broken so far, and not everything is due yet."
    return "Not every mandatory leg can be proven."


def _tell_leg(leg: Row, story: CaseStory) -> Iterator[str]:
    diverges = leg["divergence"] != "none"
    follows_from_another = leg["truth"] == "refuted" and not diverges
    yield _headline(leg) + (": a leg that it comes after is broken" if follows_from_another else "")
    if leg["truth"] == "not_due" or follows_from_another:
        return
    if leg["claim_at"] and leg["leg"] != "submitted":
        owed = f", {_money(leg['claim_amount_fen'])}" if leg["claim_amount_fen"] is not None else ""
        yield _fact("follows", f"{_instant(leg['claim_at'])}{owed}{_from(leg['claim_ref'])}")
    yield _fact("found", _found(leg, story))
    if diverges or leg["truth"] in ("unverifiable", "pending"):
        yield _fact("why", _reason(leg, story))
    if leg["due_at"] and (diverges or leg["truth"] == "pending"):
        yield _fact("due", _instant(leg["due_at"]))
    if diverges and leg["amount_at_stake_fen"] is not None:
        yield _fact("at stake", _money(leg["amount_at_stake_fen"]))
    if diverges or leg["truth"] == "pending":
        yield _fact("owner", leg["owner"] or "nobody: name one in loops/*.yml")


def _headline(leg: Row) -> str:
    truth, optional = leg["truth"], "" if leg["is_mandatory"] else " (not mandatory)"
    told = f"{leg['leg']:<10} {truth.replace('_', ' ')}{optional}"
    if leg["divergence"] == "none":
        return f"{MARKS[truth]} {told}"
    mark = "!" if truth == "verified" else MARKS[truth]
    return f"{mark} {told} — {leg['divergence']} {name_divergence(leg['divergence']).zh}"


def _found(leg: Row, story: CaseStory) -> str:
    if not leg["has_evidence"]:
        tables = ONE_SIDED.get(leg["divergence"]) or EVIDENCE_TABLES.get(leg["leg"], ())
        looked = " and ".join(_looked(table, story) for table in tables)
        seen = f", but see {leg['evidence_ref']}" if leg["evidence_ref"] else ""
        return f"nothing in {looked}{seen}" if looked else "nothing"
    told = [_instant(leg["evidence_at"])]
    if leg["evidence_amount_fen"] is not None:
        told.append(_money(leg["evidence_amount_fen"]))
    if leg["lag_seconds"] is not None and leg["leg"] != "submitted":
        told.append(_lag(leg["lag_seconds"]))
    if leg["made_by"] in MADE_BY:
        told.append(MADE_BY[leg["made_by"]])
    return ", ".join(word for word in told if word) + _from(leg["evidence_ref"])


def _looked(table: str, story: CaseStory) -> str:
    if table not in story.complete_until:
        return f"{table} (not connected)"
    until = story.complete_until[table]
    return f"{table} (complete until {_instant(until)})" if until else f"{table} (never landed)"


def _reason(leg: Row, story: CaseStory) -> str:
    """Why a leg diverges, or why it has neither proof nor refutation."""
    due, there = leg["claim_amount_fen"], leg["evidence_amount_fen"]
    if leg["divergence"] == "amount_mismatch" and None not in (due, there):
        term = f" ({leg['sub_class']})" if leg["sub_class"] else ""
        return f"{_money(due)} was due, {_money(there)} is there: {_money(there - due)}{term}"
    if leg["truth"] == "late" and leg["lag_seconds"] is not None:
        return f"{_lag(leg['lag_seconds'])} what it follows, later than agreed"
    if leg["divergence"] != "none":
        return str(leg["detail"] or explain_divergence(leg["divergence"]).en)
    if leg["truth"] == "pending":
        return "it may still come: its source is not complete up to the end of its window"
    tables = EVIDENCE_TABLES.get(leg["leg"], ())
    missing = [table for table in tables if story.complete_until.get(table) is None]
    if missing:
        return f"{' and '.join(missing)} cannot be asked"
    return "the key that would join it is absent, or its identity is in conflict"


def _tell_healed(divergences: Sequence[Row]) -> Iterator[str]:
    healed = [row for row in divergences if row["healed_at"] is not None]
    if healed:
        yield ""
    for row in healed:
        yield (
            f"healed: {row['leg']} was {row['divergence']} from {_instant(row['first_seen_at'])}"
            f" to {_instant(row['healed_at'])}"
        )


def _tell_restated(restatements: Sequence[Row]) -> Iterator[str]:
    if restatements:
        yield ""
    for row in restatements:
        before, after = (
            _state(row[f"truth_{when}"], row[f"divergence_{when}"]) for when in ("before", "after")
        )
        yield (
            f"restated: {row['leg']} was reported {before} after its day had closed, and is {after}"
            f" since {_instant(row['restated_as_of'])}: {str(row['cause']).replace('_', ' ')}"
            f"{_from(row['cause_ref'])}"
        )


def _state(truth: str | None, divergence: str | None) -> str:
    told = (truth or "no case any more").replace("_", " ")
    return told if divergence in (None, "none") else f"{told} ({divergence})"


def _fact(name: str, told: str) -> str:
    return f"    {name:<9} {told}"


def _from(reference: str | None) -> str:
    return f" [{reference}]" if reference else ""


def _instant(instant: datetime | None) -> str:
    return f"{instant.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}" if instant else ""


def _money(fen: int | None) -> str:
    if fen is None:
        return ""
    return f"{'-' if fen < 0 else ''}¥{abs(fen) // 100:,}.{abs(fen) % 100:02}"


def _lag(seconds: int) -> str:
    return f"{_duration(abs(int(seconds)))} {'before' if seconds < 0 else 'after'}"


def _duration(seconds: int) -> str:
    """Seconds as a person says them, in the two largest units."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    told = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(told) or "0 s"
