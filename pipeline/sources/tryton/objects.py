"""The objects of one Tryton database: which fields they have, and their records page by page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import BrokenContentError, PermanentSourceError, TransientSourceError
from pipeline.sources.records import Record
from pipeline.sources.tryton.rpc import Line, TrytonServer

RECORD = "record"
"""The last step of a path that names a record as Tryton's references do: `sale.sale,12`."""
PAGE_SIZE = 1000
# So many ids are asked for in one call: SQLite takes a thousand parameters at most.
IDS_A_CALL = 500
_MANY = ("one2many", "many2many")


class Objects:
    """What one user can read. Fields are asked for once for each object."""

    def __init__(self, server: TrytonServer, page_size: int | None) -> None:
        self._page_size = page_size or PAGE_SIZE
        self._server = server
        self._fields: dict[str, Mapping[str, Any]] = {}

    @property
    def address(self) -> str:
        return self._server.address

    def fields(self, line: Line, model: str) -> Mapping[str, Any]:
        """The fields of an object that the user may read, with type and relation."""
        if model not in self._fields:
            self._fields[model] = _mapping(line.call(model, "fields_get"), model)
        return self._fields[model]

    def field(self, line: Line, model: str, path: str) -> Mapping[str, Any] | None:
        """The description of the field at the end of a path; None where there is none.

        What lies behind a reference to any of several objects is known only by reading it. Raises
        PermanentSourceError where the path leads through a list.
        """
        head, _, rest = path.partition(".")
        if head == RECORD and not rest:
            return {"type": "char"}
        field: Mapping[str, Any] | None = self.fields(line, model).get(head)
        if not rest or field is None:
            return field
        if field["type"] in _MANY:
            raise PermanentSourceError(
                f"{model}: found '{path}', and {head} is a list, allowed: a field of one record",
                next_step="name another field in sources.yml",
            )
        if field["type"] == "reference":
            return {"type": "char"}
        if rest == RECORD:
            return {"type": "char"}
        relation = field.get("relation")
        return self.field(line, relation, rest) if relation else None

    def near(self, line: Line, model: str, path: str) -> list[str]:
        """The paths that could stand where a path finds no field."""
        head, _, rest = path.partition(".")
        relation = self.fields(line, model).get(head, {}).get("relation")
        if rest and relation:
            return [f"{head}.{name}" for name in self.near(line, relation, rest)]
        return list(self.fields(line, model))

    def search(
        self, line: Line, model: str, domain: Sequence[Any], paths: Sequence[str]
    ) -> Iterator[list[Record]]:
        """The records of a domain in the order of their ids, each value under its whole path."""
        names = sorted({"id", *(self._asked_name(path) for path in paths)})
        last = 0
        while True:
            page = line.call(
                model, "search_read",
                [list(domain), ["id", ">", last]], 0, self._page_size, [["id", "ASC"]], names,
            )  # fmt: skip
            if not isinstance(page, list) or not all(isinstance(told, dict) for told in page):
                raise BrokenContentError(f"{model} at {self.address}: found no list of records")
            if not page:
                return
            yield [self._flatten(line, model, told, paths) for told in page]
            last = _last_id(page, last, f"{model} at {self.address}")

    def count(self, line: Line, model: str, domain: Sequence[Any]) -> int:
        """How many records Tryton counts in a domain."""
        return int(line.call(model, "search_count", list(domain), 0, None))

    def whole(
        self, line: Line, model: str, domain: Sequence[Any], paths: Sequence[str]
    ) -> list[Record]:
        """All records of a domain, as many as Tryton counts.

        Raises TransientSourceError where it counts others than it gives.
        """
        found = [record for page in self.search(line, model, domain, paths) for record in page]
        counted = self.count(line, model, domain)
        if counted != len(found):
            raise TransientSourceError(
                f"{model} at {self.address}: read {len(found)} records, Tryton counts {counted}:"
                " it changes while it is read",
                next_step="run again when less is written to it",
            )
        return found

    def related(
        self, line: Line, model: str, field: str, ids: Sequence[int], paths: Sequence[str]
    ) -> Iterator[Record]:
        """The records of an object whose `field` is one of the ids."""
        wanted = sorted(set(ids))
        for start in range(0, len(wanted), IDS_A_CALL):
            domain = [[field, "in", wanted[start : start + IDS_A_CALL]]]
            for page in self.search(line, model, domain, paths):
                yield from page

    @staticmethod
    def _asked_name(path: str) -> str:
        """How Tryton is asked for a path: `record` is ours, an id says the same."""
        if path == RECORD:
            return "id"
        return path.removesuffix(f".{RECORD}")

    def _flatten(self, line: Line, model: str, told: Record, paths: Sequence[str]) -> Record:
        return {"id": told["id"]} | {path: self._value(line, model, told, path) for path in paths}

    def _value(self, line: Line, model: str | None, told: Record, path: str) -> Any:
        """The value at a path: Tryton tells `party.code` as `code` under `party.`.

        Without `model`, the record is one that a reference led to: of any object.
        """
        head, _, rest = path.partition(".")
        if path == RECORD:
            return f"{model},{told['id']}"
        if not rest:
            return told.get(head)
        relation = self.fields(line, model)[head].get("relation") if model else None
        if rest == RECORD:
            found = told.get(head)
            return f"{relation},{found}" if relation and found is not None else found
        beyond = told.get(f"{head}.")
        return self._value(line, relation, beyond, rest) if isinstance(beyond, Mapping) else None


def _mapping(told: Any, model: str) -> Mapping[str, Any]:
    if not isinstance(told, dict):
        raise BrokenContentError(f"{model}: found no fields in the reply")
    return told


def _last_id(page: Sequence[Record], last: int, what: str) -> int:
    """The greatest id of a page. Raises BrokenContentError where it would not get on."""
    found = page[-1].get("id")
    if not isinstance(found, int) or found <= last:
        raise BrokenContentError(f"{what}: found a page that does not go on after id {last}")
    return found
