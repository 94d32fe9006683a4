"""Times as the parameters of a JSON API, so that nothing at their ends is left out."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.company.rest import TimeParameters

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_RESOLUTIONS = {
    "iso": _TICK,
    "milliseconds": timedelta(milliseconds=1),
    "seconds": timedelta(seconds=1),
    "datetime": timedelta(seconds=1),
    "date": timedelta(days=1),
}


def time_parameters(
    of: TimeParameters, since: datetime | None, until: datetime | None, zone: str
) -> dict[str, str]:
    """The parameters that ask for [since, until), or for a little more where the format is coarse.

    `zone` is that of dates and of times without a zone.
    """
    told: dict[str, str] = {}
    if since is not None:
        start = _floor(since, of, zone)
        if of.excludes_since:
            start -= _RESOLUTIONS[of.format]
        told[of.since] = _write(start, of, zone)
    if until is not None and of.until is not None:
        last = _floor(until - _TICK, of, zone)
        # A date that counts itself covers its whole day; a second that counts itself does not
        # cover what is kept in finer steps.
        counts_itself = of.includes_until and of.format == "date"
        end = last if counts_itself else last + _RESOLUTIONS[of.format]
        told[of.until] = _write(end, of, zone)
    return told


def _floor(instant: datetime, of: TimeParameters, zone: str) -> datetime:
    local = instant.astimezone(ZoneInfo(zone))
    if of.format == "date":
        return local.replace(hour=0, minute=0, second=0, microsecond=0)
    steps = (local - _EPOCH) // _RESOLUTIONS[of.format]
    return (_EPOCH + steps * _RESOLUTIONS[of.format]).astimezone(ZoneInfo(zone))


def _write(instant: datetime, of: TimeParameters, zone: str) -> str:
    if of.format == "date":
        return instant.date().isoformat()
    if of.format == "datetime":
        return instant.strftime("%Y-%m-%d %H:%M:%S")
    if of.format == "iso":
        return instant.astimezone(ZoneInfo(zone)).isoformat()
    return str((instant - _EPOCH) // _RESOLUTIONS[of.format])
