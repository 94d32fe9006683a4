"""A case as lines of text. Every word about a leg is chosen here, and nothing is judged anew."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.explain.finding import CaseStory, Row
from pipeline.landing import SHANGHAI
from pipeline.report.words import explain_divergence, name_divergence


@dataclass(frozen=True)
class Evidence:
    """What proves a leg: the record in words, and the landed tables in which it is looked for."""

    record: str
    tables: tuple[str, ...]


EVIDENCE = {
    "submitted": Evidence("event of this number", ("tracking_events",)),
    "paid": Evidence("payment of this number", ("pay_bill",)),
    "booked": Evidence("order of this number", ("erp_orders",)),
    "received": Evidence("receipt of the payment or the order", ("erp_receipts",)),
    "fulfilled": Evidence("shipped parcel", ("erp_shipments",)),
    "known": Evidence("contact of this person", ("crm_contacts",)),
    "reflowed": Evidence("sign of the shipped state", ("mp_orders", "tracking_events")),
    "notified": Evidence("delivered message", ("messages",)),
    "refunded": Evidence("refund", ("pay_bill", "erp_refunds")),
    "confirmed": Evidence("appointment of this number", ("crm_appointments",)),
    "served": Evidence("outcome of the appointment", ("crm_appointments",)),
    "ticketed": Evidence("ticket of this number", ("crm_cases",)),
    "resolved": Evidence("closing of the ticket", ("crm_cases",)),
}
# A refund is owed on two sides; one of them is there.
ONE_SIDED = {"refund_missing": ("erp_refunds",), "refund_unbacked": ("pay_bill",)}
MARKS = {
    "verified": "✓", "late": "!", "pending": "…", "refuted": "✗", "unverifiable": "?",
    "not_due": "–",
}  # fmt: skip
PROVEN = ("verified", "late")
MADE_BY = {"interface": "by an interface", "human": "by hand"}
# The term that closes the equation of two amounts, as a reason.
TERMS = {
    "unit": "one side counts in fen what the other counts in yuan",
    "coupon": "exactly the coupon",
    "freight": "exactly the freight",
    "fee": "exactly the payment's fee",
    "rounding": "less than a yuan, rounded away",
    "partial": "a part of the sum has not come",
    "unexplained": "neither unit, coupon, freight, fee, rounding nor a part explains it",
}


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
        return _given_up(case)
    if any(leg["divergence"] == "surface_only" for leg in legs):
        return "The front end shows success, and no system behind it knows the case."
    if case["is_backend_only"]:
        behind = [leg for leg in legs if leg["leg"] != "submitted"]
        broken = [leg["leg"] for leg in behind if _diverges(leg) and leg["truth"] == "refuted"]
        return f"Only the back end knows it. {_outcome(case, behind, next(iter(broken), None))}"
    claims = "shows" if case["is_claimed"] else "does not show"
    return f"The front end {claims} success. {_outcome(case, legs, case['first_broken_leg'])}"


def _given_up(case: Row) -> str:
    if case["is_backend_only"]:
        return "Only the back end knows it, and never accepted it: nothing is owed."
    return "Given up before paying: an interruption, not a divergence."


def _outcome(case: Row, legs: Sequence[Row], broken: str | None) -> str:
    owed = [leg for leg in legs if leg["is_mandatory"] and leg["truth"] != "not_due"]
    unproven = [leg["leg"] for leg in owed if leg["truth"] not in PROVEN]
    named = [broken] if broken else unproven
    also = [leg["leg"] for leg in legs if _diverges(leg) and leg["leg"] not in named]
    look = f", {'and' if broken else 'yet'} look at {', '.join(also)}" if also else ""
    if broken:
        return f"It breaks at {broken}{look}."
    if not unproven:
        closed = "The loop is closed: every" if case["is_closed"] else "Every"
        which = "other mandatory leg" if case["is_backend_only"] else "mandatory leg"
        return f"{closed} {which} is proven{look}."
    if not case["is_mature"]:
        return f"Nothing is broken so far, and {', '.join(unproven)} may still come{look}."
    return f"Nobody can prove {', '.join(unproven)}{look}."


def _diverges(leg: Row) -> bool:
    return bool(leg["divergence"] != "none")


def _tell_leg(leg: Row, story: CaseStory) -> Iterator[str]:
    diverges = _diverges(leg)
    follows_from_another = leg["truth"] == "refuted" and not diverges and leg["leg"] != "submitted"
    if follows_from_another:
        yield f"{_headline(leg)}: a leg that it comes after is broken"
        return
    if leg["truth"] == "not_due":
        yield _headline(leg) + _why_not_due(leg, story.case)
        return
    yield _headline(leg)
    if leg["claim_at"] and leg["leg"] != "submitted":
        yield _fact("follows", _follows(leg))
    yield _fact("found", _found(leg, story))
    if diverges or leg["truth"] in ("unverifiable", "pending"):
        yield _fact("why", _reason(leg, story))
    if leg["due_at"] and leg["truth"] in ("refuted", "late", "pending"):
        yield _fact("due", _instant(leg["due_at"]))
    if diverges:
        if leg["amount_at_stake_fen"] is not None:
            yield _fact("at stake", _money(leg["amount_at_stake_fen"]))
        yield _fact("first seen", f"as of {_instant(story.first_seen_at(leg))}")
    if diverges or leg["truth"] == "pending":
        yield _fact("owner", leg["owner"] or "nobody: name one in loops/*.yml")


def _headline(leg: Row) -> str:
    truth, optional = leg["truth"], "" if leg["is_mandatory"] else " (not mandatory)"
    told = f"{leg['leg']:<10} {truth.replace('_', ' ')}{optional}"
    if not _diverges(leg):
        return f"{MARKS[truth]} {told}"
    mark = "!" if truth == "verified" else MARKS[truth]
    return f"{mark} {told} — {leg['divergence']} {name_divergence(leg['divergence']).zh}"


def _why_not_due(leg: Row, case: Row) -> str:
    if case["is_abandoned"]:
        return ""
    if leg["leg"] == "refunded":
        return ": nobody refunded"
    if case["loop"] == "order":
        return ": cancelled, or wholly refunded before it was shipped"
    return ": it was cancelled"


def _follows(leg: Row) -> str:
    """From when a leg's time runs; of a refund, the earlier of its two sides."""
    told = _instant(leg["claim_at"])
    if leg["leg"] == "served":
        told = f"the slot, {told}"
    elif leg["leg"] == "refunded" and leg["has_evidence"]:
        told += " (the earlier side)"
    if leg["claim_amount_fen"] is not None:
        told += f", {_money(leg['claim_amount_fen'])}"
    return told + _from(leg["claim_ref"])


def _found(leg: Row, story: CaseStory) -> str:
    if not leg["has_evidence"]:
        evidence = EVIDENCE[leg["leg"]]
        tables = ONE_SIDED.get(leg["divergence"]) or evidence.tables
        looked = " and ".join(_looked(table, story) for table in tables)
        seen = f", but see{_from(leg['evidence_ref'])}" if leg["evidence_ref"] else ""
        return f"no {evidence.record} in {looked}{seen}"
    told = [_instant(leg["evidence_at"])]
    if leg["evidence_amount_fen"] is not None:
        told.append(_money(leg["evidence_amount_fen"]))
    if leg["lag_seconds"] is not None and leg["leg"] != "submitted":
        told.append(_lag(leg["lag_seconds"]))
    if leg["made_by"] in MADE_BY:
        told.append(MADE_BY[leg["made_by"]])
    told.append(_matched_by(leg))
    return ", ".join(word for word in told if word) + _from(leg["evidence_ref"])


def _matched_by(leg: Row) -> str:
    """By what a record was matched, where it is not the number that one would expect."""
    if leg["leg"] == "known" and leg["match_tier"]:
        return f"by {leg['match_tier']}"
    if leg["leg"] == "paid" and leg["match_tier"] == "transaction_id":
        return "under another number: by the transaction that its ERP order names"
    return ""


def _looked(table: str, story: CaseStory) -> str:
    if table not in story.complete_until:
        return f"{table} (not connected)"
    until = story.complete_until[table]
    return f"{table} (complete until {_instant(until)})" if until else f"{table} (never landed)"


def _reason(leg: Row, story: CaseStory) -> str:
    """Why a leg diverges, or why it has neither proof nor refutation."""
    if not _diverges(leg):
        return _why_undecided(leg, story)
    divergence = leg["divergence"]
    if divergence in ("late", "late_reflow"):
        return _lateness(leg)
    why = _difference(leg) or _missing(leg) or leg["detail"] or explain_divergence(divergence).en
    if divergence == "identity_conflict":
        why += "".join(_from(contact) for contact in story.contact_refs)
    return f"{why}; {_lateness(leg)}" if leg["truth"] == "late" else why


def _lateness(leg: Row) -> str:
    return f"{_lag(leg['lag_seconds'])} what it follows, later than agreed"


def _difference(leg: Row) -> str:
    due, there = leg["claim_amount_fen"], leg["evidence_amount_fen"]
    if due is None or there is None:
        return ""
    if leg["divergence"] == "amount_mismatch":
        difference = f"{_money(abs(there - due))} too {'much' if there > due else 'little'}"
        term = f"{leg['sub_class']}: {TERMS[leg['sub_class']]}"
        return f"{_money(due)} was due, {_money(there)} is there: {difference} ({term})"
    if leg["divergence"] == "duplicate" and leg["leg"] in ("received", "refunded"):
        return f"{_money(there)} is there, and one record alone is the {_money(due)} that was due"
    return ""


def _missing(leg: Row) -> str:
    if not leg["divergence"].startswith("not_"):
        return ""
    return f"no {EVIDENCE[leg['leg']].record} came in its window, and its source is known beyond it"


def _why_undecided(leg: Row, story: CaseStory) -> str:
    tables = EVIDENCE[leg["leg"]].tables
    missing = [table for table in tables if story.complete_until.get(table) is None]
    cause = story.open_cause(leg)
    if leg["truth"] == "pending" and cause:
        return f"it may still come: {cause}, which it comes after, is not decided yet"
    if leg["truth"] == "pending":
        return "it may still come: its source is not complete up to the end of its window"
    if missing:
        return f"{' and '.join(missing)} cannot be asked"
    if cause:
        return f"nobody can tell {cause}, which it comes after, so nobody knows whether it is owed"
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
    return f"    {name:<10} {told}"


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
