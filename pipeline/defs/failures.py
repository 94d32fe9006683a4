"""How an error of the project becomes a retry or a failure in Dagster. No assets here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import dagster as dg

from pipeline.errors import BihuanError, NotReadyError

RETRIES = 3
FIRST_PAUSE_SECONDS = 5.0
# WeChat finishes a day's bill between 09:00 and 10:00, at times an hour later (its documents ask
# for retries "after 10:00"): six pauses of ten minutes wait that hour out, then a person is told.
RETRIES_UNTIL_READY = 6
PAUSE_UNTIL_READY_SECONDS = 600.0


@contextmanager
def told_to_dagster(
    context: dg.AssetExecutionContext, *, is_attended: bool = False
) -> Iterator[None]:
    """Let Dagster try again where that can help, and fail at once, with the next step, where not.

    `is_attended`: a person waits for the run, so it does not sleep until a source is ready.
    """
    try:
        yield
    except BihuanError as error:
        if error.can_retry:
            _ask_for_a_retry(error, tried=context.retry_number, is_attended=is_attended)
        raise failure(error) from error


def failure(error: BihuanError) -> dg.Failure:
    """The error as Dagster shows it: its class, what was found and what to do next."""
    return dg.Failure(
        description=str(error),
        metadata={
            "error_class": type(error).__name__,
            "message": str(error).removesuffix(f"\n  next: {error.next_step}"),
            "next_step": error.next_step,
        },
        allow_retries=False,
    )


def _ask_for_a_retry(error: BihuanError, *, tried: int, is_attended: bool) -> None:
    if isinstance(error, NotReadyError):
        if not is_attended and tried < RETRIES_UNTIL_READY:
            _retry(error, RETRIES_UNTIL_READY, PAUSE_UNTIL_READY_SECONDS)
    elif tried < RETRIES:
        _retry(error, RETRIES, FIRST_PAUSE_SECONDS * 2**tried)


def _retry(error: BihuanError, retries: int, seconds: float) -> NoReturn:
    raise dg.RetryRequested(max_retries=retries, seconds_to_wait=seconds) from error
