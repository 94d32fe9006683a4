"""From landing to marts: what is landed becomes readable, then dbt runs as one step.

Every step that opens the build file stands in pool `warehouse`: one writer at a time.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from pipeline.defs.failures import told_to_dagster
from pipeline.defs.resources import OWNERS, POOL, CompanyFolder, company_folder, landing_of
from pipeline.errors import WarehouseError
from pipeline.models import DBT, DBT_PROJECT

# Apart from `target/`, where whoever works on the models runs dbt with settings of their own.
PARSED = DBT_PROJECT / "target" / "dagster"

REGISTERED = {
    "batches": "landed batch that is current",
    "watermarks": "landed table: whether it is connected and the span it is complete over",
    "loop_legs": "leg of a loop contract, the default contract included",
    "interface_actors": "account through which an interface writes a table",
    "company": "company: name, first and last day",
}


class KeyedByLayer(DagsterDbtTranslator):
    """A model's key is its layer and its name; so is a source's, whose layer is landing."""

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = self.get_resource_props(manifest, unique_id)
        layer = _layer(node)
        return spec.replace_attributes(
            key=dg.AssetKey([layer, node["name"]]), group_name=layer, owners=OWNERS
        )


def _layer(node: Mapping[str, Any]) -> str:
    if node["resource_type"] == "source":
        return "landing"
    return "seeds" if node["resource_type"] == "seed" else str(node["fqn"][1])


def mart_keys() -> list[dg.AssetKey]:
    """The asset keys of every mart that the dbt project builds."""
    nodes = json.loads(manifest_path().read_text(encoding="utf-8"))["nodes"].values()
    return [
        dg.AssetKey(["marts", node["name"]])
        for node in nodes
        if node["resource_type"] == "model" and _layer(node) == "marts"
    ]


@cache
def manifest_path() -> Path:
    """The manifest of the dbt project, written anew where the project is newer than it.

    Raises WarehouseError with dbt's words where the project does not parse.
    """
    manifest = PARSED / "manifest.json"
    if not _knows_its_place(manifest) or manifest.stat().st_mtime < _changed_at(DBT_PROJECT):
        _parse(manifest)
    return manifest


def _knows_its_place(manifest: Path) -> bool:
    """Whether a manifest is of the project where it lies now: dbt keeps the seeds' full paths."""
    place = f'"root_path": {json.dumps(str(DBT_PROJECT))}'
    return manifest.exists() and place in manifest.read_text(encoding="utf-8")


def _changed_at(project: Path) -> float:
    """When a file of the project, other than what dbt itself writes, last changed."""
    return max(
        path.stat().st_mtime
        for path in (project, *project.rglob("*"))
        if not {"target", "logs"} & set(path.relative_to(project).parts) and path != project
    )


def _parse(manifest: Path) -> None:
    """Parse beside the target and move the manifest in whole: others may be reading the old one."""
    beside = manifest.parent / f"parsing-{os.getpid()}"
    environment = company_folder().warehouse().dbt_environment()
    parsed = subprocess.run(
        [str(DBT), "--quiet", "parse", "--project-dir", str(DBT_PROJECT),
         "--profiles-dir", str(DBT_PROJECT), "--target-path", str(beside)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if parsed.returncode:
        told = f"{parsed.stdout.strip()}\n{parsed.stderr.strip()}".strip()
        raise WarehouseError(
            f"dbt parse ended with {parsed.returncode}\n{told}",
            next_step=f"mend the models under {DBT_PROJECT}",
        )
    for written in beside.iterdir():
        written.replace(manifest.parent / written.name)
    beside.rmdir()


def registering_assets(landed: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """The assets that make the landed tables readable, once all of them are landed."""

    @dg.multi_asset(
        name="register",
        specs=[
            dg.AssetSpec(
                ["landing", name],
                deps=landed,
                group_name="landing",
                kinds={"duckdb"},
                owners=OWNERS,
                description=f"One row per {grain}.",
            )
            for name, grain in REGISTERED.items()
        ],
        pool=POOL,
    )
    def register(
        context: dg.AssetExecutionContext, company: CompanyFolder
    ) -> Iterator[dg.MaterializeResult[None]]:
        with told_to_dagster(context):
            loaded = company.load()
            counted = company.warehouse().register(landing_of(loaded), loaded)
        for name in REGISTERED:
            yield dg.MaterializeResult(
                asset_key=["landing", name], metadata={"dagster/row_count": counted[name]}
            )

    return register


def dbt_models() -> dg.AssetsDefinition:
    """The models of the dbt project, built in one dbt run with their tests."""

    @dbt_assets(
        manifest=manifest_path(),
        project=DbtProject(DBT_PROJECT, profiles_dir=DBT_PROJECT),
        dagster_dbt_translator=KeyedByLayer(),
        name="transform",
        pool=POOL,
    )
    def transform(
        context: dg.AssetExecutionContext, company: CompanyFolder, dbt: DbtCliResource
    ) -> Iterator[Any]:
        warehouse = company.warehouse()
        traces = warehouse.data / "dbt"
        if not _knows_its_place(traces / "manifest.json"):
            (traces / "partial_parse.msgpack").unlink(missing_ok=True)
        # dagster-dbt hands its own environment on to dbt, there is no other way in, and lets it go
        # on from the parse that it finds in DBT_TARGET_PATH.
        os.environ["BIHUAN_WAREHOUSE"] = warehouse.dbt_environment()["BIHUAN_WAREHOUSE"]
        os.environ["DBT_TARGET_PATH"] = str(PARSED)
        invocation = dbt.cli(
            # Unit tests prove the models where they are changed, not every night.
            ["build", "--exclude-resource-type", "unit_test"],
            context=context,
            target_path=traces,
        )
        with told_to_dagster(context):
            try:
                yield from invocation.stream()
            except DagsterDbtCliRuntimeError as error:
                raise WarehouseError(
                    f"dbt build failed\n{error}",
                    next_step=f"read {warehouse.data / 'dbt' / 'dbt.log'}",
                ) from error

    return transform


@dg.definitions
def defs() -> dg.Definitions:
    landed = [dg.AssetKey(["landing", name]) for name in company_folder().load().sources.tables]
    return dg.Definitions(assets=[registering_assets(landed), dbt_models()])
