"""What an alert is about, what it is now, and what happened to it: plain records, no decisions."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

Rule = Literal["divergence_share", "source_not_ready"]
Severity = Literal["critical", "warning"]
State = Literal["open", "acknowledged", "silenced", "resolved"]
Kind = Literal[
    "opened", "reopened", "worsened", "escalated", "resolved",
    "acknowledged", "silenced", "silence_ended",
]  # fmt: skip

FINGERPRINT_BYTES = 6  # 12 hex digits: short enough to type, 1e-6 odds that 20,000 of them collide


@dataclass(frozen=True, order=True)
class Subject:
    """What a rule judges: a divergence class at a leg of a business line, or a source table."""

    rule: Rule
    business_line: str = ""
    leg: str = ""
    divergence: str = ""
    source_table: str = ""

    @property
    def fingerprint(self) -> str:
        """The same subject has the same fingerprint in every run and on every machine."""
        words = [
            self.rule,
            self.business_line,
            self.leg,
            self.divergence or self.source_table,
        ]
        return _digest(words, FINGERPRINT_BYTES)


@dataclass(frozen=True)
class Evaluation:
    """What a rule found for one subject on one business day, as one `as_of` shows it.

    For `divergence_share` the counts and the 95 % interval are of the trailing window that ends
    with `business_day`; `clean_high` is the upper bound over the days since the alert was last
    bad. For `source_not_ready`, `value` and `threshold` are hours behind the newest source.
    """

    fingerprint: str
    business_day: date
    as_of: datetime
    rule: Rule
    value: float
    low: float | None
    high: float | None
    clean_high: float | None
    threshold: float
    found_count: int
    judged_count: int
    amount_fen: int | None
    severity: Severity
    verdict: Literal["bad", "quiet", "clean", "muted"]
    is_suppressed: bool = False


@dataclass(frozen=True)
class Alert:
    """One subject that was bad at least once. Instants are the `as_of` of the run that decided.

    `episode` counts how often it opened; `told_value` is the value of the last transition that
    told of it; `facts` is what a message about it needs, ready for JSON.
    """

    fingerprint: str
    subject: Subject
    severity: Severity
    state: State
    episode: int
    opened_at: datetime
    last_bad_at: datetime
    last_bad_day: date
    told_value: float
    owner: str | None = None
    escalated_at: datetime | None = None
    resolved_at: datetime | None = None
    acknowledged_by: str | None = None
    silence_reason: str | None = None
    silenced_until: datetime | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Transition:
    """One step in the life of an alert. At one `as_of` each kind of step is taken once."""

    fingerprint: str
    subject: Subject
    severity: Severity
    as_of: datetime
    kind: Kind
    episode: int
    from_state: State | None
    to_state: State
    facts: dict[str, Any]
    note: str | None = None

    @property
    def transition_id(self) -> str:
        return _digest([self.fingerprint, write_instant(self.as_of), self.kind], 16)


def write_instant(instant: datetime) -> str:
    """An instant as text that sorts as time does; the state file keeps instants so."""
    return instant.isoformat(timespec="microseconds")


def _digest(words: list[str], size: int) -> str:
    # JSON keeps ["a", "b-c"] and ["a-b", "c"] apart, which no separator does.
    text = json.dumps(words, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
