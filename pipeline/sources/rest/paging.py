"""The pages of one list of a JSON API: how each next one is asked for, and when there is none.

A paging that repeats itself or never ends is an error, not a loop.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.company.rest import Paging
from pipeline.errors import PermanentSourceError
from pipeline.sources.records import Record

# No list is longer: a hundred thousand pages are days of reading.
MOST_PAGES = 100_000


@dataclass(frozen=True)
class Step:
    """One request: parameters beside the list's own ones, or an address that the API gave."""

    parameters: tuple[tuple[str, str], ...] = ()
    address: str | None = None


@dataclass(frozen=True)
class Reply:
    """What one page holds, and what it tells of the next: a token or an address."""

    records: Sequence[Record]
    following: str | None = None
    count: int | None = None


@dataclass
class _Progress:
    """How far a reading has come."""

    pages: int = 0
    records: int = 0
    steps: set[Step] = field(default_factory=set)
    contents: set[bytes] = field(default_factory=set)


def read_pages(
    paging: Paging, page_size: int | None, get: Callable[[Step], Reply], what: str
) -> Iterator[Reply]:
    """The pages from the first to the last. Raises PermanentSourceError where one comes again."""
    size = {paging.size_parameter: str(page_size)} if paging.size_parameter else {}
    done = _Progress()
    step: Step | None = _first(paging, size)
    while step is not None:
        if step in done.steps or done.pages == MOST_PAGES:
            raise _endless(what, paging, done, "leads back to a page before")
        done.steps.add(step)
        reply = get(step)
        _require_new(reply.records, done, what, paging)
        done.pages += 1
        done.records += len(reply.records)
        yield reply
        step = _next(paging, size, reply, done)


def _first(paging: Paging, size: Mapping[str, str]) -> Step:
    if paging.kind == "page":
        return _step(size, paging, str(paging.first))
    if paging.kind == "offset":
        return _step(size, paging, "0")
    return Step(tuple(size.items()))


def _next(paging: Paging, size: Mapping[str, str], reply: Reply, done: _Progress) -> Step | None:
    """The step after a reply. Pages may be shorter than asked for, so that only an empty one, or
    the count that the API tells, ends a list without tokens."""
    if paging.kind in ("cursor", "link"):
        if not reply.following:
            return None
        if paging.kind == "link":
            return Step(address=reply.following)
        return _step(size, paging, reply.following)
    is_over = not reply.records or (reply.count is not None and done.records >= reply.count)
    if paging.kind == "none" or is_over:
        return None
    if paging.kind == "page":
        return _step(size, paging, str(paging.first + done.pages))
    return _step(size, paging, str(done.records))


def _step(size: Mapping[str, str], paging: Paging, value: str) -> Step:
    return Step((*size.items(), (paging.parameter or "", value)))


def _require_new(records: Sequence[Record], done: _Progress, what: str, paging: Paging) -> None:
    if not records:
        return
    written = json.dumps(records, sort_keys=True, default=str).encode()
    digest = hashlib.sha256(written).digest()
    if digest in done.contents:
        raise _endless(what, paging, done, "is a page that came before")
    done.contents.add(digest)


def _endless(what: str, paging: Paging, done: _Progress, why: str) -> PermanentSourceError:
    name = paging.parameter or paging.next_at or "the Link header"
    return PermanentSourceError(
        f"{what}: page {done.pages + 1} {why}: the API does not page by {name}",
        next_step="compare `paging` of the table in sources.yml with the API's documentation",
    )
