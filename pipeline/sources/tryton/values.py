"""Tryton's typed values: what JSON has no word for travels as an object with `__class__`.

Instants are UTC without saying so; here they say so.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

_CLOCK = ("hour", "minute", "second", "microsecond")


def decode(value: Any) -> Any:
    """A value of a reply as Python has it. Raises KeyError, TypeError, ValueError."""
    if isinstance(value, list):
        return [decode(element) for element in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("__class__")
    if kind is None:
        return {name: decode(element) for name, element in value.items()}
    if kind == "Decimal":
        return Decimal(value["decimal"])
    if kind == "date":
        return date(value["year"], value["month"], value["day"])
    if kind == "datetime":
        day = datetime(value["year"], value["month"], value["day"], tzinfo=UTC)
        return day.replace(**{name: value[name] for name in _CLOCK})
    if kind == "timedelta":
        return timedelta(seconds=float(value["seconds"]))
    if kind == "time":
        return "{:02}:{:02}:{:02}".format(*(value[name] for name in _CLOCK[:3]))
    return None  # bytes: an attachment or a picture, which no landed column holds


def encode(value: Any) -> Any:
    """A value of a domain as Tryton reads it from JSON."""
    if isinstance(value, datetime):
        at = value.astimezone(UTC) if value.tzinfo else value
        clock = {name: getattr(at, name) for name in _CLOCK}
        return encode(at.date()) | {"__class__": "datetime"} | clock
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if isinstance(value, Mapping):
        return {name: encode(element) for name, element in value.items()}
    if isinstance(value, list | tuple):
        return [encode(element) for element in value]
    return value


def referred(reference: Any, model: str) -> int | None:
    """The id behind a reference such as `sale.line,7`; None where it is of another model."""
    found = re.fullmatch(r"([\w.]+),(\d+)", reference) if isinstance(reference, str) else None
    return int(found[2]) if found and found[1] == model else None
