"""The dbt project: where it lies, what runs it, and a digest of all that it says."""

import hashlib
import sys
from pathlib import Path

DBT_PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"
DBT = Path(sys.executable).with_name("dbt")


def digest_models() -> str:
    """SHA-256 over the name and content of every file of the dbt project that dbt reads."""
    digest = hashlib.sha256()
    for path in sorted(DBT_PROJECT.rglob("*")):
        within = path.relative_to(DBT_PROJECT)
        if path.is_file() and within.parts[0] not in {"target", "logs"}:
            digest.update(f"{within}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
