"""Databases, one module per kind: which one an address means.

Which rows are wanted is the concern of `pipeline.sources.sql`.
"""

from pathlib import Path

from pipeline.company.mistakes import suggest
from pipeline.errors import ConfigurationError
from pipeline.sources.database.base import EPOCHS, Database, Server
from pipeline.sources.database.mysql import MySql
from pipeline.sources.database.oracle import Oracle
from pipeline.sources.database.postgres import Postgres
from pipeline.sources.database.sqlite import Sqlite
from pipeline.sources.database.sqlserver import SqlServer

__all__ = ["EPOCHS", "Database", "open_database"]

SERVERS: dict[str, type[Server]] = {
    "postgresql": Postgres,
    "postgres": Postgres,
    "mysql": MySql,
    "mariadb": MySql,
    "mssql": SqlServer,
    "oracle": Oracle,
}


def open_database(url: str, *, zone_hours: int) -> Database:
    """The database behind an address, whose instants without a zone are so many hours before UTC.

    Nothing is reached yet. Raises ConfigurationError.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        return Sqlite(Path("/" + rest.lstrip("/")), zone_hours=zone_hours)
    if scheme in SERVERS:
        return SERVERS[scheme](rest, zone_hours=zone_hours)
    allowed = ["sqlite", *SERVERS]
    raise ConfigurationError(f"sources.yml: url: found '{scheme}://', {suggest(scheme, allowed)}")
