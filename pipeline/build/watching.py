"""Watching a run: its events as progress for a person, and what they say for the summary."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from pipeline import errors
from pipeline.errors import BihuanError, UntrustworthyError, WarehouseError

# What a person calls the step; a landing asset is called by its table.
STAGES = {
    "register": "landing",
    "transform": "models",
    "published__candidate": "candidate",
    "trustworthy": "trustworthy checks",
    "published__bihuan": "publish",
    "agreeing": "agreeing checks",
    "alerts__told": "alerts",
    "report__page": "report",
}

INTERRUPTIONS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")

State = Literal["started", "done", "failed", "retrying"]


@dataclass(frozen=True)
class Progress:
    """One step of a stage began or ended, `seconds` after it began; `told` is for a person."""

    stage: str
    step: str
    state: State
    seconds: float = 0.0
    told: str = ""


@dataclass
class Watcher:
    """Collects what the events of one run say, and tells progress while it runs."""

    progress: Callable[[Progress], None]
    seconds: dict[str, float] = field(default_factory=dict)
    landed: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    materialized: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    checks: list[dg.AssetCheckEvaluation] = field(default_factory=list)
    failures: list[tuple[str, BihuanError]] = field(default_factory=list)
    is_interrupted: bool = False
    _begun: dict[str, float] = field(default_factory=dict)

    def logger_definition(self) -> dg.LoggerDefinition:
        """A Dagster logger that hands each event on and prints nothing."""

        @dg.logger
        def watcher(_: dg.InitLoggerContext) -> logging.Logger:
            logger = logging.Logger("bihuan.watcher", level=logging.DEBUG)
            logger.addHandler(_Handing(self.see))
            return logger

        return watcher

    def see(self, event: dg.DagsterEvent) -> None:
        """Take note of one event."""
        kind, step = event.event_type, event.step_key or ""
        if kind == dg.DagsterEventType.STEP_START:
            self._begun[step] = time.monotonic()
            self._tell(step, "started")
        elif kind == dg.DagsterEventType.STEP_UP_FOR_RETRY:
            self._tell(step, "retrying", _first_line(event.step_retry_data.error))
        elif kind == dg.DagsterEventType.STEP_FAILURE:
            error = self._to_error(event)
            self.failures.append((step, error))
            self._finish(step, "failed", error.message)
        elif kind == dg.DagsterEventType.RUN_FAILURE and not self.failures:
            told = event.job_failure_data.error
            self.failures.append(("the run", _from_chain(told) or _defect("the run", told)))
        elif kind == dg.DagsterEventType.STEP_SUCCESS:
            self._finish(step, "done")
        elif kind == dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._note(event.step_materialization_data.materialization)
        elif kind == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            self.checks.append(event.asset_check_evaluation_data)

    def raise_first_failure(self) -> None:
        """Raise what failed; where several steps failed, the first, with the others named.

        Raises KeyboardInterrupt where a person stopped the run.
        """
        if self.is_interrupted:
            raise KeyboardInterrupt
        if not self.failures:
            return
        (_, error), *others = self.failures
        for step, other in others:
            error.add_note(f"also failed: {step}: {other.message}")
        raise error

    def _note(self, materialization: dg.AssetMaterialization) -> None:
        """Keep what a step says of itself as a whole, not what it says of a day caught up on."""
        metadata = {name: value.value for name, value in materialization.metadata.items()}
        layer, name = materialization.asset_key.path[0], materialization.asset_key.path[-1]
        if layer == "landing" and "days" in metadata:
            self.landed[name] = metadata
        elif layer != "landing":
            self.materialized[materialization.asset_key.to_user_string()] = metadata

    def _finish(self, step: str, state: State, told: str = "") -> None:
        seconds = time.monotonic() - self._begun.get(step, time.monotonic())
        stage = _stage(step)
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        self._tell(step, state, told, seconds=seconds)

    def _tell(self, step: str, state: State, told: str = "", *, seconds: float = 0.0) -> None:
        name = step.removeprefix("landing__")
        self.progress(Progress(_stage(step), name, state, seconds, told or self._outcome(step)))

    def _outcome(self, step: str) -> str:
        """What a landing step came to, once it has said so."""
        landed = self.landed.get(step.removeprefix("landing__"))
        if landed is None:
            return ""
        told = f"{landed['rows']} rows, {landed['days']} days"
        return (
            told
            + "".join(
                f", {landed[name]} {word}"
                for name, word in (
                    ("quarantined", "quarantined"),
                    ("revisions", "revised days"),
                    ("unchanged", "days unchanged"),
                )
                if landed[name]
            )
            + (", not ready" if "not_ready" in landed else "")
        )

    def _to_error(self, event: dg.DagsterEvent) -> BihuanError:
        """The error of ours that a step's failure stands for."""
        failed = event.step_failure_data
        if failed.error is not None and failed.error.cls_name in INTERRUPTIONS:
            self.is_interrupted = True
            return WarehouseError("interrupted")
        if failed.user_failure_data is not None:
            return _from_failure(failed.user_failure_data.metadata)
        broken = [check for check in self.checks if not check.passed and check.blocking]
        if broken:
            return _untrustworthy(broken)
        return _from_chain(failed.error) or _defect(event.step_key or "", failed.error)


def _from_failure(metadata: Mapping[str, dg.MetadataValue]) -> BihuanError:
    """The error that an asset told Dagster of."""
    told = {name: str(value.value) for name, value in metadata.items()}
    kind = _kind(told.get("error_class")) or WarehouseError
    return kind(told["message"], next_step=told["next_step"])


def _untrustworthy(broken: Sequence[dg.AssetCheckEvaluation]) -> UntrustworthyError:
    listed = "\n".join(f"  - {check.check_name}: {check.description}" for check in broken)
    return UntrustworthyError(
        f"the candidate cannot be trusted, so nothing was published:\n{listed}",
        next_step="the published file is still the one before; mend what is named, then run again",
    )


def _from_chain(error: SerializableErrorInfo | None) -> BihuanError | None:
    """The error of ours that another library wrapped, with its message as it was written."""
    while error is not None:
        kind = _kind(error.cls_name)
        if kind is not None:
            _, _, written = error.message.partition(": ")
            message, _, next_step = written.strip().partition("\n  next: ")
            return kind(message, next_step=next_step)
        error = error.cause
    return None


def _defect(place: str, error: SerializableErrorInfo | None) -> BihuanError:
    """What nobody foresaw keeps its traceback."""
    return WarehouseError(
        f"{place} failed unexpectedly\n{error.to_string() if error else ''}",
        next_step="this is a defect: report it with the lines above",
    )


def _kind(name: str | None) -> type[BihuanError] | None:
    kind = getattr(errors, name or "", None)
    return kind if isinstance(kind, type) and issubclass(kind, BihuanError) else None


class _Handing(logging.Handler):
    """Hands on the Dagster event that a log record bears."""

    def __init__(self, see: Callable[[dg.DagsterEvent], None]) -> None:
        super().__init__()
        self._see = see

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is not None:
            self._see(event)


def _stage(step: str) -> str:
    return "landing" if step.startswith("landing__") else STAGES.get(step, step)


def _first_line(error: SerializableErrorInfo | None) -> str:
    """What set off a chain of errors, in a line."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip().splitlines()[0] if error else ""
