"""The alert asset: what diverges is decided from the published file, queued, and sent once.

A check that warns leaves its run successful, so no run sensor would ever see it: what the business
must hear is decided here, as data.
"""

import dagster as dg

from pipeline.defs.failures import told_to_dagster
from pipeline.defs.publish import PUBLISHED
from pipeline.defs.resources import OWNERS, CompanyFolder

TOLD = dg.AssetKey(["alerts", "told"])


@dg.asset(
    key=TOLD,
    deps=[PUBLISHED],
    group_name="alerts",
    kinds={"sqlite"},
    owners=OWNERS,
    description="One row per alert and channel in the outbox of `alerts.sqlite`: opened, worsened"
    " or healed by what was just published, each told once. What could not be sent stays there.",
)
def told(context: dg.AssetExecutionContext, company: CompanyFolder) -> dg.MaterializeResult[None]:
    from pipeline.alerts import decide, send

    loaded = company.load()
    published = company.warehouse().published
    state = loaded.data / "alerts.sqlite"
    with told_to_dagster(context):
        decision = decide(published, state, loaded.alerts.channels)
        sent = send(state, loaded)
    for error in sent.errors:
        context.log.warning(f"not sent: {error}")
    return dg.MaterializeResult(
        metadata={
            "decided": len(decision.transitions),
            "open": decision.open_count,
            "muted_legs": list(decision.muted_legs),
            "is_suppressed": decision.is_suppressed,
            "sent": sent.sent_count,
            "messages": sent.messages_count,
            "pending": sent.pending_count,
            "failed": sent.failed_count,
            "errors": list(sent.errors),
        }
    )
