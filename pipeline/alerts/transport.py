"""What every channel can do, and the two ways in which it can fail to."""

from datetime import timedelta
from typing import Protocol

from pipeline.errors import BihuanError


class DeliveryError(BihuanError):
    """A message was not taken now; `retry_after` says when to try again, where the channel does."""

    can_retry = True

    def __init__(
        self, message: str, *, next_step: str = "", retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.retry_after = retry_after


class ChannelRefusedError(DeliveryError):
    """The channel will take no message until its settings are mended."""

    can_retry = False


class Transport(Protocol):
    """One way of sending Markdown. `limit_bytes` is the most that one message may hold in UTF-8."""

    limit_bytes: int

    def post(self, text: str) -> None:
        """Send one message. Raises DeliveryError or ChannelRefusedError.

        After a time-out nobody knows whether it arrived; it then counts as not sent.
        """
