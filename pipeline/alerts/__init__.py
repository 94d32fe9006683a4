"""Alerts: which divergences are told to whom, once, and until when.

`decide` judges the published file and queues, `send` delivers; the rest is what an operator asks
and says. The state is `<data>/alerts.sqlite`. Pipeline failures are Dagster's to report.
"""

from pipeline.alerts.decision import Decision, decide
from pipeline.alerts.delivery import Sent, send, try_channels
from pipeline.alerts.handling import (
    AlertStory,
    acknowledge,
    list_alerts,
    list_unsent,
    retry_failed,
    show,
    silence,
)
from pipeline.alerts.records import Alert, Evaluation, Transition
from pipeline.alerts.state import Outgoing

__all__ = [
    "Alert",
    "AlertStory",
    "Decision",
    "Evaluation",
    "Outgoing",
    "Sent",
    "Transition",
    "acknowledge",
    "decide",
    "list_alerts",
    "list_unsent",
    "retry_failed",
    "send",
    "show",
    "silence",
    "try_channels",
]
