"""`bihuan build`: the pipeline that Dagster runs, in one process, for a person who waits for it."""

from pipeline.build.running import build
from pipeline.build.summary import (
    AlertsTold,
    BuildSummary,
    CheckOutcome,
    DivergenceTotal,
    TableLanded,
)
from pipeline.build.watching import Progress

__all__ = [
    "AlertsTold",
    "BuildSummary",
    "CheckOutcome",
    "DivergenceTotal",
    "Progress",
    "TableLanded",
    "build",
]
