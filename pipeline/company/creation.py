"""Making a company folder: a copy of the template, or one wired to a drop."""

import json
import re
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from pipeline.drop import Drop
from pipeline.errors import ConfigurationError

TEMPLATE = Path(__file__).resolve().parents[2] / "company"
# What the simulated company has beside its settings.
NOT_COPIED = ("systems", "data", ".env", "__pycache__")

GITIGNORE = """# Secrets and results stay out of version control.
.env
data/
"""

COMPANY_FROM_DROP = """# One company, wired to the files of {drop}.
# Every value may hold ${{NAME}} or ${{NAME:-default}}, taken from the environment or from .env.
name: {name}
time_zone: Asia/Shanghai
currency: CNY

# The days that the files held when they were wired. Leave last_day out once the files go on.
first_day: {first_day}
last_day: {last_day}

data: data
retention_days: 1095
hash_key_env: BIHUAN_HASH_KEY

# Who is told when the front end and the back end diverge; the key itself goes to .env.
# alerts:
#   channels:
#     - {{name: operators, transport: wecom, key_env: WECOM_ROBOT_KEY}}
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


def create_from_template(folder: Path) -> list[str]:
    """Copy the template company to `folder`; return the files that want filling in.

    Raises ConfigurationError where the folder holds a company already or the template is missing.
    """
    _refuse_to_overwrite(folder)
    if not (TEMPLATE / "company.yml").is_file():
        raise ConfigurationError(
            f"the template company is not at {TEMPLATE}",
            next_step="run bihuan from a checkout of the project, or use `bihuan init DIR --drop`",
        )
    shutil.copytree(
        TEMPLATE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_COPIED)
    )
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yml"))]
    names = {name for text in texts for name in re.findall(r"_env: *([A-Z][A-Z0-9_]*)", text)}
    _write_secrets(folder, sorted(names - {"BIHUAN_HASH_KEY"}))
    return sorted(
        path.name for path in folder.glob("*.yml") if "# Fill in" in path.read_text("utf-8")
    )


def create_from_drop(folder: Path, drop: Drop) -> None:
    """Write a company folder that reads `drop` in place. Raises ConfigurationError."""
    _refuse_to_overwrite(folder)
    folder.mkdir(parents=True, exist_ok=True)
    company = COMPANY_FROM_DROP.format(
        drop=drop.folder,
        name=_text(folder.resolve().name),
        first_day=drop.first_day,
        last_day=drop.last_day,
    )
    sources = SOURCES_FROM_DROP.format(folder=_text(str(drop.folder)))
    (folder / "company.yml").write_text(company, encoding="utf-8")
    (folder / "sources.yml").write_text(sources + _write_tables(drop), encoding="utf-8")
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


def _refuse_to_overwrite(folder: Path) -> None:
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
        wanted = "".join(f"# {name}=\n" for name in names)
        path.write_text(f"BIHUAN_HASH_KEY={secrets.token_hex(32)}\n{wanted}", encoding="utf-8")
    (folder / ".gitignore").write_text(GITIGNORE, encoding="utf-8")
