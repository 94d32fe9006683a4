"""How a suite of expectations is judged by Great Expectations, and what is told of each.

What is expected of which table stands in the modules beside this one. Frames are aggregated in
SQL first, so a table of millions is judged as tens of rows. Great Expectations is imported when
the first suite is judged: it takes seconds and 270 MB, which loading the definitions must not.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    import pandas as pd


# Enough rows to see what is wrong; the published file holds the rest.
EVIDENCE_ROWS = 20


@dataclass(frozen=True)
class Expected:
    """One expectation in business words.

    `kind` and `arguments` are those of Great Expectations; it is about `column`. Where the frame
    has no row, or the column a null, it is not met: a check that cannot fail is no check.
    """

    name: str
    description: str
    column: str
    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """What is expected of one table, judged on the rows of `frame`.

    `may_be_empty`: no row is lawful (a company without divergences), and meets everything.
    """

    table: str
    frame: str
    expected: tuple[Expected, ...]
    may_be_empty: bool = False


@dataclass(frozen=True)
class Judgement:
    """What came of one expectation. With an `error` it says nothing of the data."""

    expected: Expected
    is_met: bool
    rows_judged: int = 0
    reason: str = ""
    evidence: tuple[Mapping[str, Any], ...] = ()
    error: str = ""


def exactly(column: str, number: int) -> dict[str, Any]:
    """Every value of the column is this number."""
    return one_of(column, [number])


def one_of(column: str, words: Sequence[object]) -> dict[str, Any]:
    """Every value of the column is in the list."""
    return {
        "column": column,
        "kind": "expect_column_values_to_be_in_set",
        "arguments": {"value_set": list(words)},
    }


def within(column: str, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """Every value of the column lies between the bounds, both included."""
    return {
        "column": column,
        "kind": "expect_column_values_to_be_between",
        "arguments": {"min_value": low, "max_value": high},
    }


def judge(suite: Suite, connection: duckdb.DuckDBPyConnection) -> list[Judgement]:
    """Judge a suite on the file that the connection reads; one judgement per expectation."""
    import pandas as pd

    try:
        found = connection.execute(suite.frame)
        frame = pd.DataFrame(found.fetchall(), columns=[name for name, *_ in found.description])
    except duckdb.Error as error:
        return [_errored(expected, error) for expected in suite.expected]
    return judge_frame(suite, frame)


def judge_frame(suite: Suite, frame: "pd.DataFrame") -> list[Judgement]:
    """Judge a suite on a frame at hand."""
    if frame.empty:
        told = "" if suite.may_be_empty else "there is no row to judge"
        return [
            Judgement(expected, is_met=suite.may_be_empty, reason=told)
            for expected in suite.expected
        ]
    try:
        results = _validate(suite, frame)
    except Exception as error:  # the library raises what it likes; none of it is the data's fault
        return [_errored(expected, error) for expected in suite.expected]
    return [_judgement(expected, results, frame) for expected in suite.expected]


def _validate(suite: Suite, frame: "pd.DataFrame") -> dict[tuple[str, str], Mapping[str, Any]]:
    """One result per column and kind. One call per frame: each call hashes the whole of it."""
    import great_expectations as gx

    never_null: dict[tuple[str, str], Mapping[str, Any]] = {
        (expected.column, "expect_column_values_to_not_be_null"): {} for expected in suite.expected
    }
    wanted = never_null | {
        (expected.column, expected.kind): expected.arguments for expected in suite.expected
    }
    asked = gx.ExpectationSuite(
        name=suite.table,
        expectations=[
            {"type": kind, "kwargs": {"column": column, **arguments}}
            for (column, kind), arguments in wanted.items()
        ],
    )
    batch = _batches().get_batch(batch_parameters={"dataframe": frame})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Great Expectations about its own use of pandas
        validated = batch.validate(
            asked,
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": list(frame.columns),
            },
        )
    return {
        (result["expectation_config"]["kwargs"]["column"], result["expectation_config"]["type"]): (
            result
        )
        for result in validated.to_json_dict()["results"]
    }


@cache
def _batches() -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    frames = context.data_sources.add_pandas("frames")
    return frames.add_dataframe_asset("frame").add_batch_definition_whole_dataframe("whole")


def _judgement(
    expected: Expected,
    results: Mapping[tuple[str, str], Mapping[str, Any]],
    frame: "pd.DataFrame",
) -> Judgement:
    asked = results[(expected.column, expected.kind)]
    never_null = results[(expected.column, "expect_column_values_to_not_be_null")]
    for result in (asked, never_null):
        raised = _raised(result.get("exception_info") or {})
        if raised:
            return _errored(expected, raised)
    failed = asked if not asked["success"] else never_null
    rows = [_plain(row) for row in failed["result"].get("unexpected_index_list") or []]
    is_met = bool(asked["success"] and never_null["success"])
    return Judgement(
        expected,
        is_met=is_met,
        rows_judged=len(frame),
        reason="" if is_met else _reason(expected, rows, list(frame.columns)),
        evidence=tuple(rows[:EVIDENCE_ROWS]),
    )


def _raised(told: Mapping[str, Any]) -> str:
    """The message of an exception; Great Expectations may nest it under the metric that raised."""
    if told.get("raised_exception"):
        return str(told.get("exception_message"))
    nested = (_raised(value) for value in told.values() if isinstance(value, Mapping))
    return next(filter(None, nested), "")


def _reason(expected: Expected, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """`agreeing_share: found 0.95 (retail); allowed: 0.99 to 1`: the first column names the row."""
    found = [
        f"{row[expected.column]}"
        + (f" ({row[columns[0]]})" if columns[0] != expected.column else "")
        for row in rows[:5]
    ]
    return f"{expected.column}: found {', '.join(found)}; allowed: {_allowed(expected)}"


def _allowed(expected: Expected) -> str:
    words = expected.arguments.get("value_set")
    if words is not None:
        return ", ".join(map(str, words))
    low, high = expected.arguments["min_value"], expected.arguments["max_value"]
    if high is None:
        return f"{low} or more"
    return f"{high} or less" if low is None else f"{low} to {high}"


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON can say it: numpy's scalars and pandas' times are neither numbers nor text."""
    unboxed = {
        name: getattr(value, "item", lambda value=value: value)() for name, value in row.items()
    }
    return {
        name: value if value is None or isinstance(value, int | float | str) else str(value)
        for name, value in unboxed.items()
    }


def _errored(expected: Expected, error: object) -> Judgement:
    told = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else str(error)
    return Judgement(expected, is_met=False, reason="could not be judged", error=told)
