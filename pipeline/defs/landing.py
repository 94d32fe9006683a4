"""Landing assets: one per landed table that the company connects. They open no DuckDB file."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, time, timedelta

import dagster as dg
from pydantic import Field

from pipeline.company import Company, TableSource
from pipeline.defs.failures import told_to_dagster
from pipeline.defs.partitions import business_days
from pipeline.defs.resources import (
    OWNERS,
    CompanyFolder,
    company_folder,
    landing_of,
    last_day_asked,
)
from pipeline.errors import (
    BrokenContentError,
    NotReadyError,
    QuotaOfDayError,
    RetiredEndpointError,
    SourceError,
)
from pipeline.landed import TABLES, LandedTable
from pipeline.landing import SHANGHAI, Batch, Landing, Watermark, day_end, day_start
from pipeline.samples import JOINING
from pipeline.sources import Source, find_connector, open_source

# The hour of the daily run, and how long what was not ready then is asked for again.
DAILY_RUN_AT = time(11)
PATIENCE = timedelta(hours=4)
# So many days in a row that cannot be had: the trouble is not theirs.
FAILURES_MOST = 3
AGAIN_AT = "asked_again_at"
"""Metadata of a landing that waits for another day: when to ask again."""

# How the UI shows each connector; Dagster draws an icon for the words that it knows.
KINDS = {
    "files": "file", "sql": "sql",
    "wechat_miniprogram": "wechat", "wechat_official_account": "wechat", "wechat_pay": "wechat",
    "wechat_orders": "wechat", "wechat_quota": "wechat", "wechat_callbacks": "wechat",
    "wecom_contacts": "wechat",
}  # fmt: skip


class LandDays(dg.Config):
    """Which days of the asked partitions are landed."""

    catch_up: bool = Field(
        default=False,
        description="Land only the days, up to the last one asked for, that are missing,"
        " incomplete or changed at the source since they were landed.",
    )
    asks_again: bool = Field(
        default=True,
        description="With catch_up: also ask for the days that their source may have changed.",
    )


def landing_asset(
    table: LandedTable, company: Company, days: dg.DailyPartitionsDefinition
) -> dg.AssetsDefinition:
    """The asset that lands one table."""
    settings = company.sources.tables[table.name]

    @dg.asset(
        key=["landing", table.name],
        group_name="landing",
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        kinds={KINDS.get(settings.connector, settings.connector), "parquet"},
        owners=OWNERS,
        description=f"One row per {table.grain}, as {' and '.join(settings.connections)}"
        f" delivers it through connector {settings.connector}: one current batch per business day.",
        metadata={"connector": settings.connector, "connection": ", ".join(settings.connections)},
        freshness_policy=None if company.last_day else fresh_by(table.name, settings),
    )
    def land(
        context: dg.AssetExecutionContext, config: LandDays, company: CompanyFolder
    ) -> dg.MaterializeResult[None]:
        asked = [date.fromisoformat(key) for key in context.partition_keys]
        with told_to_dagster(context):
            loaded = company.load()
            source = open_source(table.name, loaded)
            landing = landing_of(loaded)
            # Not that of the definitions, which may have been loaded before sources.yml was mended.
            mapping = loaded.sources.tables[table.name]
            read_as = landing.read_as(table.name)
            is_remapped = bool(mapping.columns) and read_as not in (None, mapping.reading_digest)
            chosen = choose_days(
                source,
                landing,
                asked,
                first_day=loaded.first_day,
                trailing_days=mapping.trailing_days,
                catch_up=config.catch_up,
                asks_again=config.asks_again,
                is_remapped=is_remapped,
            )
            before = {batch.day: batch.batch_id for batch in landing.batches(table.name)}
            batches: list[Batch] = []
            not_ready: SourceError | None = None
            try:
                batches.extend(land_days(source, landing, chosen))
            except NotReadyError as error:
                # Who catches up goes on with what is there; who names a day is told.
                if not config.catch_up:
                    raise
                not_ready = error
            except RetiredEndpointError as error:
                not_ready = error
            if read_as is None or (config.catch_up and config.asks_again and not_ready is None):
                landing.note_reading(table.name, mapping.reading_digest)
        revised = [
            batch for batch in batches if before.get(batch.day, batch.batch_id) != batch.batch_id
        ]
        _tell_each_day(context, batches, asked)
        if is_remapped:
            context.log.info(f"{table.name}: its mapping has changed, so its days are read again")
        for batch in revised:
            context.log.warning(
                f"{table.name} {batch.day}: a revision, {batch.rows_changed} rows changed"
            )
        if not_ready is not None:
            context.log.warning(
                f"{table.name} is not ready, and asked again later: {not_ready.message}"
            )
        unchanged = [batch for batch in batches if before.get(batch.day) == batch.batch_id]
        if unchanged:
            context.log.info(
                f"{table.name}: {len(unchanged)} days were asked for again and hold what they held"
            )
        return dg.MaterializeResult(
            metadata=_summary(batches, revised, landing.watermarks().get(table.name))
            | {"unchanged": dg.MetadataValue.int(len(unchanged))}
            | _joining_rates(table, batches, landing)
            | _told_of(not_ready)
        )

    return land


def fresh_by(table: str, settings: TableSource) -> dg.FreshnessPolicy:
    """Landed every day between the hour at which its system has the day before, and the last that
    the daily run and its repetitions need. A company that has ended lands no more days."""
    ready_at = find_connector(table, settings).ready_at
    latest = max(ready_at, DAILY_RUN_AT)
    deadline = datetime.combine(date.min, latest) + PATIENCE
    since_ready = deadline - datetime.combine(date.min, ready_at)
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"{deadline.minute} {deadline.hour} * * *",
        lower_bound_delta=since_ready,
        timezone="Asia/Shanghai",
    )


def _not_connected(table: LandedTable) -> dg.AssetSpec:
    """A table that no system delivers: read as empty, and the legs that need it unverifiable."""
    return dg.AssetSpec(
        ["landing", table.name],
        group_name="landing",
        kinds={"parquet"},
        owners=OWNERS,
        description=f"One row per {table.grain}. Not connected: sources.yml names no system.",
    )


def choose_days(
    source: Source,
    landing: Landing,
    asked: Sequence[date],
    *,
    first_day: date,
    trailing_days: int,
    catch_up: bool,
    asks_again: bool = True,
    is_remapped: bool = False,
) -> list[date]:
    """The days to land, in order: those asked for, or those of the past that need it.

    Where the mapping `is_remapped`, all that has landed was read otherwise.
    `trailing_days` before each of them are landed again: some systems finish a day late. Without
    `asks_again`, days that are landed are left alone: they were asked for a short while ago.
    """
    if not catch_up:
        return _with_trailing(set(asked), first_day, trailing_days)
    span = _days(first_day, min(max(asked), source.last_day() or max(asked)))
    landed = {batch.day: batch for batch in landing.batches(source.table.name)}
    missing = {
        day for day in span
        if day not in landed or landed[day].complete_until < day_end(day)
    }  # fmt: skip
    if not asks_again:
        return sorted(missing)
    if is_remapped:
        return sorted(missing | (landed.keys() & set(span)))
    changed = source.changed_days(
        _seen_until(source, landing, landed.values()),
        {day: batch.sha256 for day, batch in landed.items()},
    )
    whole = sorted(landed.keys() & set(span) - missing - changed)
    counted = source.counts(whole) if whole else {}
    recounted = {day for day, rows in counted.items() if rows != landed[day].delivered}
    trailing = set(_with_trailing(missing, first_day, trailing_days))
    return sorted(trailing | (changed & set(span)) | recounted)


def _seen_until(source: Source, landing: Landing, batches: Collection[Batch]) -> datetime | None:
    """The instant before which nothing at the source can have changed unseen.

    The earlier of the watermark, which is in the source's own time, and the last extraction,
    which is in ours: the two clocks may differ by any amount.
    """
    watermark = landing.watermarks().get(source.table.name)
    if watermark is None:
        return None
    return min(watermark.complete_until, max(batch.extracted_at for batch in batches))


def land_days(source: Source, landing: Landing, days: Sequence[date]) -> Iterator[Batch]:
    """Extract and land the days in turn; what is landed before an error stays landed.

    A day whose content is broken, or not there yet, holds no later day up where one before it is
    landed, for then the watermark stays before it: its error is raised after them. Many such days
    are no matter of a day, and end it.
    """
    waiting, failures = list(days), 0
    first_error: SourceError | None = None
    while waiting:
        landed: set[date] = set()
        try:
            extracts = source.extract(waiting)
            for batch in landing.land_all(source.table, extracts, connector=source.connector):
                landed.add(batch.day)
                yield batch
            break
        except (NotReadyError, BrokenContentError) as error:
            failures = 1 if landed else failures + 1
            failed, *later = [day for day in waiting if day not in landed]
            first_error = first_error or error
            if isinstance(error, QuotaOfDayError) or failures == FAILURES_MOST:
                break
            if not any(batch.day < failed for batch in landing.batches(source.table.name)):
                break
            waiting = later
    if first_error is not None:
        raise first_error


def _with_trailing(days: set[date], first_day: date, trailing_days: int) -> list[date]:
    reached = {day - timedelta(days=back) for day in days for back in range(trailing_days + 1)}
    return sorted(day for day in reached if day >= first_day)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=count) for count in range((last - first).days + 1)]


def _tell_each_day(
    context: dg.AssetExecutionContext, batches: Sequence[Batch], asked: Sequence[date]
) -> None:
    """Give each partition its own figures, also those that were caught up beyond the asked ones."""
    for batch in batches:
        figures: dict[str, dg.MetadataValue] = {
            "dagster/row_count": dg.MetadataValue.int(batch.rows),
            "batch_id": dg.MetadataValue.text(batch.batch_id),
            # Named apart from the total of the run, which it would replace.
            "quarantined_of_day": dg.MetadataValue.int(batch.quarantined),
            "complete_until": dg.MetadataValue.timestamp(batch.complete_until),
        }
        if batch.day in asked:
            context.add_asset_metadata(figures, partition_key=batch.day.isoformat())
        else:
            context.log_event(
                dg.AssetMaterialization(
                    context.asset_key, partition=batch.day.isoformat(), metadata=figures
                )
            )


def _told_of(not_ready: SourceError | None) -> dict[str, dg.MetadataValue]:
    """What was not ready, and when to ask again where that is not in half an hour."""
    if not_ready is None:
        return {}
    told: dict[str, dg.MetadataValue] = {"not_ready": dg.MetadataValue.text(not_ready.message)}
    if isinstance(not_ready, QuotaOfDayError | RetiredEndpointError):
        tomorrow = datetime.now(SHANGHAI).date() + timedelta(days=1)
        told[AGAIN_AT] = dg.MetadataValue.timestamp(day_start(tomorrow))
    return told


def _summary(
    batches: Sequence[Batch], revised: Sequence[Batch], watermark: Watermark | None
) -> dict[str, dg.MetadataValue]:
    figures = {
        "days": len(batches),
        "rows": sum(batch.rows for batch in batches),
        "quarantined": sum(batch.quarantined for batch in batches),
        "repeated": sum(batch.repeated for batch in batches),
        "revisions": len(revised),
        "rows_changed": sum(batch.rows_changed for batch in revised),
    }
    told: dict[str, dg.MetadataValue] = {
        name: dg.MetadataValue.int(value) for name, value in figures.items()
    }
    if watermark:
        told["watermark"] = dg.MetadataValue.timestamp(watermark.complete_until)
    return told


def _joining_rates(
    table: LandedTable, batches: Sequence[Batch], landing: Landing
) -> dict[str, dg.MetadataValue]:
    """The share of landed rows with each number that joins cases, as the batches' footers tell."""
    rates: dict[str, dg.MetadataValue] = {}
    rows = sum(batch.rows for batch in batches)
    for name in JOINING:
        if not rows or name not in table.schema.names:
            continue
        counts = [landing.present_count(batch, name) for batch in batches]
        known = [count for count in counts if count is not None]
        if len(known) == len(counts):
            rates[f"{name}_rate"] = dg.MetadataValue.float(sum(known) / rows)
    return rates


@dg.definitions
def defs() -> dg.Definitions:
    company = company_folder().load()
    days = business_days(company, until=last_day_asked())
    connected = company.sources.tables
    return dg.Definitions(
        assets=[
            landing_asset(table, company, days) if name in connected else _not_connected(table)
            for name, table in TABLES.items()
        ]
    )
