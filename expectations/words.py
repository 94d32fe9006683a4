"""The closed vocabularies of the marts. A word outside them is a defect, not a finding."""

import csv
from pathlib import Path

SEEDS = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"

TRUTHS = ("verified", "late", "pending", "refuted", "unverifiable", "not_due")
MAKERS = ("interface", "human", "unknown")


def _first_column(seed: str) -> tuple[str, ...]:
    with (SEEDS / seed).open(encoding="utf-8", newline="") as lines:
        return tuple(row[0] for row in csv.reader(lines))[1:]


DIVERGENCES = _first_column("divergence_classes.csv")
BRIDGE_STEPS = _first_column("bridge_steps.csv")
GATES = _first_column("depth_gates.csv")
