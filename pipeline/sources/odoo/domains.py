"""Odoo's domains: which records a window of days or of changes means."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any

from pipeline.errors import ConfigurationError
from pipeline.landing import SHANGHAI

Domain = list[Any]
"""Terms `[field, operator, value]`, and `&`, `|` and `!` before those that they bind."""

_OPERATORS = ("&", "|", "!")
_TERM_LENGTH = 3
_MOMENT = timedelta(microseconds=1)


def read_domain(written: Any, table: str) -> Domain:
    """The domain of `where`. Raises ConfigurationError for what is none."""
    if written is None:
        return []
    fits = isinstance(written, list) and all(
        part in _OPERATORS
        if isinstance(part, str)
        else isinstance(part, list) and len(part) == _TERM_LENGTH and isinstance(part[0], str)
        for part in written
    )
    if not fits:
        raise ConfigurationError(
            f"sources.yml: tables.{table}.where: found no domain of Odoo, allowed: a list of terms"
            " such as [[company_id, '=', 1], [state, '!=', draft]]",
            next_step="write `where` as Odoo's developer mode shows a filter",
        )
    return list(written)


def any_of(domains: Sequence[Domain]) -> Domain:
    """What at least one of some domains means."""
    joined = [["&"] * (_terms(domain) - 1) + domain for domain in domains]
    return [*repeat("|", len(joined) - 1), *(part for domain in joined for part in domain)]


def window(
    fields: Sequence[str],
    types: Mapping[str, str],
    since: datetime | None,
    until: datetime | None,
    *,
    with_undated: bool,
) -> Domain:
    """Records that the first of some fields with a value puts into a half-open window.

    `types` are those of the fields: a calendar day is a Shanghai day, an instant is UTC.
    """
    inside = [
        [
            *([before, "=", False] for before in fields[:position]),
            *([[field, ">=", _bound(since, types[field])]] if since else []),
            *([[field, "<", _bound(until, types[field], is_end=True)]] if until else []),
        ]
        for position, field in enumerate(fields)
    ]
    if since is None and until is None:
        return []
    undated: list[Domain] = [[[field, "=", False] for field in fields]] if with_undated else []
    return any_of([*inside, *undated])


def _bound(instant: datetime, kind: str, *, is_end: bool = False) -> str:
    """The instant as Odoo words it: no finer than a second, so a beginning is put before it."""
    if kind != "date":
        whole = instant.astimezone(UTC).replace(microsecond=0)
        if is_end and instant.microsecond:
            whole += timedelta(seconds=1)
        return whole.strftime("%Y-%m-%d %H:%M:%S")
    if not is_end:
        return instant.astimezone(SHANGHAI).date().isoformat()
    last = (instant - _MOMENT).astimezone(SHANGHAI).date()
    return (last + timedelta(days=1)).isoformat()


def _terms(domain: Domain) -> int:
    """How many expressions stand side by side: Odoo joins them by `&` where nothing else does."""
    binders = {"&": 1, "|": 1, "!": 0}
    return sum(1 if isinstance(part, list) else -binders[part] for part in domain)
