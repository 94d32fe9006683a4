"""The daily job as the processes of a run find it again."""

import dagster as dg

from pipeline.definitions import defs
from pipeline.defs.jobs import JOB


def daily() -> dg.JobDefinition:
    return defs().resolve_job_def(JOB)
