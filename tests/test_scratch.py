"""The warehouse in memory: rows land as they do on the real path, and watermarks can be cut."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import duckdb
import pytest

from bench.scratch import Models, compile_models, declare_company, rerun, scratch
from pipeline.company import Company
from pipeline.landing import Watermark, business_day
from tests.oracle.company import row
from tests.oracle.worlds import START, Shape, World, build_world

DAYS = 20


@pytest.fixture(scope="module")
def models() -> Models:
    return compile_models()


@pytest.fixture
def world() -> World:
    return build_world(11, Shape(orders=12, days=DAYS))


def company_of(world: World) -> Company:
    return declare_company(world.rows, first_day=business_day(START))


def marks_of(world: World, *, cut: timedelta = timedelta()) -> dict[str, Watermark]:
    return {
        table: Watermark(START, until - cut)
        for table, until in world.watermarks.items()
        if until is not None
    }


@pytest.fixture
def built(models: Models, world: World) -> Iterator[duckdb.DuckDBPyConnection]:
    with scratch(models, company_of(world), world.rows, marks_of(world)) as connection:
        yield connection


def cases(connection: duckdb.DuckDBPyConnection) -> int:
    return int(connection.execute("select count(*) from marts.fct_cases").fetchall()[0][0])


def test_every_model_and_every_seed_is_there(
    models: Models, built: duckdb.DuckDBPyConnection
) -> None:
    found = built.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
    missing = {f"{each.schema}.{each.name}" for each in (*models.seeds, *models.models)}
    missing -= {name for (name,) in found}
    assert not missing
    assert cases(built) >= 12


def test_a_cut_watermark_takes_what_came_after_it(
    models: Models, world: World, built: duckdb.DuckDBPyConnection
) -> None:
    before = cases(built)
    rerun(built, models, company_of(world), marks_of(world, cut=timedelta(days=DAYS)))
    assert cases(built) == 0
    rerun(built, models, company_of(world), marks_of(world))
    assert cases(built) == before


def test_a_phone_lands_as_its_hash_and_text_in_one_form(models: Models, world: World) -> None:
    rows = {"crm_contacts": [_contact("C1", "Ame\u0301lie", "13800138000")]}
    rows["crm_contacts"].append(_contact("C2", "Am\u00e9lie", "+86 138-0013-8000"))
    with scratch(models, company_of(world), rows, {}) as connection:
        landed = connection.execute("select distinct source, phone from landing.crm_contacts")
        ((source, phone),) = landed.fetchall()
    assert source == "Am\u00e9lie"
    assert "13800138000" not in phone


@pytest.mark.parametrize("mistake", [{"contact_id": None}, {"nickname": "Al"}])
def test_a_row_that_would_not_land_is_refused(
    models: Models, world: World, mistake: dict[str, Any]
) -> None:
    rows = {"crm_contacts": [_contact("C1", "web", None) | mistake]}
    with (
        pytest.raises(ValueError, match=next(iter(mistake))),
        scratch(models, company_of(world), rows, {}),
    ):
        pass


def test_the_functions_that_the_models_call_are_known(models: Models, world: World) -> None:
    with scratch(models, company_of(world), {}, {}) as connection:
        assert connection.execute("select clopper_pearson_high(0, 1)").fetchall() == [(0.975,)]


def _contact(number: str, source: str, phone: str | None) -> dict[str, Any]:
    return row(
        "crm_contacts",
        contact_id=number,
        source=source,
        phone=phone,
        created_at=START,
        updated_at=START,
    )
