"""Making a company folder: one wired to systems or to a drop, or a copy of the simulated one."""

import json
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pipeline.company.fragments import TEMPLATES, compose, folders_of
from pipeline.drop import Drop
from pipeline.errors import ConfigurationError

_LINE = re.compile(r"\w[\w-]*")
# A company that begins looks back a month: WeChat's own figures reach no further.
LOOKS_BACK = timedelta(days=30)
USUAL_LINE = "retail"

TEMPLATE = Path(__file__).resolve().parents[2] / "company"
# What the simulated company has beside its settings.
NOT_COPIED = ("systems", "data", ".env", "__pycache__")

GITIGNORE = """# Secrets and results stay out of version control.
.env
keys/
data/
drop/
"""

SOURCES_FROM_DROP = """# Where each landed table comes from. The files bear the landed names, so
# nothing is mapped; other names are mapped with `columns` (landed column: name in the file). A
# table that is not here is "not connected": the legs that need it read `unverifiable`, never
# `refuted`.
# interface_actors: who made records through an interface; records of all others are made by hand.
connections:
  drop: {{folder: {folder}}}

tables:
"""


@dataclass(frozen=True)
class Wanted:
    """What a company has. `systems`: role to the systems that play it, as `fragments.choose`."""

    name: str
    first_day: date
    systems: Mapping[str, Sequence[str]]
    business_lines: Sequence[str] = ()


@dataclass(frozen=True)
class Created:
    """What is left to do in a new folder."""

    fill_in: tuple[str, ...]
    secrets: tuple[str, ...]
    folders: tuple[Path, ...]
    """Where exports are to be dropped."""


def create_from_systems(folder: Path, wanted: Wanted) -> Created:
    """Write a company folder wired to the systems of a company. Raises ConfigurationError."""
    for line in wanted.business_lines:
        if not _LINE.fullmatch(line):
            raise ConfigurationError(
                f"business line: found '{line}', allowed: a code such as retail or flash_sale,"
                " as tracked events bear it under business_line"
            )
    refuse_to_overwrite(folder)
    (folder / "loops").mkdir(parents=True, exist_ok=True)
    sources = compose(wanted.systems)
    _write(folder, "company.yml", _company(wanted.name, wanted.first_day))
    _write(folder, "sources.yml", sources)
    _write(folder, "owners.yml", _template("owners.yml"))
    for line in wanted.business_lines:
        _write(folder, f"loops/{line}.yml", _template("loops/order.yml").replace("<line>", line))
    folders = [folder / name for name in folders_of(sources)]
    for exports in folders:
        exports.mkdir(parents=True, exist_ok=True)
    names = _secret_names(folder)
    _write_secrets(folder, names)
    return Created(_wanting(folder), tuple(names), tuple(folders))


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _company(name: str, first_day: date, last_day: date | None = None) -> str:
    ending = f"# What there is ends here. Leave it out once it goes on.\nlast_day: {last_day}\n"
    return (
        _template("company.yml")
        .replace("<name>", _text(name))
        .replace("<first_day>", f"{first_day}")
        .replace("<ending>\n", ending if last_day else "")
    )


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


def _wanting(folder: Path) -> tuple[str, ...]:
    """The files that hold something to fill in."""
    return tuple(
        sorted(path.name for path in folder.glob("*.yml") if "# Fill in" in path.read_text("utf-8"))
    )


def _secret_names(folder: Path) -> list[str]:
    """The variables that the folder names for secrets, but for the hashing key."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yml"))]
    found = {
        name
        for text in texts
        for line in text.splitlines()
        if not line.lstrip().startswith("#")
        for name in re.findall(r"_env: *([A-Z][A-Z0-9_]*)", line)
    }
    return sorted(found - {"BIHUAN_HASH_KEY"})


def create_from_template(folder: Path) -> list[str]:
    """Copy the simulated company to `folder`; return the files that want filling in.

    Raises ConfigurationError where the folder holds a company already or the template is missing.
    """
    refuse_to_overwrite(folder)
    if not (TEMPLATE / "company.yml").is_file():
        raise ConfigurationError(
            f"the template company is not at {TEMPLATE}",
            next_step="run bihuan from a checkout of the project, or use `bihuan init DIR --drop`",
        )
    shutil.copytree(
        TEMPLATE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_COPIED)
    )
    _write_secrets(folder, _secret_names(folder))
    return list(_wanting(folder))


def create_from_drop(
    folder: Path, drop: Drop, *, name: str | None = None, first_day: date | None = None
) -> None:
    """Write a company folder that reads `drop` in place, under its name and from its first day
    where no other is given. Raises ConfigurationError."""
    refuse_to_overwrite(folder)
    folder.mkdir(parents=True, exist_ok=True)
    company = _company(name or folder.resolve().name, first_day or drop.first_day, drop.last_day)
    sources = SOURCES_FROM_DROP.format(folder=_text(str(drop.folder)))
    _write(folder, "company.yml", company)
    _write(folder, "sources.yml", sources + _write_tables(drop))
    _write_secrets(folder, [])


def _write_tables(drop: Drop) -> str:
    written = []
    for dropped in drop.tables:
        lines = [
            f"  {dropped.table.name}:",
            "    connector: files",
            "    connection: drop",
            f"    files: {_text(dropped.pattern)}",
            "    holds: history",
        ]
        if dropped.interface_actors:
            actors = ", ".join(_text(actor) for actor in dropped.interface_actors)
            lines.append(f"    interface_actors: [{actors}]")
        written.append("\n".join(lines))
    return "\n\n".join(written) + "\n"


def _text(value: str) -> str:
    """A YAML scalar: a JSON string is one, whatever it holds."""
    return json.dumps(value, ensure_ascii=False)


def refuse_to_overwrite(folder: Path) -> None:
    """Raise ConfigurationError where the folder holds a company already, or is none."""
    if (folder / "company.yml").exists():
        raise ConfigurationError(
            f"{folder} is a company folder already; nothing was changed",
            next_step="name another folder, or remove this one first",
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file", next_step="name a folder")


def _write_secrets(folder: Path, names: Iterable[str]) -> None:
    """Write .env with a fresh hashing key, readable by its owner only, and keep it out of git.

    A key that is there already stays: with another one, phones landed before would match nobody.
    """
    path = folder / ".env"
    if not path.exists():
        path.touch(mode=0o600)
        wanted = "".join(f"{name}=\n" for name in names)
        path.write_text(f"BIHUAN_HASH_KEY={secrets.token_hex(32)}\n{wanted}", encoding="utf-8")
    (folder / ".gitignore").write_text(GITIGNORE, encoding="utf-8")
