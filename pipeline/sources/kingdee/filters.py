"""K3Cloud's filters: which bills a window of days or of changes means, in the server's time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline.errors import ConfigurationError
from pipeline.landing import SHANGHAI


def read_filter(written: Any, table: str) -> str | None:
    """The filter of `where`. Raises ConfigurationError for what is none."""
    if written is not None and (not isinstance(written, str) or not written.strip()):
        raise ConfigurationError(
            f"sources.yml: tables.{table}.where: found no filter of K3Cloud, allowed: text such as"
            " FSaleOrgId.FNumber = '100'",
            next_step="write `where` as a FilterString of the WebAPI",
        )
    return written


def all_of(filters: Sequence[str | None]) -> str:
    """What all of some filters mean together."""
    return " and ".join(f"({told})" for told in filters if told)


def window(
    fields: Sequence[str], since: datetime | None, until: datetime | None, *, with_undated: bool
) -> str | None:
    """Bills that the first of some fields with a value puts into a half-open window."""
    inside = [
        " and ".join(
            [
                *(f"{before} is null" for before in fields[:position]),
                *([f"{field} >= '{_moment(since)}'"] if since else []),
                *([f"{field} < '{_moment(until, is_end=True)}'"] if until else []),
            ]
        )
        for position, field in enumerate(fields)
    ]
    if since is None and until is None:
        return None
    undated = [" and ".join(f"{field} is null" for field in fields)] if with_undated else []
    return " or ".join(f"({told})" for told in [*inside, *undated])


def _moment(instant: datetime, *, is_end: bool = False) -> str:
    """The instant to the second: a beginning is put before it, an end after it."""
    whole = instant.astimezone(SHANGHAI).replace(microsecond=0)
    if is_end and instant.microsecond:
        whole += timedelta(seconds=1)
    return whole.strftime("%Y-%m-%d %H:%M:%S")
