"""A simulated company, landed through the product, and what the pipeline finds in it.

Landing is the product's own, from the company's servers, databases and files. The marts come from
the product's own build, or from the same compiled models run in memory on the same landing.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.scratch import Models, scratch_copy
from pipeline.build import build
from pipeline.company import Company, load_company
from pipeline.landed import TABLES
from pipeline.landing import Landing, Watermark
from pipeline.simulation import Options, running_systems, simulate
from pipeline.simulation.score import OPEN_DIVERGENCES, Score, compare
from pipeline.simulation.truth import TRUTH, Expected, read_truth
from pipeline.sources import open_source
from pipeline.terminal import without_chatter
from pipeline.warehouse import Warehouse

RESIDUALS = """
    select
        cast(coalesce(sum(abs(residual_fen)), 0) as bigint),
        cast(coalesce(sum(abs(residual_count)), 0) as bigint),
        count(*)
    from marts.rpt_bridge_daily
"""


@dataclass(frozen=True)
class Found:
    """What one build found: the open divergences, the bridge's residuals and how long it is."""

    divergences: tuple[Expected, ...]
    residual_fen: int
    residual_count: int
    bridge_rows: int
    cases: int


@dataclass(frozen=True)
class Landed:
    """A simulated company whose systems have been read to the last day."""

    company: Company
    landing: Landing
    planted: tuple[Expected, ...]

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.company.data)

    @property
    def watermarks(self) -> dict[str, Watermark]:
        return self.landing.watermarks()

    def score(self, found: Found) -> Score:
        """Hold findings against what was planted."""
        return compare(self.planted, found.divergences)

    @contextmanager
    def scratch(self, models: Models) -> Iterator[duckdb.DuckDBPyConnection]:
        """A warehouse in memory in which every model has run on what is landed."""
        self.warehouse.register(self.landing, self.company)
        with scratch_copy(models, self.warehouse) as connection:
            yield connection


@contextmanager
def landed(options: Options, *, is_built: bool = False) -> Iterator[Landed]:
    """Simulate a company in a folder of its own and land it; `is_built` builds and publishes too.

    Building is landing, so that nothing is landed twice.
    """
    with tempfile.TemporaryDirectory(prefix="bihuan-truth-") as name:
        folder = Path(name) / "company"
        simulate(folder, options)
        with running_systems(folder):
            company = load_company(folder)
            landing = Landing(company.data / "landing", hash_key=company.hash_key)
            if is_built:
                with without_chatter():
                    build(company)
            else:
                _land(company, landing, options)
        yield Landed(company, landing, tuple(read_truth(folder / TRUTH)))


def _land(company: Company, landing: Landing, options: Options) -> None:
    for name in company.sources.tables:
        source = open_source(name, company)
        extracts = source.extract(options.business_days)
        for _ in landing.land_all(TABLES[name], extracts, connector=source.connector):
            pass


def read_found(connection: duckdb.DuckDBPyConnection) -> Found:
    """What the marts of a connection say."""
    rows: Sequence[tuple[str, str, str, str | None]] = connection.execute(
        OPEN_DIVERGENCES
    ).fetchall()
    ((fen, count, bridge_rows),) = connection.execute(RESIDUALS).fetchall()
    ((cases,),) = connection.execute("select count(*) from marts.fct_cases").fetchall()
    return Found(tuple(Expected(*row) for row in rows), fen, count, bridge_rows, cases)
