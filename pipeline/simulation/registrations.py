"""Registrations of the membership: submitted in front, and a contact of the CRM minutes later.

Planned whole and healthy, as orders are; `sabotage_services.py` breaks them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from pipeline.simulation.cases import Attempt
from pipeline.simulation.people import IDENTIFIERS_OF_CHANNEL, Person, enrol

MEMBERSHIP = "membership"
# A registration is keyed by the union id, which the trackers of these channels see.
REGISTERING_CHANNELS = tuple(
    channel for channel, kinds in IDENTIFIERS_OF_CHANNEL.items() if "unionid" in kinds
)


@dataclass(kw_only=True)
class Registration(Attempt):
    """One registration; what it leaves in the CRM is the contact of its person."""

    loop = "member"


def plan_registration(
    channel: str, person: Person, submitted_at: datetime, random: Random
) -> Registration:
    """Somebody new registers, binds an account by it, and is a contact minutes later.

    One in eight submits twice, which is one registration.
    """
    person.bound_at = submitted_at
    registration = Registration(
        number=person.unionid,
        business_line=MEMBERSHIP,
        channel=channel,
        person=person,
        entered_at=submitted_at - timedelta(seconds=random.randint(20, 240)),
        submitted_at=submitted_at,
    )
    enrol(person, random, submitted_at + timedelta(seconds=random.randint(4, 1200)))
    if random.random() < 0.125:
        registration.retried_at = submitted_at + timedelta(seconds=random.randint(3, 90))
    return registration


def plan_return(channel: str, person: Person, submitted_at: datetime) -> Registration:
    """Somebody registers whom the CRM knows from the shop since long: right, and older."""
    return Registration(
        number=person.unionid,
        business_line=MEMBERSHIP,
        channel=channel,
        person=person,
        entered_at=submitted_at - timedelta(seconds=60),
        submitted_at=submitted_at,
        variant="known_before",
    )
