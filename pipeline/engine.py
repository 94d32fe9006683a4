"""The DuckDB in memory with which this process reads, maps and fits rows.

Opened once, for opening costs more than a small batch. The DuckDB files of the warehouse do not
belong here: extraction never opens them.
"""

from functools import cache

import duckdb


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:")


def open_engine(*, time_zone: str = "UTC") -> duckdb.DuckDBPyConnection:
    """A connection of its own, with temporary tables of its own; close it after use."""
    connection = _engine().cursor()
    connection.execute("set timezone = ?", [time_zone])
    return connection
