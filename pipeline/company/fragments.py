"""The ready-made parts of `sources.yml`, one for each system that a company may have.

A part is `templates/systems/<system>/connection.yml` with one file beside it for each role that the
system can play. Writing a folder is the concern of `creation`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.company.mistakes import suggest
from pipeline.company.sources import CONNECTORS
from pipeline.errors import ConfigurationError

TEMPLATES = Path(__file__).with_name("templates")
SYSTEMS = TEMPLATES / "systems"
# What a system may be to a company. Of WeChat's parts it may have several, of the others one.
SHARED_ROLE = "wechat"
ROLES = (SHARED_ROLE, "tracking", "messages", "erp", "crm")
NONE = "none"
# The accounts whose calls WeChat counts.
_COUNTED = ("mini_program", "service_account")


def systems_for(role: str) -> list[str]:
    """The systems that can play a role, as far as their connectors are known."""
    return sorted(
        path.parent.name
        for path in SYSTEMS.glob(f"*/{role}.yml")
        if set(re.findall(r"connector: (\w+)", path.read_text(encoding="utf-8"))) <= {*CONNECTORS}
    )


def choose(chosen: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Role to the systems that play it, `none` left out. Raises ConfigurationError."""
    checked = {}
    for role, systems in chosen.items():
        allowed = systems_for(role)
        named = tuple(dict.fromkeys(system for system in systems if system != NONE))
        for system in named:
            if system not in allowed:
                raise ConfigurationError(
                    f"--{role}: found '{system}', {suggest(system, [*allowed, NONE])}"
                )
        if len(named) > 1 and role != SHARED_ROLE:
            raise ConfigurationError(
                f"--{role}: found {' and '.join(named)}, allowed: one, for each writes the same"
                " tables; further ones are added in sources.yml"
            )
        if named:
            checked[role] = named
    return checked


def compose(chosen: Mapping[str, Sequence[str]]) -> str:
    """The text of `sources.yml` for role to systems, as `choose` gives them."""
    parts = [(system, role) for role in ROLES for system in chosen.get(role, ())]
    connections = dict.fromkeys(_read(system, "connection", role) for system, role in parts)
    tables = [_read(system, role, role) for system, role in parts]
    counted = [system for system in _COUNTED if system in chosen.get(SHARED_ROLE, ())]
    if counted:
        accounts = ", ".join(counted)
        tables.append(
            "  # How many of the day's calls are left.\n"
            f"  wechat_quota: {{connector: wechat_quota, connection: [{accounts}]}}\n"
        )
    head = (TEMPLATES / "sources.yml").read_text(encoding="utf-8")
    return (
        f"{head}\n{_section('connections', connections, '')}\n{_section('tables', tables, chr(10))}"
    )


def folders_of(sources: str) -> list[str]:
    """The folders that exports are to be dropped in, as `compose` wrote them."""
    return re.findall(r"\{folder: (drop/\w+)\}", sources)


def _section(name: str, parts: Iterable[str], between: str) -> str:
    written = between.join(parts)
    return f"{name}:\n{written}" if written else f"{name}: {{}}\n"


def _read(system: str, name: str, role: str) -> str:
    text = (SYSTEMS / system / f"{name}.yml").read_text(encoding="utf-8")
    return text.replace("<role>", role).replace("<ROLE>", role.upper())
