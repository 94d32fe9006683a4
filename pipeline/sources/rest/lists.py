"""One list of a JSON API: its address, its place in the replies, its pages."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from pipeline.company.mistakes import suggest
from pipeline.company.rest import Paging
from pipeline.errors import BrokenContentError, PermanentSourceError
from pipeline.sources.records import as_text, text_at
from pipeline.sources.replies import exchange
from pipeline.sources.rest.paging import Reply, Step, read_pages
from pipeline.sources.wire import Wire

logger = logging.getLogger(__name__)

_MISSING = object()


class Listed(Protocol):
    """How sources.yml describes a list, be it a table's own or the one above it."""

    @property
    def list_at(self) -> str | None: ...
    @property
    def count_at(self) -> str | None: ...
    @property
    def paging(self) -> Paging: ...
    @property
    def page_size(self) -> int | None: ...
    @property
    def parameters(self) -> Mapping[str, str | int | bool]: ...


@dataclass(frozen=True)
class Line:
    """An open line to the API: `get` lets in, texts of `conceal` never show."""

    base: httpx.URL
    get: Callable[[httpx.URL], httpx.Response]
    wire: Wire
    conceal: tuple[str, ...]


@dataclass
class ListReader:
    """Reads one list over a line. `path` lies below the base address."""

    line: Line
    listed: Listed
    path: str
    _is_first_reply: bool = field(default=True, init=False)

    @property
    def _what(self) -> str:
        return f"{self.path} at {self.line.base}"

    def replies(self, times: Mapping[str, str]) -> Iterator[Reply]:
        """The pages in turn. Raises subclasses of SourceError."""
        paging, page_size = self.listed.paging, self.listed.page_size
        return read_pages(paging, page_size, lambda step: self._ask(step, times), self._what)

    def _ask(self, step: Step, times: Mapping[str, str]) -> Reply:
        url = self._address(step, times)
        responses: list[httpx.Response] = []

        def send() -> httpx.Response:
            responses.append(self.line.get(url))
            return responses[-1]

        content = self.line.wire.persist(
            lambda: exchange(send, self._what, conceal=self.line.conceal)
        )
        return self._read(content, responses[-1])

    def _address(self, step: Step, times: Mapping[str, str]) -> httpx.URL:
        base = self.line.base
        url = base.copy_with(path=f"{base.path.rstrip('/')}/{self.path.lstrip('/')}")
        if step.address is not None:
            return self._require_same_host(url.join(step.address))
        fixed = {name: _written(value) for name, value in self.listed.parameters.items()}
        return url.copy_merge_params({**fixed, **times, **dict(step.parameters)})

    def _require_same_host(self, url: httpx.URL) -> httpx.URL:
        """The address of the next page; our access is for this host only."""
        base = self.line.base
        if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port):
            raise PermanentSourceError(
                f"{self._what}: the next page stands at {url.scheme}://{url.host}, allowed: the"
                " host of base_url",
                next_step="name the address by which the API calls itself as base_url",
            )
        return url

    def _read(self, content: Any, response: httpx.Response) -> Reply:
        found = self._at(content, self.listed.list_at) if self.listed.list_at else content
        records = [] if found is None else found
        if not isinstance(records, list) or not all(isinstance(of, Mapping) for of in records):
            place = self.listed.list_at or "the reply"
            raise BrokenContentError(
                f"{self._what}: found {type(found).__name__} as {place}, allowed: a list of"
                " objects",
                next_step="name the place of the list as `list_at` of the table in sources.yml",
            )
        return Reply(records, self._following(content, response), self._count(content))

    def _following(self, content: Any, response: httpx.Response) -> str | None:
        """The token or address of the next page. Many an API leaves its place out of the last page,
        so that a place that never was there is told, and no error."""
        paging = self.listed.paging
        if paging.next_at:
            self._tell_missing(content, paging.next_at)
            return text_at(content, paging.next_at) if isinstance(content, Mapping) else None
        if paging.kind == "link":
            return response.links.get("next", {}).get("url")
        return None

    def _tell_missing(self, content: Any, place: str) -> None:
        """Say once, of the first reply, that nothing in it leads on."""
        names = set(content) if isinstance(content, Mapping) else set()
        if self._is_first_reply and not names & {place, place.split(".")[0]}:
            logger.warning(
                "%s: the first page has no '%s', so it is read as the only one", self._what, place
            )
        self._is_first_reply = False

    def _count(self, content: Any) -> int | None:
        if not self.listed.count_at:
            return None
        text = as_text(self._at(content, self.listed.count_at)) or ""
        if not text.isdecimal():
            raise BrokenContentError(
                f"{self._what}: found {text[:40]!r} as {self.listed.count_at}, allowed: a count",
                next_step="name the place of the count as `count_at` of the table in sources.yml",
            )
        return int(text)

    def _at(self, content: Any, path: str) -> Any:
        """What stands at a path of the reply. Raises PermanentSourceError where nothing can."""
        if isinstance(content, Mapping) and path in content:
            return content[path]
        value = content
        for step in path.split("."):
            names = list(value) if isinstance(value, Mapping) else []
            value = value.get(step, _MISSING) if isinstance(value, Mapping) else _MISSING
            if value is _MISSING:
                raise PermanentSourceError(
                    f"{self._what}: found no '{step}' of {path} in the reply,"
                    f" {suggest(step, names)}",
                    next_step="name the places as they are there in sources.yml",
                )
        return value


def _written(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
