"""The report asset: one page for a management meeting, written from the published file."""

import dagster as dg

from pipeline.defs.failures import told_to_dagster
from pipeline.defs.publish import PUBLISHED
from pipeline.defs.resources import OWNERS, CompanyFolder

PAGE = dg.AssetKey(["report", "page"])


@dg.asset(
    key=PAGE,
    deps=[PUBLISHED],
    group_name="report",
    kinds={"html"},
    owners=OWNERS,
    description="One self-contained page in Chinese and English: what is claimed, what is true,"
    " where it leaks and what that costs.",
)
def page(context: dg.AssetExecutionContext, company: CompanyFolder) -> dg.MaterializeResult[None]:
    from pipeline.report import write_report

    loaded = company.load()
    with told_to_dagster(context):
        written = write_report(
            company.warehouse().published,
            out=loaded.data / "report.html",
            targets={
                (loop.business_line, loop.loop): loop.target_closure
                for loop in loaded.loops
                if loop.business_line is not None
            },
        )
    return dg.MaterializeResult(
        metadata={"path": dg.MetadataValue.path(written), "bytes": written.stat().st_size}
    )
