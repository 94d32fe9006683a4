"""Bookings, tickets and registrations: the loops beside orders, judged one by one.

Sentences in quotation marks are those of the written semantics, "read as" the reading chosen.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.oracle.records import SKEW, Gathered, Identifier, Row, Watermarks
from tests.oracle.truth import FAILED_STATUSES, HOUR, CaseVerdict, Leg, LegVerdict

CONTRACTS = {
    "booking": (
        Leg("submitted", None, ("tracking_events",)),
        Leg("confirmed", "submitted", ("crm_appointments",), 24 * HOUR, HOUR / 2),
        Leg("served", "confirmed", ("crm_appointments",), 24 * HOUR),
        Leg("known", "submitted", ("crm_contacts",), 24 * HOUR),
        Leg("notified", "confirmed", ("messages",), 24 * HOUR, HOUR, is_mandatory=False),
    ),
    "aftersale": (
        Leg("submitted", None, ("tracking_events",)),
        Leg("ticketed", "submitted", ("crm_cases",), 24 * HOUR, HOUR / 2),
        Leg("resolved", "ticketed", ("crm_cases",), 168 * HOUR, 72 * HOUR),
        Leg("notified", "resolved", ("messages",), 24 * HOUR, HOUR, is_mandatory=False),
    ),
    "member": (
        Leg("submitted", None, ("tracking_events",)),
        Leg("known", "submitted", ("crm_contacts",), 24 * HOUR, HOUR / 2),
    ),
}
SUBMITS = {
    "booking_submit": "booking", "aftersale_submit": "aftersale", "member_register": "member",
}  # fmt: skip
RECORDS = {
    "booking": ("crm_appointments", "booking_no", "created_at", "appointment_no"),
    "aftersale": ("crm_cases", "ticket_no", "opened_at", "crm_case_no"),
}
# "no back-end record in a paid or later state", read as: never accepted there.
ACCEPTED = {
    "booking": ("confirmed", "attended", "no_show"),
    "aftersale": ("open", "in_progress", "resolved"),
}
ENDED = {"booking": ("attended", "no_show", "cancelled"), "aftersale": ("resolved", "cancelled")}


@dataclass
class _Service:
    """What is known of one case of a loop beside orders."""

    loop: str
    number: str
    submits: list[Row]
    records: list[Row]
    messages: list[Row]
    contacts: list[tuple[datetime, Row]]
    has_identifier: bool

    @property
    def record(self) -> Row | None:
        return self.records[0] if self.records else None

    @property
    def recorded_at(self) -> datetime | None:
        made: datetime | None = self.record[RECORDS[self.loop][2]] if self.record else None
        return made

    @property
    def entered_at(self) -> datetime:
        at = self.submits[0]["occurred_at"] if self.submits else self.recorded_at
        assert at is not None
        return at


def judge_services(
    gathered: Gathered,
    watermarks: Watermarks,
    actors: Mapping[str, frozenset[str]],
    *,
    growing: bool,
    first_day: datetime,
) -> dict[str, CaseVerdict]:
    """Judge every booking, ticket and registration, by case id."""
    # read as: of a record from before the front end was watched, nobody could have seen the claim
    is_watched = watermarks.get("tracking_events") is not None
    return {
        f"{case.loop}:{case.number}": _Judging(case, watermarks, actors, growing).verdict()
        for case in _gather(gathered)
        if case.submits or not is_watched or case.entered_at >= first_day
    }


def _gather(gathered: Gathered) -> list[_Service]:
    submits: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for event in gathered.rows["tracking_events"]:
        loop = SUBMITS.get(event["event"])
        number = event.get("case_no")
        if loop == "member":
            number = next(
                (event[k] for k in ("unionid", "case_no", "openid", "member_no") if event.get(k)),
                None,
            )
        if loop is not None and number is not None:
            submits[loop, number].append(event)
    numbers = set(submits)
    for loop, (table, column, _, _) in RECORDS.items():
        numbers |= {(loop, row[column]) for row in gathered.rows[table] if row.get(column)}
    return [_service(gathered, submits, *key) for key in sorted(numbers)]


def _service(
    gathered: Gathered, submits: Mapping[tuple[str, str], list[Row]], loop: str, number: str
) -> _Service:
    records: list[Row] = []
    if loop in RECORDS:
        table, column, made, key = RECORDS[loop]
        records = sorted(gathered.find(table, column, number), key=lambda r: (r[made], r[key]))
    events = sorted(
        submits.get((loop, number), ()), key=lambda e: (e["occurred_at"], e["event_id"])
    )
    identifiers: set[Identifier] = {
        (kind, event[kind])
        for event in events
        for kind in ("unionid", "openid", "member_no")
        if event.get(kind) is not None
    }
    if loop == "booking" and records and records[0].get("contact_id"):
        identifiers.add(("contact", records[0]["contact_id"]))
    people = gathered.people
    return _Service(
        loop=loop,
        number=number,
        submits=events,
        records=records,
        messages=[
            m for m in gathered.find("messages", "case_no", number) if m.get("node") != "marketing"
        ],
        contacts=people.contacts_of(identifiers),
        has_identifier=any(i not in people.shared for i in identifiers),
    )


class _Judging:
    """One case judged: evidence, anchors, truth and class of each leg of its loop."""

    def __init__(
        self,
        case: _Service,
        watermarks: Watermarks,
        actors: Mapping[str, frozenset[str]],
        growing: bool,
    ) -> None:
        self.case = case
        self.marks = watermarks
        self.actors = actors
        self.growing = growing
        self.contract = {leg.name: leg for leg in CONTRACTS[case.loop]}
        self.legs = {name: LegVerdict(name) for name in self.contract}
        self.is_claimed = bool(case.submits)
        state = case.record["state"] if case.record else None
        self.is_abandoned = not self.is_claimed and state not in ACCEPTED.get(case.loop, ())
        for name in self.legs:
            self._find(self.legs[name])
            self.legs[name].anchor = self._anchor(name)
        self.is_surface_only = self._is_surface_only()
        for leg in self.legs.values():
            leg.truth = self._truth(leg)
            leg.divergence = self._divergence(leg)

    def verdict(self) -> CaseVerdict:
        mandatory = [leg for leg in self.contract.values() if leg.is_mandatory]
        is_over = all(
            self._judged_at(leg.name) is None or self._is_over(leg.name) for leg in mandatory
        )
        is_done = not self.is_abandoned and all(
            self.legs[leg.name].truth in ("verified", "late", "not_due") for leg in mandatory
        )
        return CaseVerdict(
            legs=self.legs,
            is_claimed=self.is_claimed,
            is_abandoned=self.is_abandoned,
            is_backend_only=not self.is_claimed,
            is_mature=is_over or is_done,
            is_closed=self.is_claimed and is_done,
        )

    # Evidence

    def _find(self, leg: LegVerdict) -> None:
        case, record = self.case, self.case.record
        times: list[datetime | None] = []
        if leg.leg == "submitted":
            times = [e["occurred_at"] for e in case.submits[:1]]
        elif leg.leg == "known":
            times = [since for since, _ in case.contacts[:1]]
        elif leg.leg == "notified":
            sent = [m for m in self._due_messages() if m["status"] == "success"]
            # one that nobody knows the time of cannot be shown to be late
            unknown = any(m["sent_at"] is None for m in sent)
            times = [None if unknown else min(m["sent_at"] for m in sent)] if sent else []
        elif record is not None and leg.leg in ("confirmed", "ticketed"):
            times = [case.recorded_at]
            leg.made_by = self._made_by(record)
        elif record is not None and record["state"] in ENDED[case.loop]:
            times = [record["updated_at" if leg.leg == "served" else "closed_at"]]
        leg.has_evidence = bool(times)
        leg.at = times[0] if times else None

    def _due_messages(self) -> list[Row]:
        """A booking's confirmation; what followed the end of a ticket."""
        record = self.case.record
        if self.case.loop == "booking":
            return [m for m in self.case.messages if m.get("node") == "service_confirm"]
        if record is None or record["state"] not in ENDED["aftersale"]:
            return []
        ended_at = record["closed_at"] or record["opened_at"]
        return [m for m in self.case.messages if _message_at(m) >= ended_at - SKEW]

    def _made_by(self, record: Row) -> str:
        via, actor = record.get("created_via"), record.get("created_by")
        actors = self.actors.get(RECORDS[self.case.loop][0], frozenset())
        if via in ("ui", "import") or (actor is not None and actors and actor not in actors):
            return "human"
        return "interface" if via == "interface" or actor in actors else "unknown"

    # Truth

    def _before(self, name: str) -> list[str]:
        found, parent = [], self.contract[name].comes_after
        while parent is not None:
            found.append(parent)
            parent = self.contract[parent].comes_after
        return found

    def _anchor(self, name: str) -> datetime:
        if name == "served" and self.case.record is not None and self.case.record.get("slot_at"):
            slot_at: datetime = self.case.record["slot_at"]  # "anchor: the slot"
            return slot_at
        times = [at for before in self._before(name) if (at := self.legs[before].at) is not None]
        return max(times, default=self.case.entered_at)

    def _has_no_slot(self, name: str) -> bool:
        record = self.case.record
        return name == "served" and (record is None or record.get("slot_at") is None)

    def _judged_at(self, name: str) -> datetime | None:
        tables = self.contract[name].tables
        if name == "known":  # a link may still come
            linking = ("tracking_events", "erp_orders")
            tables = (*tables, *(table for table in linking if self.marks.get(table)))
            tables = (*tables, "identities") if self.growing else tables
        marks = [self.marks.get(table) for table in tables]
        return None if None in marks else min(m for m in marks if m is not None)

    def _window_end(self, name: str) -> datetime:
        window = self.contract[name].window
        return self._anchor(name) + (SKEW if window is None else window)

    def _is_over(self, name: str) -> bool:
        judged_at = self._judged_at(name)
        return judged_at is not None and judged_at >= self._window_end(name)

    def _first_leg(self) -> str:
        return {"booking": "confirmed", "aftersale": "ticketed", "member": "known"}[self.case.loop]

    def _is_told(self) -> bool:
        """A delivered message that bears the number, sent before the first window ended."""
        end = self._window_end(self._first_leg())
        return self.case.loop != "member" and any(
            m["status"] == "success" and _message_at(m) < end for m in self.case.messages
        )

    def _is_surface_only(self) -> bool:
        return (
            self.is_claimed
            and self._own_truth(self.legs[self._first_leg()]) == "refuted"
            and not self._is_told()
        )

    def _is_in_conflict(self) -> bool:
        window = self.contract["known"].window or timedelta()
        return sum(at < self.case.entered_at + window for at, _ in self.case.contacts) > 1

    def _own_truth(self, leg: LegVerdict) -> str:
        name, record = leg.leg, self.case.record
        if self.is_abandoned and name != "submitted":
            return "not_due"
        if name == "notified" and record is not None and record["state"] == "cancelled":
            return "not_due"
        if name == "known" and self._is_in_conflict():
            # read as: one contact more may show that the phone is a shop's
            return "unverifiable" if self._is_over(name) else "pending"
        if leg.has_evidence:
            return "late" if self._is_late(leg) else "verified"
        if self._judged_at(name) is None or self._has_no_slot(name):
            return "unverifiable"
        if name == "known" and not self.case.has_identifier:
            return "unverifiable"
        told_until = self.marks.get("messages")
        is_telling = (
            name in ("confirmed", "ticketed")
            and told_until is not None
            and told_until < self._window_end(name)
        )
        return "pending" if is_telling or not self._is_over(name) else "refuted"

    def _is_late(self, leg: LegVerdict) -> bool:
        contract = self.contract[leg.leg]
        if leg.at is None or contract.window is None or self._has_no_slot(leg.leg):
            return False
        if leg.leg == "known" and self._may_be_named():
            return False
        judged_at = self._judged_at(leg.leg)
        due_at = self._anchor(leg.leg) + (contract.late_after or contract.window)
        if judged_at is None or judged_at < due_at:
            return False  # read as: another row may still show it in time
        lag = leg.at - self._anchor(leg.leg)
        if contract.late_after is not None:
            return lag > contract.late_after
        return lag >= contract.window

    def _may_be_named(self) -> bool:
        """Read as: an appointment may still name an old contact."""
        return "confirmed" in self.legs and self._own_truth(self.legs["confirmed"]) == "pending"

    def _truth(self, leg: LegVerdict) -> str:
        own = self._own_truth(leg)
        befores = self._before(leg.leg)
        owns = [self._own_truth(self.legs[name]) for name in befores]
        missing = [truth for truth in owns if truth in ("pending", "refuted", "unverifiable")]
        if leg.leg == "known" and self._is_in_conflict():
            return own
        if own == "late":  # its cause is not known, so nobody can say how late it is
            is_open = any(truth != "refuted" for truth in missing)
            return "verified" if is_open else "late"
        if own in ("verified", "not_due"):
            return own
        broken = [truth for truth in missing if truth != "unverifiable"]
        if broken:  # the first broken leg of the branch, which is the farthest
            leg.is_inherited = True
            return broken[-1]
        if self.is_surface_only and leg.leg != "submitted":
            leg.is_inherited = True
            return "refuted"
        if leg.leg in ("notified", "served", "resolved"):
            for name, truth in zip(befores, owns, strict=True):  # nearest first
                if self.legs[name].has_evidence:
                    break
                if truth == "unverifiable" and name != "submitted":
                    return "unverifiable"
        is_awaited = leg.leg == "known" and own == "refuted" and self._may_be_named()
        return "pending" if is_awaited else own

    # Class

    def _divergence(self, leg: LegVerdict) -> str:
        # read as: while the claim may still come, nothing else is said of the case
        is_awaited = self.legs["submitted"].truth == "pending"
        if leg.truth == "not_due" or self.is_abandoned or is_awaited:
            return "none"
        is_first = leg.leg in ("confirmed", "ticketed")
        if leg.leg == "known" and leg.truth == "unverifiable" and self._is_in_conflict():
            return "identity_conflict"
        if is_first and len(self.case.records) > 1:
            return "duplicate"
        if leg.leg == "submitted" and self.is_surface_only:
            return "surface_only"
        if leg.leg == "submitted" and leg.truth == "refuted":
            return "backend_only"
        if leg.has_evidence and self._is_impossible(leg.leg):
            return "state_conflict"
        if leg.truth == "refuted" and not leg.is_inherited:
            if leg.leg == "notified":
                is_failed = any(m["status"] in FAILED_STATUSES for m in self._due_messages())
                return "notify_failed" if is_failed else "not_notified"
            return f"not_{leg.leg}"
        if is_first and leg.has_evidence and leg.made_by == "human":
            return "manual_rekey"
        return "late" if leg.truth == "late" else "none"

    def _is_impossible(self, name: str) -> bool:
        """ "attended before the slot; resolved before it was opened"."""
        record = self.case.record
        if record is None:
            return False
        if name == "served":
            slot_at = record.get("slot_at")
            is_early = slot_at is not None and record["updated_at"] < slot_at - SKEW
            return record["state"] == "attended" and is_early
        closed_at = record.get("closed_at")
        return name == "resolved" and closed_at is not None and closed_at < record["opened_at"]


def _message_at(message: Row) -> datetime:
    at: datetime = message["sent_at"] or message["status_at"] or message["due_at"]
    return at
