"""SQL for databases that no test can start: it is at least SQL of theirs, and says what it must."""

from datetime import datetime
from pathlib import Path
from typing import Any

import connectorx
import pyarrow as pa
import pytest
import sqlglot

from pipeline.errors import ConfigurationError
from pipeline.sources.database import open_database
from tests.sql_company import DAYS, open_orders

KINDS = {
    "oracle": {
        "FBILLNO": "varchar2", "FTHIRDBILLNO": "nvarchar2", "FLINKPHONE": "varchar2",
        "FSTATUS": "char", "FDATE": "date", "FMODIFYDATE": "timestamp(6) with time zone",
        "FAMOUNT": "number",
    },
    "mssql": {
        "FBILLNO": "nvarchar(40)", "FTHIRDBILLNO": "nvarchar(40)", "FLINKPHONE": "varchar(20)",
        "FSTATUS": "char(1)", "FDATE": "date", "FMODIFYDATE": "datetimeoffset(7)",
        "FAMOUNT": "money",
    },
}  # fmt: skip
DIALECTS = {"oracle": "oracle", "mssql": "tsql"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries of the test, answered as a database without a row that fits would."""
    queries: list[str] = []

    def answer(url: str, query: str, **options: Any) -> pa.Table:
        queries.append(query)
        scheme = url.partition("://")[0]
        kinds = KINDS[scheme]
        if "all_tab_columns" in query or "dm_exec_describe" in query:
            return pa.table({"name": list(kinds), "kind": list(kinds.values())})
        selected = sqlglot.parse_one(query, read=DIALECTS[scheme]).named_selects
        names = list(kinds) if selected == ["*"] else selected
        return pa.table({name: pa.array([], pa.string()) for name in names})

    monkeypatch.setattr(connectorx, "read_sql", answer)
    return queries


@pytest.mark.parametrize("scheme", list(DIALECTS))
def test_what_is_asked_is_sql_of_that_database(
    scheme: str, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.database.base.Server.reach", lambda self: None)
    source = open_orders(tmp_path, url=f"{scheme}://reader:secret@erp.test/SALES")
    assert [extract.rows.num_rows for extract in source.extract(DAYS)] == [0, 0, 0]
    source.changed_days(datetime.fromisoformat("2026-10-02T00:00:00+00:00"), {DAYS[0]: "sha"})
    dated = {
        "oracle": 'to_char(cast("FDATE" as timestamp), \'YYYY-MM-DD"T"HH24:MI:SS.FF6\') as',
        "mssql": "convert(nvarchar(max), cast([FDATE] as datetime2), 126), N'') as [_dated]",
    }
    assert any(dated[scheme] in query for query in asked)
    for query in asked:
        assert sqlglot.parse_one(query, read=DIALECTS[scheme])


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("mssql", "money", "convert(nvarchar(max), x, 2)"),
        ("mssql", "datetime2(7)", "convert(nvarchar(max), x, 126)"),
        ("mssql", "float", "convert(nvarchar(max), x, 3)"),
        ("oracle", "number", "to_char(x, 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')"),
        ("oracle", "date", "to_char(x, 'YYYY-MM-DD\"T\"HH24:MI:SS')"),
        ("mysql", "bit", "(x + 0)"),
        ("postgresql", "money", "cast(x as numeric)"),
    ],
)
def test_a_value_is_told_whole_as_text(url: str, kind: str, said: str) -> None:
    database = open_database(f"{url}://reader@127.0.0.1/erp", zone_hours=8)
    assert said in database.text("x", kind)


def test_an_address_without_a_port_number_is_a_mistake_that_does_not_tell_the_password() -> None:
    with pytest.raises(ConfigurationError, match="no port number") as told:
        open_database("postgresql://reader:secret@erp.test:many/sales", zone_hours=0)
    assert "secret" not in str(told.value)
