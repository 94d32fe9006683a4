"""A company that never was: its people, its systems as real servers and files, its planted faults.

The pipeline reaches the systems only through its connectors; what is true stands in
`systems/truth.json`, which `score.py` alone reads.
"""

from pipeline.simulation.anonymous import judged_without_makers
from pipeline.simulation.running import RunningSystems, running_systems
from pipeline.simulation.score import Score, score, untracked_days
from pipeline.simulation.simulate import Summary, simulate
from pipeline.simulation.world import Options

__all__ = [
    "Options", "RunningSystems", "Score", "Summary", "judged_without_makers", "running_systems",
    "score", "simulate", "untracked_days",
]  # fmt: skip
