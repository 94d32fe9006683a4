"""What stands between a company folder and a build: what is in order, and what wants mending."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

import httpx

from pipeline.company import Company
from pipeline.company.mistakes import Settings
from pipeline.errors import BihuanError, ConfigurationError, RetiredEndpointError
from pipeline.landed import TABLES
from pipeline.landing import SHANGHAI, Landing
from pipeline.samples import describe, look_into
from pipeline.sources import Sampled, open_source

Level = Literal["ok", "note", "problem"]

# WeChat Pay refuses a request whose timestamp is more than five minutes off its own clock; a fifth
# of that leaves room for the clock to drift between two visits of the doctor.
MOST_CLOCK_SKEW = timedelta(seconds=60)
CLOCK_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `mend` says what to do; a note wants no mending for a build to work."""

    subject: str
    level: Level
    told: str
    mend: str = ""
    lines: tuple[str, ...] = ()
    """What was seen, a line each."""


def examine(
    company: Company, *, client: httpx.Client | None = None, now: datetime | None = None
) -> Iterator[Finding]:
    """Look at secrets, systems and what is mapped of them, landed data and the clock, in this
    order. Nothing is changed."""
    lines = ", ".join(str(loop.business_line) for loop in company.loops) or "the default contract"
    connected = len(company.sources.tables)
    yield Finding("configuration", "ok", f"{company.name}: {connected} tables connected, {lines}")
    yield _examine_data_folder(company.data)
    yield from _examine_secrets(company)
    yield from _examine_systems(company)
    yield from _examine_landing(company)
    yield from _examine_clock(company, client or httpx.Client(), now or datetime.now(UTC))


def _examine_data_folder(data: Path) -> Finding:
    existing = next(folder for folder in (data, *data.parents) if folder.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return Finding("data folder", "ok", str(data))
    return Finding(
        "data folder", "problem", f"{existing} cannot be written to",
        "set `data` in company.yml, or give --data",
    )  # fmt: skip


def _examine_secrets(company: Company) -> Iterator[Finding]:
    """Whether each variable that the folder names is set; a value is never shown."""
    subject = f"secret {company.hash_key_env}"
    try:
        _ = company.hash_key
        yield Finding(subject, "ok", "set")
    except ConfigurationError as error:
        yield Finding(subject, "problem", error.message, error.next_step)
    for name, user in _named_secrets(company).items():
        try:
            company.secret(name)
            yield Finding(f"secret {name}", "ok", f"set, for {user}")
        except ConfigurationError as error:
            yield Finding(f"secret {name}", "problem", f"not set, for {user}", error.next_step)
    for name, connection in company.sources.connections.items():
        paths = [connection.private_key_path, *connection.platform_keys.values()]
        for path in paths:
            if path is not None and not path.is_file():
                yield Finding(
                    f"key of {name}", "problem", f"found no file {path}",
                    f"put the PEM file there, or mend its path under {name} in sources.yml",
                )  # fmt: skip


def _named_secrets(company: Company) -> dict[str, str]:
    """Each variable that a connection in use or an alert channel names, and who needs it."""
    used = {name for table in company.sources.tables.values() for name in table.connections}
    named: dict[str, str] = {}
    for name in sorted(used):
        connection = company.sources.connections[name]
        named |= dict.fromkeys(_variables(connection), f"connection {name}")
    for channel in company.alerts.channels:
        named[channel.key_env] = f"alert channel {channel.name}"
    return named


def _variables(settings: Settings) -> Iterator[str]:
    """The environment variables that settings name, also deep inside of them."""
    for key, value in settings:
        if isinstance(value, Settings):
            yield from _variables(value)
        elif key.endswith("_env") and value:
            yield value


def _examine_systems(company: Company) -> Iterator[Finding]:
    """What each table's system answers. Tables that one thing ails are told together."""
    ailing: dict[tuple[str, type[BihuanError], str], list[str]] = {}
    first: dict[tuple[str, type[BihuanError], str], BihuanError] = {}
    for table, settings in company.sources.tables.items():
        connections = ", ".join(settings.connections)
        try:
            source = open_source(table, company)
            yield Finding(f"{table} ({connections})", "ok", source.probe())
            if isinstance(source, Sampled):
                yield from _examine_mapping(table, source, company)
        except RetiredEndpointError as error:
            yield Finding(f"{table} ({connections})", "note", error.message, error.next_step)
        except BihuanError as error:
            ailment = (connections, type(error), error.next_step)
            ailing.setdefault(ailment, []).append(table)
            first.setdefault(ailment, error)
    for ailment, tables in ailing.items():
        connections, _, next_step = ailment
        subject = f"{', '.join(tables)} ({connections})"
        yield Finding(subject, "problem", first[ailment].message, next_step)


def _examine_mapping(table: str, source: Sampled, company: Company) -> Iterator[Finding]:
    """What the mapping makes of some rows of the live system. Nothing of it lands."""
    try:
        hash_key = company.hash_key
    except ConfigurationError:
        hash_key = None  # told among the secrets
    settings = company.sources.tables[table]
    looked = look_into(source, TABLES[table], settings, hash_key=hash_key)
    if looked is None:
        return
    refused = sum(looked.refusals.values())
    told = f"{looked.rows_count} rows fit" + (f", {refused} are refused" if refused else "")
    mend = ""
    if refused:
        mend = f"complete `columns` of {table} in sources.yml; refused rows go to quarantine"
    elif looked.never_present:
        names = " nor ".join(looked.never_present)
        mend = f"no row has {names}: look in which field of the system WeChat's numbers stand"
    elif looked.by_interface_count == 0 and looked.rows_count:
        mend = f"every record reads as made by hand: complete `interface_actors` of {table}"
    level: Level = "problem" if refused and not looked.rows_count else "note" if mend else "ok"
    yield Finding(f"mapping {table}", level, told, mend, tuple(describe(looked)))


def _examine_landing(company: Company) -> Iterator[Finding]:
    """How far each table is landed, and which rows were set aside."""
    # Nothing is landed here, so no phone is hashed and a missing key is told elsewhere.
    landing = Landing(company.data / "landing", hash_key=b"")
    batches, watermarks = landing.batches(), landing.watermarks()
    if not batches:
        yield Finding("landed", "note", "nothing yet", "run bihuan build")
        return
    for table in company.sources.tables:
        own = [batch for batch in batches if batch.table == table]
        watermark = watermarks.get(table)
        if watermark is None:
            yield Finding(f"landed {table}", "note", "nothing yet", "run bihuan build")
            continue
        rows, aside = sum(b.rows for b in own), sum(b.quarantined for b in own)
        told = f"{rows} rows in {len(own)} days, complete until {_minute(watermark.complete_until)}"
        yield Finding(f"landed {table}", "ok", told)
        if aside:
            yield Finding(
                f"quarantine {table}", "note", f"{aside} rows do not fit and are not judged",
                f"read why in {landing.quarantine / table}, mend the source or its mapping, and"
                " build those days again",
            )  # fmt: skip


def _examine_clock(company: Company, client: httpx.Client, now: datetime) -> Iterator[Finding]:
    """This machine's clock against that of the first system reached over HTTP."""
    for address in company.sources.addresses():
        try:
            answer = client.head(address, timeout=CLOCK_TIMEOUT_SECONDS)
            there = parsedate_to_datetime(answer.headers["date"])
        except (httpx.HTTPError, KeyError, ValueError):
            continue
        skew = abs(now - there)
        if skew <= MOST_CLOCK_SKEW:
            yield Finding("clock", "ok", f"within {MOST_CLOCK_SKEW.seconds} s of {address}")
        else:
            yield Finding(
                "clock", "problem", f"{skew.total_seconds():.0f} s away from that of {address}",
                "set this machine's clock, for instance with NTP; WeChat Pay refuses signatures"
                " that are five minutes off",
            )  # fmt: skip
        return
    yield Finding("clock", "note", f"{_minute(now)}, compared with no other")


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(SHANGHAI):%Y-%m-%d %H:%M} Shanghai time"
