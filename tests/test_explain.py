"""The story of a case, as an operator reads it: true to what was planted, down to landed rows."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from bench.scratch import compile_models
from bench.simulated import Landed, landed
from pipeline.cli import main
from pipeline.explain import find_case, tell_case
from pipeline.landing import SHANGHAI
from pipeline.simulation import Options
from pipeline.simulation.truth import Expected
from pipeline.simulation.world import Attempt, World, build_world

# As few orders and days as still break every class at least once.
SMALL = Options(orders=320, days=12)
CLASSES = 26
LOOPS = ("order", "booking", "aftersale", "member")
# Within this time a sound case of the simulated company has passed all of its legs.
SETTLED = timedelta(days=5)

LEG = re.compile(
    r"(?P<mark>\S) (?P<leg>[a-z]+) +(?P<truth>[a-z ]+?)(?: \(not mandatory\))?"
    r"(?: — (?P<divergence>[a-z_]+) \S+)?(?:: (?P<because>.+))?"
)
FACT = re.compile(r" {4}(?P<name>follows|found|why|due|at stake|first seen|owner) +(?P<told>.+)")
ROW = re.compile(r"\[([a-z_]+/[0-9a-f]+/[^\]]+)\]")


@dataclass(frozen=True)
class LegTold:
    """One leg as the story tells it."""

    mark: str
    truth: str
    divergence: str | None
    because: str | None
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[str]:
        return ROW.findall(" ".join(self.facts.values()))


@dataclass(frozen=True)
class Told:
    """A story as read back from its lines, and from nothing else."""

    verdict: str
    legs: dict[str, LegTold]

    @classmethod
    def read(cls, lines: list[str]) -> "Told":
        legs: dict[str, LegTold] = {}
        name = ""
        for line in lines[4:]:
            if leg := LEG.fullmatch(line):
                name = leg["leg"]
                legs[name] = LegTold(*leg.group("mark", "truth", "divergence", "because"))
            elif fact := FACT.fullmatch(line):
                legs[name].facts[fact["name"]] = fact["told"]
            else:
                raise AssertionError(f"neither a leg nor a fact: {line!r}")
        return cls(lines[2], legs)

    @property
    def diverging(self) -> dict[str, str]:
        return {name: leg.divergence for name, leg in self.legs.items() if leg.divergence}


@dataclass(frozen=True)
class Simulated:
    """A simulated company with its stories, the world it was written from, and its landed rows."""

    landed: Landed
    world: World
    at_stake: Mapping[tuple[str, str], int]

    @property
    def planted(self) -> tuple[Expected, ...]:
        return self.landed.planted

    @cache  # noqa: B019
    def story(self, case_id: str) -> list[str]:
        return list(tell_case(find_case(self.landed.warehouse, case_id)))

    def lawful(self, loop: str, variant: str) -> list[Attempt]:
        """Cases in which nothing was planted, of one kind, old enough to be settled."""
        broken = {row.case_id for row in self.planted}
        return [
            attempt
            for attempt in self.world.attempts
            if attempt.case_id.startswith(f"{loop}:")
            and attempt.variant == variant
            and attempt.case_id not in broken
            and attempt.submitted_at < self.world.end - SETTLED
        ]

    @cache  # noqa: B019
    def values(self, table: str, batch_id: str) -> list[set[str]]:
        """The values of each row of one landed batch."""
        (path,) = [
            batch.path for batch in self.landed.landing.batches(table) if batch.batch_id == batch_id
        ]
        rows = pq.read_table(path).to_pylist()
        return [{str(value) for value in row.values() if value is not None} for row in rows]

    def find_rows(self, reference: str) -> list[set[str]]:
        """The landed rows that a reference names."""
        table, batch_id, *key = reference.split("/")
        wanted = {part for part in key if part}
        return [values for values in self.values(table, batch_id) if wanted <= values]

    def __hash__(self) -> int:
        return id(self)


@pytest.fixture(scope="module")
def simulated() -> Iterator[Simulated]:
    """Landed once, judged in memory, and its marts written where readers look for them."""
    with landed(SMALL) as company, company.scratch(compile_models()) as connection:
        write_marts(connection, company.warehouse.published)
        rows = connection.execute(
            "select case_id, leg, amount_at_stake_fen from marts.fct_divergences"
            " where amount_at_stake_fen is not null"
        ).fetchall()
        at_stake = {(case_id, leg): int(fen) for case_id, leg, fen in rows}
        # While one reader holds the file, the next one opens it at once.
        with company.warehouse.read():
            yield Simulated(company, build_world(SMALL), at_stake)


def write_marts(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    connection.execute(f"attach '{file}' as published")
    connection.execute("create schema published.marts")
    names = connection.execute(
        "select table_name from duckdb_tables() where schema_name = 'marts'"
        " and database_name = current_database()"
    ).fetchall()
    for (name,) in names:
        connection.execute(f"create table published.marts.{name} as from marts.{name}")
    connection.execute("detach published")


def find_mistakes(told: Told, expected: Expected, at_stake_fen: int | None) -> list[str]:
    """What a story says otherwise than what was planted."""
    mistakes = []
    if told.diverging != {expected.leg: expected.divergence}:
        return [f"tells {told.diverging}"]
    leg = told.legs[expected.leg]
    if expected.sub_class and f"({expected.sub_class}: " not in leg.facts["why"]:
        mistakes.append(f"explains the amounts by {leg.facts['why']!r}")
    if expected.divergence == "surface_only":
        in_short = "no system behind it knows the case"
    elif expected.divergence == "backend_only":
        in_short = "Only the back end knows it"
    else:
        in_short = expected.leg
    if in_short not in told.verdict:
        mistakes.append(f"says in short {told.verdict!r}")
    if not leg.rows:
        mistakes.append("names no landed row")
    stake = f"¥{at_stake_fen / 100:,.2f}" if at_stake_fen is not None else None
    if leg.facts.get("at stake") != stake:
        mistakes.append(f"puts at stake {leg.facts.get('at stake')}, not {stake}")
    seen_at = f"as of {last_instant():%Y-%m-%d %H:%M:%S}"
    if leg.facts.get("first seen") != seen_at:
        mistakes.append(f"was first seen {leg.facts.get('first seen')}, not {seen_at}")
    return mistakes


def last_instant() -> datetime:
    """The only run knows every source to the end of the last day."""
    midnight = datetime.combine(SMALL.last_day, datetime.min.time(), tzinfo=SHANGHAI)
    return midnight + timedelta(days=1)


def test_every_planted_case_is_told_as_it_was_planted(simulated: Simulated) -> None:
    mistakes = {
        row: found
        for row in simulated.planted
        if (
            found := find_mistakes(
                Told.read(simulated.story(row.case_id)),
                row,
                simulated.at_stake.get((row.case_id, row.leg)),
            )
        )
    }
    assert mistakes == {}
    assert len({row.divergence for row in simulated.planted}) == CLASSES
    assert {row.case_id.partition(":")[0] for row in simulated.planted} == set(LOOPS)


@pytest.mark.parametrize(
    ("told_otherwise", "noticed"),
    [
        (lambda row: replace(row, leg="paid"), "tells {'booked': 'amount_mismatch'}"),
        (lambda row: replace(row, divergence="late"), "tells {'booked': 'amount_mismatch'}"),
        (lambda row: replace(row, sub_class="fee"), "explains the amounts by"),
    ],
    ids=["leg", "class", "sub-class"],
)
def test_a_story_of_another_leg_or_class_is_noticed(
    simulated: Simulated, told_otherwise: Callable[[Expected], Expected], noticed: str
) -> None:
    row = next(row for row in simulated.planted if (row.leg, row.sub_class) == ("booked", "coupon"))
    at_stake = simulated.at_stake[row.case_id, row.leg]
    told = Told.read(simulated.story(row.case_id))
    assert find_mistakes(told, row, at_stake) == []
    (mistake,) = find_mistakes(told, told_otherwise(row), at_stake)
    assert noticed in mistake


def test_a_story_of_other_money_or_without_rows_is_noticed(simulated: Simulated) -> None:
    row = next(row for row in simulated.planted if row.divergence == "paid_not_booked")
    at_stake = simulated.at_stake[row.case_id, row.leg]
    lines = simulated.story(row.case_id)
    assert find_mistakes(Told.read(lines), row, at_stake + 1)
    unproven = Told.read([ROW.sub("", line).rstrip() for line in lines])
    assert find_mistakes(unproven, row, at_stake) == ["names no landed row"]


def test_every_row_that_a_story_names_was_landed_and_belongs_to_its_case(
    simulated: Simulated,
) -> None:
    named = 0
    for row in simulated.planted:
        numbers = {row.case_id.partition(":")[2]}
        for name, leg in Told.read(simulated.story(row.case_id)).legs.items():
            for reference in leg.rows:
                (values,) = simulated.find_rows(reference)
                named += 1
                # A buyer has no order number, and an order that lost its own is known by its row.
                if reference.startswith("crm_contacts/") or leg.divergence == "key_lost":
                    numbers.add(reference.rpartition("/")[2])
                else:
                    assert numbers & values, (row, name, reference)
                    numbers |= keys_of(reference)
    assert named > 10 * len(simulated.planted)
    assert not simulated.find_rows(reference.rpartition("/")[0] + "/of nobody")


def keys_of(reference: str) -> set[str]:
    """The keys that a row hands on to the rows that follow it: an ERP order's, a payment's."""
    return set(reference.split("/")[2:]) - {"", "payment", "refund"}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_healthy_case_is_told_as_closed_with_the_evidence_of_every_leg(
    simulated: Simulated, loop: str
) -> None:
    healthy = simulated.lawful(loop, "")
    assert healthy
    for attempt in healthy:
        told = Told.read(simulated.story(attempt.case_id))
        assert told.verdict == (
            "The front end shows success. The loop is closed: every mandatory leg is proven."
        )
        owed = {name: leg for name, leg in told.legs.items() if name != "refunded"}
        assert {leg.truth for leg in owed.values()} == {"verified"}
        for leg in owed.values():
            (found,) = ROW.findall(leg.facts["found"])
            assert simulated.find_rows(found)
        if loop == "order":
            assert told.legs["refunded"].because == "nobody refunded"


def test_no_story_of_a_broken_loop_says_that_it_is_closed(simulated: Simulated) -> None:
    for row in simulated.planted:
        told = Told.read(simulated.story(row.case_id))
        is_broken = any(
            leg.truth in ("refuted", "unverifiable", "pending") for leg in told.legs.values()
        )
        if is_broken and row.leg not in ("notified", "refunded"):
            assert "The loop is closed" not in told.verdict, row


# What is lawful, though it looks odd.


def test_a_cancelled_order_says_why_nothing_was_shipped(simulated: Simulated) -> None:
    attempts = simulated.lawful("order", "cancelled_and_refunded")
    assert attempts
    for attempt in attempts:
        told = Told.read(simulated.story(attempt.case_id))
        assert "The loop is closed" in told.verdict
        for name in ("fulfilled", "reflowed", "notified"):
            assert told.legs[name].truth == "not due"
            assert told.legs[name].because == (
                "cancelled, or wholly refunded before it was shipped"
            )


def test_a_refund_names_the_row_of_either_side_whichever_came_first(
    simulated: Simulated,
) -> None:
    posted_first = [row for row in simulated.planted if row.fault == "refund_posted_odd"]
    lawful = [attempt.case_id for attempt in simulated.lawful("order", "refunded")]
    assert posted_first
    assert lawful
    for case_id in [*lawful, *(row.case_id for row in posted_first)]:
        facts = Told.read(simulated.story(case_id)).legs["refunded"].facts
        assert "(the earlier side)" in facts["follows"]
        assert "[pay_bill/" in facts["follows"]
        assert "[erp_refunds/" in facts["found"]


def test_a_payment_under_another_number_says_how_it_was_found(simulated: Simulated) -> None:
    attempts = simulated.lawful("order", "paid_under_other_number")
    assert attempts
    told = [Told.read(simulated.story(attempt.case_id)).legs["paid"] for attempt in attempts]
    assert any("by the transaction that its ERP order names" in leg.facts["found"] for leg in told)


def test_a_case_given_up_owes_nothing_and_a_ticket_was_never_paid(simulated: Simulated) -> None:
    (given_up, *_), (declined, *_) = (
        simulated.lawful("order", "abandoned"),
        simulated.lawful("aftersale", "never_accepted"),
    )
    story = simulated.story(given_up.case_id)
    assert "Given up before paying: an interruption, not a divergence." in story
    told = Told.read(simulated.story(declined.case_id))
    assert told.verdict == "Only the back end knows it, and never accepted it: nothing is owed."
    # Nothing comes before the claim: it must not be put down to another leg.
    assert told.legs["submitted"].because is None
    assert "no event of this number" in told.legs["submitted"].facts["found"]


def test_a_buyer_known_twice_is_told_with_both_contacts(simulated: Simulated) -> None:
    conflicts = [row for row in simulated.planted if row.divergence == "identity_conflict"]
    for row in conflicts:
        leg = Told.read(simulated.story(row.case_id)).legs["known"]
        contacts = ROW.findall(leg.facts["why"])
        assert len(set(contacts)) == 2
        assert all(contact.startswith("crm_contacts/") for contact in contacts)


def test_what_was_typed_in_late_is_told_as_both(simulated: Simulated) -> None:
    told = [
        Told.read(simulated.story(row.case_id)).legs[row.leg]
        for row in simulated.planted
        if row.divergence == "manual_rekey"
    ]
    late = [leg for leg in told if leg.truth == "late"]
    assert late
    for leg in late:
        assert "made by hand" in leg.facts["why"]
        assert "later than agreed" in leg.facts["why"]


# The command.


@pytest.fixture
def explain(
    simulated: Simulated, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[int, str, str]]:
    def run(asked: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["explain", asked, "--company", str(simulated.landed.company.folder)])
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def test_the_command_tells_the_case_that_a_bare_number_or_an_erp_number_names(
    simulated: Simulated, explain: Callable[[str], tuple[int, str, str]]
) -> None:
    row = next(row for row in simulated.planted if row.divergence == "key_lost")
    code, out, _ = explain(row.case_id.partition(":")[2])
    assert code == 0
    told = out.splitlines()
    assert told == [line.rstrip() for line in simulated.story(row.case_id)]
    erp_order_no = Told.read(told).legs["booked"].rows[-1].rpartition("/")[2]
    assert explain(erp_order_no)[1] == out


def test_an_unknown_number_is_answered_with_those_near_it_and_a_strange_one_with_none(
    simulated: Simulated, explain: Callable[[str], tuple[int, str, str]]
) -> None:
    row = next(row for row in simulated.planted if row.case_id.startswith("order:"))
    code, _, err = explain(f"{row.case_id}x")
    assert code == 1
    assert row.case_id in err
    code, _, err = explain("nothing like it")
    assert code == 1
    assert "did you mean" not in err
    assert "no case has a number like it" in err
