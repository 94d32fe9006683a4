"""Loading the company folder: every file validated, all mistakes told at once."""

import csv
import os
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, model_validator

from pipeline.company import contracts, sources
from pipeline.company.contracts import Loop, LoopFile
from pipeline.company.mistakes import Document, Settings, read_document, read_model, suggest
from pipeline.company.sources import Sources
from pipeline.errors import ConfigurationError

COST_COLUMNS = ["item", "unit", "amount_fen"]
# BLAKE2b takes keys of up to 64 bytes; one shorter than 16 could be guessed.
HASH_KEY_BYTES = range(16, 65)


class AlertChannel(Settings):
    """Where alerts are sent. `key_env` names the variable that bears the robot's key."""

    name: str
    transport: Literal["wecom"]
    base_url: str = "https://qyapi.weixin.qq.com"
    key_env: str


class Alerts(Settings):
    """Who is told."""

    channels: tuple[AlertChannel, ...] = ()


class Identity(Settings):
    """How identifiers are told apart. One that leads to more people than the limit names nobody."""

    shared_limit: int = Field(default=3, ge=1)


class CompanyFile(Settings):
    """`company.yml`."""

    name: str = Field(min_length=1)
    time_zone: Literal["Asia/Shanghai"] = "Asia/Shanghai"
    currency: Literal["CNY"] = "CNY"
    first_day: date
    last_day: date | None = None
    data: Path = Path("data")
    retention_days: int = Field(default=1095, ge=1)
    hash_key_env: str = "BIHUAN_HASH_KEY"
    identity: Identity = Identity()
    alerts: Alerts = Alerts()

    @model_validator(mode="after")
    def _end_after_the_beginning(self) -> "CompanyFile":
        if self.last_day is not None and self.last_day < self.first_day:
            raise ValueError(f"last_day {self.last_day}, allowed: {self.first_day} or later")
        return self


class Owner(Settings):
    """Who answers for a leg."""

    team: str
    contact: str = ""


class Cost(Settings):
    """One row of `costs.csv`: what one unit of `item` costs."""

    item: str
    unit: str
    amount_fen: int


class Company(BaseModel):
    """One company as its folder describes it. Paths are absolute; secrets are read when asked."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    name: str
    time_zone: str
    currency: str
    first_day: date
    last_day: date | None
    data: Path
    retention_days: int
    hash_key_env: str
    alerts: Alerts
    sources: Sources
    loops: list[Loop]
    owners: dict[str, Owner]
    costs: list[Cost]
    scenarios: dict[str, Any]
    pilots: dict[str, Any]
    identity: Identity = Identity()

    _environment: dict[str, str] = PrivateAttr(default_factory=dict)

    @staticmethod
    def default_loop(loop: str = "order") -> Loop:
        """The contract of a business line that has no file of its own."""
        return contracts.default_loop(loop)

    def secret(self, name: str) -> SecretStr:
        """The secret that the variable `name` bears. Raises ConfigurationError if it is not set."""
        value = self._environment.get(name, "")
        if not value:
            raise ConfigurationError(
                f"the variable {name} is not set",
                next_step=f"set it in the environment, or write {name}=… to {self.folder / '.env'}",
            )
        return SecretStr(value)

    @cached_property
    def hash_key(self) -> bytes:
        """The key that phone numbers are hashed with. Raises ConfigurationError."""
        key = self.secret(self.hash_key_env).get_secret_value().encode()
        if len(key) not in HASH_KEY_BYTES:
            raise ConfigurationError(
                f"{self.hash_key_env}: found {len(key)} bytes, allowed: 16 to 64",
                next_step="`python -c 'import secrets; print(secrets.token_hex(32))'` makes one",
            )
        return key


def load_company(
    folder: Path, *, data: Path | None = None, environment: Mapping[str, str] | None = None
) -> Company:
    """Read and validate the whole folder; `data` overrides where results are kept.

    `.env` beside company.yml is read first and overridden by `environment` (default: os.environ).
    Raises ConfigurationError that lists every mistake with file, line, key, found and allowed.
    """
    folder = Path(folder).expanduser().resolve()
    if not (folder / "company.yml").is_file():
        raise ConfigurationError(
            f"{folder} is not a company folder: found no company.yml",
            next_step="`bihuan init DIR` makes one; --company or BIHUAN_COMPANY says where it is",
        )
    known = {**_read_env(folder), **(os.environ if environment is None else environment)}
    mistakes: list[str] = []
    settings = _read(CompanyFile, folder, "company.yml", known, mistakes)
    wiring = _read_sources(folder, known, mistakes)
    owners = _read_owners(folder, known, mistakes)
    company_parts: dict[str, Any] = {
        "sources": sources.resolve_paths(wiring or Sources(), folder),
        "loops": _read_loops(folder, known, list(owners), mistakes),
        "owners": owners,
        "costs": list(_read_costs(folder, mistakes)),
        "scenarios": _read_mapping(folder, "scenarios.yml", known, mistakes),
        "pilots": {
            path.stem: _read_mapping(folder, f"pilots/{path.name}", known, mistakes)
            for path in _yaml_files(folder / "pilots")
        },
    }
    if mistakes or settings is None:
        count = f"{len(mistakes)} mistake" + ("s" if len(mistakes) > 1 else "")
        raise ConfigurationError(f"{folder}: {count}", mistakes=mistakes)
    company = Company.model_validate(
        settings.model_dump(exclude={"data", "identity", "alerts"})
        | company_parts
        | {
            "folder": folder,
            "data": (data or folder / settings.data.expanduser()).expanduser().resolve(),
            "identity": settings.identity,
            "alerts": settings.alerts,
        }
    )
    company._environment.update(known)
    return company


def _read_env(folder: Path) -> dict[str, str]:
    values = dotenv_values(folder / ".env", interpolate=False, encoding="utf-8")
    return {name: value for name, value in values.items() if value is not None}


def _read(
    model: type[Any], folder: Path, name: str, known: Mapping[str, str], mistakes: list[str]
) -> Any:
    document = read_document(folder, name, known, mistakes)
    return document and read_model(model, document, mistakes)


def _read_sources(folder: Path, known: Mapping[str, str], mistakes: list[str]) -> Sources | None:
    if not (folder / "sources.yml").is_file():
        others = sorted(path.name for path in folder.glob("*.y*ml"))
        mistakes.append(f"sources.yml:1: missing; found {', '.join(others)}")
        return None
    document = read_document(folder, "sources.yml", known, mistakes)
    if document is None:
        return None
    wiring = read_model(Sources, document, mistakes)
    if wiring is not None:
        mistakes.extend(sources.find_mistakes(wiring, document))
    return wiring


def _read_owners(folder: Path, known: Mapping[str, str], mistakes: list[str]) -> dict[str, Owner]:
    if not (folder / "owners.yml").is_file():
        return {}
    document = read_document(folder, "owners.yml", known, mistakes)
    if document is None or not isinstance(document.values or {}, dict):
        mistakes.extend(_refuse_other_than_keys(document))
        return {}
    owners = {}
    for name in document.values or {}:
        within = Document(document.name, document.values[name], document.written[name])
        owner = read_model(Owner, within, mistakes)
        # A broken entry is told once; the legs that name it are right to do so.
        owners[name] = owner or Owner(team=name)
    return owners


def _read_loops(
    folder: Path, known: Mapping[str, str], owners: list[str], mistakes: list[str]
) -> list[Loop]:
    loops: list[Loop] = []
    for path in _yaml_files(folder / "loops"):
        document = read_document(folder, f"loops/{path.name}", known, mistakes)
        written = document and read_model(LoopFile, document, mistakes)
        if not document or not written:
            continue
        found = list(contracts.find_mistakes(written, document, owners))
        if any(
            (loop.business_line, loop.loop) == (written.business_line, written.loop)
            for loop in loops
        ):
            problem = f"found '{written.business_line}' again, allowed: one file per line and loop"
            found.append(document.mistake(("business_line",), problem))
        mistakes.extend(found)
        if not found:
            loops.append(contracts.agree_loop(written))
    return loops


def _read_costs(folder: Path, mistakes: list[str]) -> Iterator[Cost]:
    path = folder / "costs.csv"
    if not path.is_file():
        return
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        header = rows.fieldnames or []
        mistakes.extend(
            f"costs.csv:1: missing column {column}"
            for column in COST_COLUMNS
            if column not in header
        )
        mistakes.extend(
            f"costs.csv:1: {column}: unknown column, {suggest(column, COST_COLUMNS)}"
            for column in header
            if column not in COST_COLUMNS
        )
        for row in rows:
            found = (row.get("amount_fen") or "").strip()
            if not found.lstrip("-").isdigit():
                mistakes.append(f"costs.csv:{rows.line_num}: amount_fen: found '{found}', "
                                "allowed: a whole number of fen")  # fmt: skip
                continue
            yield Cost(
                item=row.get("item") or "", unit=row.get("unit") or "", amount_fen=int(found)
            )


def _read_mapping(
    folder: Path, name: str, known: Mapping[str, str], mistakes: list[str]
) -> dict[str, Any]:
    if not (folder / name).is_file():
        return {}
    document = read_document(folder, name, known, mistakes)
    if document is None or not isinstance(document.values or {}, dict):
        mistakes.extend(_refuse_other_than_keys(document))
        return {}
    return document.values or {}


def _refuse_other_than_keys(document: Document | None) -> Iterator[str]:
    if document is not None:
        yield document.mistake((), f"found {document.found(())}, allowed: keys with values")


def _yaml_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix in (".yml", ".yaml"))
