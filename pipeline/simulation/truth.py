"""What is true about the simulated company: the divergences planted, and nothing that was seen.

Written beside the systems, read by `score.py` alone.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

TRUTH = Path("systems/truth.json")
"""Where the truth lies in a company folder."""


@dataclass(frozen=True, order=True)
class Expected:
    """One divergence that must be found. `sub_class` is told only of differing amounts.

    `settled_at` bounds the instant from which it is due: sources that are known complete up to it
    show the finding, whatever else is still to come.
    """

    case_id: str
    leg: str
    divergence: str
    sub_class: str | None = None
    fault: str = ""
    settled_at: str | None = None


def write_truth(path: Path, expected: Iterable[Expected]) -> None:
    """Write the planted divergences, in the order of their cases."""
    rows = [asdict(row) for row in sorted(expected)]
    text = json.dumps({"expected": rows}, ensure_ascii=False, indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def read_truth(path: Path) -> list[Expected]:
    """The planted divergences. Raises FileNotFoundError where no company was simulated."""
    return [Expected(**row) for row in json.loads(path.read_text(encoding="utf-8"))["expected"]]
