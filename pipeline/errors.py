"""What can go wrong, whether trying again can help, and what to do next.

Every error that a user may meet is one of these classes. A message says what was attempted, what
was found and what is allowed; `next_step` says what to do. No message bears a secret or a raw
personal identifier.
"""

from collections.abc import Sequence


class BihuanError(Exception):
    """Anything the project raises on purpose."""

    can_retry = False

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.next_step}" if self.next_step else self.message


class ConfigurationError(BihuanError):
    """The company folder, the environment or the arguments are wrong: exit code 2."""

    def __init__(self, message: str, *, next_step: str = "", mistakes: Sequence[str] = ()) -> None:
        super().__init__(message, next_step=next_step)
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        listed = "".join(f"\n  - {mistake}" for mistake in self.mistakes)
        after = f"\n  next: {self.next_step}" if self.next_step else ""
        return f"{self.message}{listed}{after}"


class SourceError(BihuanError):
    """A system that is read from did not give what it should."""


class TransientSourceError(SourceError):
    """The system is busy, slow or cut the line: the same call may work in a moment."""

    can_retry = True


class NotReadyError(SourceError):
    """The system has not built that day's figures yet: ask again in minutes or hours."""

    can_retry = True


class QuotaOfDayError(NotReadyError):
    """The calls of this day are used up: ask again tomorrow."""


class PermanentSourceError(SourceError):
    """Refused, withdrawn or not allowed: trying again cannot help."""


class RetiredEndpointError(PermanentSourceError):
    """The system has withdrawn this call for everybody: no failure of the account or the run."""


class BrokenContentError(SourceError):
    """What arrived is not what was sent: truncated, wrong digest, wrong totals.

    A fresh download may help, the same bytes never will; nothing of it is landed.
    """

    can_retry = True


class LandingError(BihuanError):
    """A batch could not be made current; the batch before it still is."""


class WarehouseError(BihuanError):
    """The build file or the published file could not be opened, built or swapped."""


class UntrustworthyError(WarehouseError):
    """A check that guards publishing failed: the published file is still the one before."""
