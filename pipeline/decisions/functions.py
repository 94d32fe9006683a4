"""The decisions as functions of SQL: dbt-duckdb loads this module into every connection it opens.

Named in `dbt_project/profiles.yml`. What the functions compute stands in the modules beside this
one; here they only learn to take and give nulls.
"""

from collections.abc import Callable
from functools import cache, wraps

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection
from duckdb.func import SPECIAL

from pipeline.decisions.comparisons import adjust_for_many, chance_of_rise
from pipeline.decisions.intervals import cases_needed, clopper_pearson_interval

Number = float | int | None


class Plugin(BasePlugin):
    """What dbt-duckdb looks for in a module that its profile names."""

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        register(conn)


def register(connection: DuckDBPyConnection) -> None:
    """Make every function known to the connection, and to all cursors of its database."""
    for name, (function, takes, gives) in FUNCTIONS.items():
        connection.create_function(
            name, _null_for_null(function), [*takes], gives, null_handling=SPECIAL
        )


def _low(successes: int, trials: int) -> float | None:
    interval = clopper_pearson_interval(successes, trials)
    return interval.low if interval else None


def _high(successes: int, trials: int) -> float | None:
    interval = clopper_pearson_interval(successes, trials)
    return interval.high if interval else None


def _adjusted(chance: float, chances: list[float | None]) -> float | None:
    return adjust_for_many(chances)[chances.index(chance)]


def _null_for_null(function: Callable[..., Number]) -> Callable[..., Number]:
    @wraps(function)
    def nullable(*arguments: object) -> Number:
        return None if None in arguments else function(*arguments)

    return nullable


# What is computed, the types that it takes and the one that it gives. The same few counts come
# again and again, so the limits are remembered.
FUNCTIONS: dict[str, tuple[Callable[..., Number], tuple[str, ...], str]] = {
    "clopper_pearson_low": (cache(_low), ("bigint", "bigint"), "double"),
    "clopper_pearson_high": (cache(_high), ("bigint", "bigint"), "double"),
    "cases_needed": (cache(cases_needed), ("bigint", "bigint", "double"), "bigint"),
    "chance_of_rise": (chance_of_rise, ("bigint", "bigint", "bigint", "bigint"), "double"),
    "adjusted_for_many": (_adjusted, ("double", "double[]"), "double"),
}
