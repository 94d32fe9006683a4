"""The simulated company once more, its back ends telling of no record who made it.

The same landed rows without their makers, through the same models; to be held against the truth.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.landed import TABLES
from pipeline.warehouse import Warehouse


@contextmanager
def judged_without_makers(data: Path) -> Iterator[Path]:
    """A file with the marts of the company whose build file lies under `data`, makers unknown.

    The build file itself stays as it is. Raises WarehouseError where the models do not run.
    """
    warehouse = Warehouse(data)
    with TemporaryDirectory(prefix="bihuan-anonymous-") as folder:
        copy = Warehouse(Path(folder))
        shutil.copyfile(warehouse.build, copy.build)
        parsed = warehouse.data / "dbt" / "partial_parse.msgpack"
        if parsed.exists():  # else dbt parses anew, some seconds longer
            (copy.data / "dbt").mkdir()
            shutil.copyfile(parsed, copy.data / "dbt" / parsed.name)
        _hide_makers(copy)
        # No finding of the told company is gone on from.
        copy.run_dbt("run", "--full-refresh", "--select", "+fct_divergences")
        yield copy.build


def _hide_makers(warehouse: Warehouse) -> None:
    with warehouse.open() as connection:
        for table in TABLES.values():
            if not {"created_by", "created_via"} <= {column.name for column in table.columns}:
                continue
            connection.execute(f"alter view landing.{table.name} rename to {table.name}_told")
            connection.execute(
                f"create view landing.{table.name} as select * replace"
                " (null::varchar as created_by, null::varchar as created_via)"
                f" from landing.{table.name}_told"
            )
