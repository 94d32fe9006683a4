"""From marts to the published file: a candidate is written, judged, then swapped in."""

import dagster as dg

from pipeline.defs.failures import told_to_dagster
from pipeline.defs.resources import OWNERS, POOL, CompanyFolder
from pipeline.defs.warehouse import mart_keys

CANDIDATE = dg.AssetKey(["published", "candidate"])
PUBLISHED = dg.AssetKey(["published", "bihuan"])

MONEY_AT_STAKE = """
    select count(*), coalesce(sum(amount_at_stake_fen), 0)::bigint
    from marts.fct_divergences
    where healed_at is null
"""


def candidate_asset(marts: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """The asset that copies the marts out of the build file for judgement."""

    @dg.asset(
        key=CANDIDATE,
        deps=marts,
        group_name="published",
        pool=POOL,
        kinds={"duckdb"},
        owners=OWNERS,
        description="Every mart in a file of its own, which nobody reads until the trustworthy"
        " checks have passed on it.",
    )
    def candidate(
        context: dg.AssetExecutionContext, company: CompanyFolder
    ) -> dg.MaterializeResult[None]:
        warehouse = company.warehouse()
        with told_to_dagster(context):
            rows = warehouse.write_candidate()
        return dg.MaterializeResult(
            metadata={
                "tables": len(rows),
                "dagster/row_count": sum(rows.values()),
                "bytes": warehouse.candidate.stat().st_size,
                "path": dg.MetadataValue.path(warehouse.candidate),
            }
        )

    return candidate


@dg.asset(
    key=PUBLISHED,
    deps=[CANDIDATE],
    group_name="published",
    pool=POOL,
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    description="The marts that analysts, alerts and the report read, swapped in whole; a Parquet"
    " copy of each table lies beside.",
)
def bihuan(context: dg.AssetExecutionContext, company: CompanyFolder) -> dg.MaterializeResult[None]:
    warehouse = company.warehouse()
    with told_to_dagster(context):
        warehouse.publish()
        with warehouse.read() as connection:
            ((divergences, at_stake_fen),) = connection.execute(MONEY_AT_STAKE).fetchall()
            ((as_of,),) = connection.execute("select max(as_of) from marts.fct_cases").fetchall()
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(warehouse.published),
            "as_of": dg.MetadataValue.timestamp(as_of),
            "open_divergences": divergences,
            "money_at_stake_fen": at_stake_fen,
        }
    )


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions(assets=[candidate_asset(mart_keys()), bihuan])
