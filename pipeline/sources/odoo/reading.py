"""Odoo's records as flat ones: field sets, pages by id, and what a reference leads to.

A path such as `order_id.client_order_ref` follows references; of a list of them one position must
be named, as in `transaction_ids.0.provider_reference`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import BrokenContentError
from pipeline.sources.odoo.access import Call
from pipeline.sources.odoo.domains import Domain
from pipeline.sources.records import Record

# Odoo read 21 fields of about four thousand orders a second: a page takes a quarter of one.
PAGE_SIZE = 1000
LISTS = ("one2many", "many2many")
# These come with the reference itself, so that nobody needs a right to read what it leads to.
IN_REFERENCE = ("id", "name")

Fields = Mapping[str, Mapping[str, Any]]


class Reader:
    """Reads models through one open line. Field sets are asked for once per model."""

    def __init__(self, call: Call, fields: dict[str, Fields], page_size: int | None) -> None:
        self._call = call
        self._fields = fields
        self._page_size = page_size or PAGE_SIZE

    def fields(self, model: str) -> Fields:
        """The fields that a model has here, with `type` and `relation`: versions and modules
        differ."""
        if model not in self._fields:
            told = self._call(model, "fields_get", attributes=["type", "relation"])
            if not isinstance(told, dict) or not told:
                raise BrokenContentError(
                    f"fields of {model}: found {type(told).__name__}, allowed: names with types",
                    next_step="check base_url: does Odoo answer there?",
                )
            self._fields[model] = told
        return self._fields[model]

    def names(self, model: str, paths: Iterable[str]) -> list[str]:
        """The fields of a model, and along the paths those of the models that they lead to."""
        fields = self.fields(model)
        names = list(fields)
        for reference, rests in _by_reference(paths).items():
            relation = self._relation(fields, reference)
            if relation is not None:
                beyond = self.names(relation, rests)
                names += [f"{reference}.{name}" for name in dict.fromkeys((*IN_REFERENCE, *beyond))]
        return names

    def pages(self, model: str, domain: Domain, paths: Sequence[str]) -> Iterator[list[Record]]:
        """The records that a domain means, each once, with `id` and what the paths lead to.

        The next page begins after the last id: however many records bear one change time, and
        whatever is written meanwhile, none is left out. A short page is no end, for a record may be
        deleted between search and read: only an empty one is.
        """
        last = 0
        while found := self._page(model, [*domain, ["id", ">", last]], paths):
            last = max(record["id"] for record in found)
            yield found

    def find(self, model: str, domain: Domain, paths: Sequence[str]) -> list[Record]:
        """All records that a domain means."""
        return [record for page in self.pages(model, domain, paths) for record in page]

    def by_id(self, model: str, ids: Iterable[int], paths: Sequence[str]) -> dict[int, Record]:
        """Records by their ids; one that the user may not read is not among them."""
        wanted = sorted(set(ids))
        return {
            record["id"]: record
            for start in range(0, len(wanted), self._page_size)
            for record in self._page(
                model, [["id", "in", wanted[start : start + self._page_size]]], paths
            )
        }

    def _page(self, model: str, domain: Domain, paths: Sequence[str]) -> list[Record]:
        """The first records that a domain means, in the order of their ids."""
        found = self._call(
            model,
            "search_read",
            domain=domain,
            fields=list(dict.fromkeys(["id", *(path.split(".")[0] for path in paths)])),
            order="id",
            limit=self._page_size,
        )
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise BrokenContentError(
                f"{model}: found {type(found).__name__}, allowed: a list of records",
                next_step="check base_url: does Odoo answer there?",
            )
        return [*self._flatten(model, found, paths)]

    def type(self, model: str, path: str) -> str:
        """What kind of value stands at a path that is there, such as `date` or `datetime`."""
        for reference, rests in _by_reference([path]).items():
            relation = self._relation(self.fields(model), reference)
            if relation is not None:
                return self.type(relation, rests[0])
        return str(self.fields(model).get(path, {}).get("type", ""))

    def _relation(self, fields: Fields, reference: str) -> str | None:
        """The model that a reference leads to: `partner_id`, or `transaction_ids.0`."""
        name, _, position = reference.partition(".")
        field = fields.get(name, {})
        is_list = field.get("type") in LISTS
        return field.get("relation") if is_list == bool(position) else None

    def _flatten(
        self, model: str, found: Sequence[Mapping[str, Any]], paths: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The rows under whole paths: what a reference leads to is read for all of them at once."""
        fields = self.fields(model)
        flat = [
            {name: plain(value, str(fields[name]["type"])) for name, value in row.items()}
            for row in found
        ]
        for reference, rests in _by_reference(paths).items():
            relation = self._relation(fields, reference)
            if relation is None:
                continue
            pairs = [_referred(row, reference) for row in found]
            come_along = IN_REFERENCE if "." not in reference else ("id",)
            beyond = [rest for rest in rests if rest not in come_along]
            ids = [pair["id"] for pair in pairs if "id" in pair]
            read = self.by_id(relation, ids, beyond) if beyond else {}
            for record, pair in zip(flat, pairs, strict=True):
                told = {**read.get(pair.get("id", 0), {}), **pair}
                record |= {f"{reference}.{rest}": told.get(rest) for rest in rests}
        return flat


def plain(value: Any, kind: str) -> Any:
    """A value without Odoo's habits: `false` for nothing, a pair for a reference, a bare day.

    A reference by itself reads as its display name. A calendar day is the Shanghai day, whose
    beginning it becomes.
    """
    if value is False and kind != "boolean":
        return None
    if kind == "many2one" and isinstance(value, list):
        return value[1]
    if kind == "date" and isinstance(value, str):
        return f"{value} 00:00:00{_SHANGHAI_OFFSET}"
    return value


# China has had no summer time since 1991.
_SHANGHAI_OFFSET = "+08:00"


def _by_reference(paths: Iterable[str]) -> dict[str, list[str]]:
    """The rest of each path by the reference that it begins with, a position included."""
    rests: dict[str, list[str]] = {}
    for path in paths:
        head, _, rest = path.partition(".")
        step, _, beyond = rest.partition(".")
        if step.isdecimal():
            head, rest = f"{head}.{step}", beyond
        if rest:
            rests.setdefault(head, []).append(rest)
    return rests


def _referred(row: Mapping[str, Any], reference: str) -> dict[str, Any]:
    """What the reference itself says: `id`, and `name` where it comes with one."""
    name, _, position = reference.partition(".")
    value = row.get(name)
    if not isinstance(value, list):
        return {}
    if not position:
        return dict(zip(IN_REFERENCE, value, strict=True))
    return {"id": value[int(position)]} if int(position) < len(value) else {}
