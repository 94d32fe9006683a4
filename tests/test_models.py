"""The dbt project: it parses without a warning, its unit tests pass, and it builds on nothing."""

import re
import subprocess

import pytest

from pipeline.company import load_company
from pipeline.landing import Landing
from pipeline.models import DBT, DBT_PROJECT
from pipeline.warehouse import Warehouse

TEMPLATE = DBT_PROJECT.parent / "company"
KEPT = re.compile("incremental_strategy='(rejudged|restamped)'")
LEFT_JOIN = re.compile(
    r"left join ([\w.]+(?: as \w+)?)\s+on\s(.*?)"
    r"(?=\s(?:left|inner|cross|full) |\s(?:where|group|union|order)\s|\n\)|\n\{%|\Z)",
    re.DOTALL,
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The build file of a company that has landed nothing yet, with its models built."""
    data = tmp_path_factory.mktemp("empty") / "data"
    company = load_company(
        TEMPLATE, data=data, environment={"BIHUAN_HASH_KEY": "a key of the tests, 32 long....."}
    )
    warehouse = Warehouse(data)
    warehouse.register(Landing(data / "landing", hash_key=company.hash_key), company)
    return warehouse


def run_dbt(warehouse: Warehouse, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DBT), *arguments, "--project-dir", str(DBT_PROJECT),
         "--profiles-dir", str(DBT_PROJECT)],
        env=warehouse.dbt_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_project_parses_without_a_warning(empty: Warehouse) -> None:
    parsed = run_dbt(empty, "--warn-error", "parse", "--no-partial-parse")
    assert parsed.returncode == 0, parsed.stdout


def test_models_build_on_nothing_and_their_unit_tests_pass(empty: Warehouse) -> None:
    # A unit test reads the types of its inputs from the warehouse: they must stand there first.
    for command in ("seed", "run"):
        built = run_dbt(empty, command)
        assert built.returncode == 0, built.stdout
    tested = run_dbt(empty, "test", "--select", "test_type:unit")
    assert tested.returncode == 0, tested.stdout
    assert "unit tests" in tested.stdout


def test_every_model_has_its_description_beside_it() -> None:
    models = list((DBT_PROJECT / "models").rglob("*.sql"))
    assert len(models) > 40
    for model in models:
        described = model.with_suffix(".yml")
        assert described.exists(), model
        assert f"  - name: {model.stem}\n    description:" in described.read_text()


def test_no_model_compares_times_with_between() -> None:
    for model in (DBT_PROJECT / "models").rglob("*.sql"):
        text = re.sub(r"\b(rows|range) between\b", "", model.read_text())
        assert " between " not in text, f"{model}: times are half-open"


def test_no_left_join_has_a_condition_that_its_right_side_has_no_part_in() -> None:
    """Beside such a condition DuckDB hashes nothing: it tries every row with every other."""
    joins = 0
    for model in (DBT_PROJECT / "models").rglob("*.sql"):
        for joined, conditions in LEFT_JOIN.findall(model.read_text()):
            name = joined.split()[-1]
            joins += 1
            for condition in re.split(r"\s+and\s+", conditions.strip()):
                assert condition == "true" or f"{name}." in condition, f"{model.name}: {condition}"
    assert joins > 100


def test_a_kept_model_takes_only_rows_that_are_in_question() -> None:
    """One that took them all would add rows that it has kept already."""
    kept = 0
    for model in (DBT_PROJECT / "models").rglob("*.sql"):
        text = model.read_text()
        is_told_anew = "materialized='table'" in text
        if (model.parent.name == "cases" and not is_told_anew) or KEPT.search(text):
            kept += 1
            assert "in_question(" in text, model.name
    assert kept > 20
