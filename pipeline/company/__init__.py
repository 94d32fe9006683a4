"""The company folder, typed and validated: everything that is particular to one company.

What is read from a company's systems is the concern of `pipeline.sources`.
"""

from pipeline.company.contracts import Leg, Loop
from pipeline.company.folder import AlertChannel, Alerts, Company, Cost, Owner, load_company
from pipeline.company.sources import Candidate, ColumnSource, Connection, Sources, TableSource

__all__ = [
    "AlertChannel",
    "Alerts",
    "Candidate",
    "ColumnSource",
    "Company",
    "Connection",
    "Cost",
    "Leg",
    "Loop",
    "Owner",
    "Sources",
    "TableSource",
    "load_company",
]
