"""How an error of the project becomes a retry or a failure in Dagster. No assets here."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from pipeline.errors import BihuanError, NotReadyError

RETRIES = 3
FIRST_PAUSE_SECONDS = 5.0


@contextmanager
def told_to_dagster(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Let Dagster try again where that can help, and fail at once, with the next step, where not.

    A source that is not ready is asked again by a later run (see jobs.py): this one does not sleep.
    """
    try:
        yield
    except BihuanError as error:
        can_retry = error.can_retry and not isinstance(error, NotReadyError)
        if can_retry and context.retry_number < RETRIES:
            seconds = FIRST_PAUSE_SECONDS * 2**context.retry_number
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=seconds) from error
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
