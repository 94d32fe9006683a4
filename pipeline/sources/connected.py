"""One landed table at one connection over HTTP: what every source of that kind is opened with."""

from pipeline.company import Company, Connection, TableSource
from pipeline.landed import LandedTable
from pipeline.sources.wire import Wire


class ConnectedTable:
    """A landed table, how sources.yml reads it and where, and the line. Nothing is reached yet."""

    def __init__(
        self,
        table: LandedTable,
        settings: TableSource,
        connection: Connection,
        company: Company,
        *,
        wire: Wire | None = None,
    ) -> None:
        self.table = table
        self._settings = settings
        self._connection = connection
        self._company = company
        self._wire = wire or Wire()
