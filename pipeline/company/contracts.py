"""Loop contracts: which legs a business line owes, by when, how exactly, and who answers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field

from pipeline.company.mistakes import Document, Settings, suggest

DURATION = re.compile(r"(?P<count>\d+)(?P<unit>[smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(value: object) -> timedelta:
    """Read `90s`, `30m`, `24h` or `7d`. Raises ValueError that says what is allowed."""
    if isinstance(value, timedelta):
        return value
    parts = DURATION.fullmatch(str(value).strip())
    if parts is None or not int(parts["count"]):
        raise ValueError("allowed: a duration above zero such as 90s, 30m, 24h or 7d")
    return timedelta(**{UNITS[parts["unit"]]: int(parts["count"])})


def format_duration(duration: timedelta) -> str:
    """A duration as it may be written in a contract, in the largest unit that is exact."""
    seconds = int(duration.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        # 24h and 72h read more plainly than 1d and 3d, as the default contract writes them.
        if seconds % size == 0 and (unit != "d" or seconds > 3 * size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


@dataclass(frozen=True)
class Leg:
    """One leg as a contract terms it. `window` and `late_after` run from the leg's anchor.

    None means that there is no such limit: the claim itself has no window, and a leg without
    `late_after` is never late. `after` is the leg that it comes after.
    """

    name: str
    rank: int
    after: str | None
    is_mandatory: bool
    window: timedelta | None
    late_after: timedelta | None
    tolerance_fen: int = 0
    owner: str | None = None


@dataclass(frozen=True)
class Loop:
    """The contract of one loop of one line; `business_line` None is the default contract."""

    business_line: str | None
    loop: str
    target_closure: float
    legs: tuple[Leg, ...]

    def leg(self, name: str) -> Leg:
        return next(leg for leg in self.legs if leg.name == name)


TARGET_CLOSURE = 0.95

# leg, comes after, mandatory, window, late after, owner: in the order in which a case should pass
# them. An owner is a role until the company names one: no finding is without somebody to ask.
DEFAULT_TERMS: dict[str, tuple[tuple[str, str | None, bool, str | None, str | None, str], ...]] = {
    "order": (
        ("submitted", None, True, None, None, "front_end"),
        ("paid", "submitted", True, "24h", None, "payments"),
        ("booked", "paid", True, "24h", "30m", "erp_interface"),
        ("received", "booked", True, "48h", "24h", "finance"),
        ("fulfilled", "booked", True, "7d", "72h", "warehouse"),
        ("known", "submitted", True, "24h", None, "membership"),
        ("reflowed", "fulfilled", True, "24h", "2h", "front_end"),
        ("notified", "fulfilled", False, "24h", "1h", "messaging"),
        # Owed only where a refund is in the bill or in the ERP.
        ("refunded", "paid", False, "5d", "24h", "finance"),
    ),
    "booking": (
        ("submitted", None, True, None, None, "front_end"),
        ("confirmed", "submitted", True, "24h", "30m", "crm_interface"),
        # Its window runs from the slot, not from the confirmation.
        ("served", "confirmed", True, "24h", None, "service"),
        ("known", "submitted", True, "24h", None, "membership"),
        ("notified", "confirmed", False, "24h", "1h", "messaging"),
    ),
    "aftersale": (
        ("submitted", None, True, None, None, "front_end"),
        ("ticketed", "submitted", True, "24h", "30m", "crm_interface"),
        ("resolved", "ticketed", True, "7d", "72h", "service"),
        ("notified", "resolved", False, "24h", "1h", "messaging"),
    ),
    "member": (
        ("submitted", None, True, None, None, "front_end"),
        ("known", "submitted", True, "24h", "30m", "membership"),
    ),
}


def default_loop(loop: str = "order") -> Loop:
    """The contract of a line that has no file of its own. Raises KeyError for an unknown loop."""
    return Loop(
        business_line=None,
        loop=loop,
        target_closure=TARGET_CLOSURE,
        legs=tuple(
            Leg(
                name=name,
                rank=rank,
                after=after,
                is_mandatory=is_mandatory,
                window=parse_duration(window) if window else None,
                late_after=parse_duration(late_after) if late_after else None,
                owner=owner,
            )
            for rank, (name, after, is_mandatory, window, late_after, owner) in enumerate(
                DEFAULT_TERMS[loop], start=1
            )
        ),
    )


class LegTerms(Settings):
    """What a contract file may say of a leg; what it leaves out is as in the default contract."""

    mandatory: bool | None = None
    window: Duration | None = None
    late_after: Duration | None = None
    tolerance_fen: int | None = Field(default=None, ge=0)
    owner: str | None = None


class LoopFile(Settings):
    """One file of `loops/`."""

    business_line: str = Field(min_length=1)
    loop: str = "order"
    target_closure: float = Field(default=TARGET_CLOSURE, gt=0, le=1)
    legs: dict[str, LegTerms | None] = Field(default_factory=dict)


def find_mistakes(written: LoopFile, document: Document, owners: list[str]) -> Iterator[str]:
    """What is wrong with a contract file beyond its types: unknown loop, leg, owner, or terms."""
    if written.loop not in DEFAULT_TERMS:
        allowed = suggest(written.loop, DEFAULT_TERMS)
        yield document.mistake(("loop",), f"found '{written.loop}', {allowed}")
        return
    default = default_loop(written.loop)
    names = [leg.name for leg in default.legs]
    for name, terms in written.legs.items():
        if name not in names:
            yield document.mistake(("legs", name), f"unknown leg, {suggest(name, names)}")
            continue
        if terms is None:
            continue
        if terms.owner is not None and terms.owner not in owners:
            problem = f"found '{terms.owner}', {suggest(terms.owner, owners)} (owners.yml)"
            yield document.mistake(("legs", name, "owner"), problem)
        leg = _agree(default.leg(name), terms)
        if leg.after is None and (terms.window or terms.late_after):
            problem = "found a time limit, allowed: none, for the first leg is the claim itself"
            yield document.mistake(("legs", name), problem)
        if leg.window and leg.late_after and leg.late_after > leg.window:
            limit = format_duration(leg.window)
            problem = (
                f"found {format_duration(leg.late_after)}, allowed: at most the window, {limit}"
            )
            yield document.mistake(("legs", name, "late_after"), problem)


def _agree(default: Leg, terms: LegTerms | None) -> Leg:
    said = terms or LegTerms()
    return Leg(
        name=default.name,
        rank=default.rank,
        after=default.after,
        is_mandatory=default.is_mandatory if said.mandatory is None else said.mandatory,
        window=said.window or default.window,
        late_after=said.late_after or default.late_after,
        tolerance_fen=said.tolerance_fen or default.tolerance_fen,
        owner=said.owner or default.owner,
    )


def agree_loop(written: LoopFile) -> Loop:
    """The whole contract: the file's terms over those of the default contract."""
    return Loop(
        business_line=written.business_line,
        loop=written.loop,
        target_closure=written.target_closure,
        legs=tuple(
            _agree(leg, written.legs.get(leg.name)) for leg in default_loop(written.loop).legs
        ),
    )
