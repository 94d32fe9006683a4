"""Putting a simulated company on disk: its folder, its systems, its secrets and its truth."""

import secrets
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from pipeline.company.creation import create_from_template
from pipeline.simulation.callbacks import write_callbacks
from pipeline.simulation.contact_book import write_contact_book
from pipeline.simulation.crm import write_crm
from pipeline.simulation.erp import write_erp
from pipeline.simulation.events import Event, write_events
from pipeline.simulation.keys import write_keys
from pipeline.simulation.messages import write_messages
from pipeline.simulation.truth import TRUTH, write_truth
from pipeline.simulation.tryton.books import ADMIN_PASSWORD, NOT_IN_TRYTON, write_tryton
from pipeline.simulation.tryton.wiring import TRYTON_PASSWORD, read_from_tryton
from pipeline.simulation.wechat_books import Account, write_books
from pipeline.simulation.world import Options, World, build_world

TRYTON = Path("systems/tryton")
"""Where the books of Tryton lie in a company folder."""


@dataclass(frozen=True)
class Summary:
    """What was simulated; `cases` are orders. `planted` counts divergences by class."""

    company_folder: Path
    seed: int
    first_day: date
    last_day: date
    people: int
    sessions: int
    events: int
    cases: int
    bookings: int
    tickets: int
    registrations: int
    abandoned_cases: int
    paid_fen: int
    planted: Mapping[str, int]


def simulate(
    company_folder: Path, options: Options | None = None, *, is_on_tryton: bool = False
) -> Summary:
    """Write the systems of a simulated company under `company_folder`, and its secrets to `.env`.

    A folder without `company.yml` gets a copy of the template first. The same options write the
    same bytes, but for the RSA keys and the hashing key, which are drawn once. With
    `is_on_tryton`, orders and receipts are booked in a live Tryton.
    """
    options = options or Options()
    if is_on_tryton:
        options = replace(options, without=NOT_IN_TRYTON)
    if not (company_folder / "company.yml").exists():
        create_from_template(company_folder)
    systems = company_folder / "systems"
    for name in ("events", "messages", "callbacks", "crm"):
        shutil.rmtree(systems / name, ignore_errors=True)
    world = build_world(options)
    if is_on_tryton:
        read_from_tryton(company_folder)
        write_tryton(world, company_folder / TRYTON)
    account = Account.open(options.seed, options.last_day)
    events = write_events(world, systems / "events")
    write_books(world, account, events, systems / "wechat")
    write_contact_book(world, options.seed, systems / "wechat")
    write_keys(systems / "wechat")
    write_erp(world, systems / "erp.sqlite")
    write_crm(world, systems / "crm")
    write_messages(world, systems / "messages")
    write_callbacks(world, systems / "wechat", systems / "callbacks")
    write_truth(company_folder / TRUTH, world.expected)
    _write_secrets(company_folder / ".env", account)
    return _summarise(company_folder, world, [event for day in events.values() for event in day])


def _write_secrets(path: Path, account: Account) -> None:
    """Set the simulated values in `.env`; a hashing key that is there stays, as do other lines."""
    wanted = {
        "MINI_PROGRAM_SECRET": account.app_secret,
        "SERVICE_ACCOUNT_SECRET": account.service_app_secret,
        "WECOM_ROBOT_KEY": account.robot_key,
        "SIMULATED_LAST_DAY": account.last_day.isoformat(),
        TRYTON_PASSWORD: ADMIN_PASSWORD,
    }
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if not any(line.startswith("BIHUAN_HASH_KEY=") for line in lines):
        wanted["BIHUAN_HASH_KEY"] = secrets.token_hex(32)
    kept = [line for line in lines if line.lstrip("# ").partition("=")[0] not in wanted]
    written = [*kept, *(f"{name}={value}" for name, value in wanted.items())]
    path.touch(mode=0o600)
    path.write_text("".join(f"{line}\n" for line in written), encoding="utf-8")


def _summarise(company_folder: Path, world: World, events: Sequence[Event]) -> Summary:
    happened = [case for case in world.cases if case.submitted_at < world.end]
    return Summary(
        company_folder=company_folder,
        seed=world.options.seed,
        first_day=world.options.business_days[0],
        last_day=world.options.last_day,
        people=len(world.people),
        sessions=len({event["sid"] for event in events}),
        events=len(events),
        cases=len(happened),
        bookings=len(world.bookings),
        tickets=len(world.tickets),
        registrations=len(world.registrations),
        abandoned_cases=sum(case.variant == "abandoned" for case in happened),
        # One payment may pay several orders.
        paid_fen=sum(
            {
                case.payment.transaction_id: case.payment.order_fen
                for case in happened
                if case.payment is not None and case.payment.at < world.end
            }.values()
        ),
        planted=Counter(expected.divergence for expected in world.expected),
    )
