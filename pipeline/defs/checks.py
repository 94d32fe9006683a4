"""Great Expectations as asset checks: the candidate must be trustworthy, the company should agree.

Not trustworthy stops publishing. Not agreeing is what the project exists to show: it warns, and
the report that explains it still appears.
"""

import os
from collections.abc import Iterator, Sequence

import dagster as dg
import duckdb

from expectations import AGREEING, TRUSTWORTHY
from expectations.judging import Judgement, Suite, judge
from pipeline.defs.publish import CANDIDATE, PUBLISHED
from pipeline.defs.resources import POOL, CompanyFolder

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")


def _specs(
    suites: Sequence[Suite], asset: dg.AssetKey, *, blocking: bool
) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            expected.name,
            asset=asset,
            description=expected.description,
            blocking=blocking,
            metadata={"table": suite.table, "frame": suite.frame},
        )
        for suite in suites
        for expected in suite.expected
    ]


@dg.multi_asset_check(
    name="trustworthy", specs=_specs(TRUSTWORTHY, CANDIDATE, blocking=True), pool=POOL
)
def trustworthy(company: CompanyFolder) -> Iterator[dg.AssetCheckResult]:
    warehouse = company.warehouse()
    with warehouse.read_candidate() as connection:
        judgements = _judge_all(TRUSTWORTHY, connection)
    if all(judgement.is_met for judgement in judgements):
        warehouse.vouch()
    for judgement in judgements:
        yield _told(judgement, CANDIDATE, dg.AssetCheckSeverity.ERROR)


@dg.multi_asset_check(name="agreeing", specs=_specs(AGREEING, PUBLISHED, blocking=False))
def agreeing(company: CompanyFolder) -> Iterator[dg.AssetCheckResult]:
    with company.warehouse().read() as connection:
        judgements = _judge_all(AGREEING, connection)
    for judgement in judgements:
        yield _told(judgement, PUBLISHED, dg.AssetCheckSeverity.WARN)


def _judge_all(suites: Sequence[Suite], connection: duckdb.DuckDBPyConnection) -> list[Judgement]:
    return [judgement for suite in suites for judgement in judge(suite, connection)]


def _told(
    judgement: Judgement, asset: dg.AssetKey, severity: dg.AssetCheckSeverity
) -> dg.AssetCheckResult:
    """A check that could not be judged is an error of ours, whatever the check's own severity."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=judgement.expected.name,
        passed=judgement.is_met,
        severity=dg.AssetCheckSeverity.ERROR if judgement.error else severity,
        description=judgement.reason or judgement.expected.description,
        metadata={
            "outcome": _outcome(judgement),
            "rows_judged": judgement.rows_judged,
            "evidence": dg.MetadataValue.json(list(judgement.evidence)),
            "error": judgement.error or "-",
        },
    )


def _outcome(judgement: Judgement) -> str:
    if judgement.error:
        return "could not be judged"
    return "met" if judgement.is_met else "not met"
