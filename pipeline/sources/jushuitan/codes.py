"""What the codes of 聚水潭 mean: it answers HTTP 200 to all, with a `code` that is 0 or not."""

from dataclasses import dataclass

from pipeline.errors import PermanentSourceError, SourceError, TransientSourceError
from pipeline.sources.replies import concealed
from pipeline.sources.wire import QuotaOfMinuteError

SUCCESS = 0
TOLD_CHARACTERS = 200


class TokenRefusedError(PermanentSourceError):
    """The access token is unknown or has ended."""


@dataclass(frozen=True)
class Code:
    """One code: the class of its error and what to do next."""

    error: type[SourceError]
    next_step: str


CODES = {
    10: Code(PermanentSourceError, "check app_key and the secret of its application"),
    100: Code(
        TokenRefusedError,
        "let the company authorise the application again, in the open platform's console",
    ),
    110: Code(
        PermanentSourceError,
        "add this machine's address to the IP whitelist of the application, in its console",
    ),
    140: Code(PermanentSourceError, "set this machine's clock: it is more than 15 minutes off"),
    150: Code(
        PermanentSourceError,
        "applications of service providers cannot renew tokens: name access_token_env, and renew"
        " what it bears by authorising again",
    ),
    190: Code(
        PermanentSourceError,
        "apply for the permission of this interface in the application's console",
    ),
    # Five calls a second, and a hundred a minute.
    199: Code(QuotaOfMinuteError, "nothing to mend: run again in a few minutes"),
    200: Code(QuotaOfMinuteError, "nothing to mend: run again in a few minutes"),
}
# Codes beyond these are documented nowhere; what the platform says decides whether to ask again.
_PASSING_WORDS = ("稍后", "繁忙", "超时", "系统异常", "频", "timeout")


def refusal(what: str, code: int, said: str, conceal: tuple[str, ...]) -> SourceError:
    """The error of a code."""
    told = concealed(said, conceal)[:TOLD_CHARACTERS]
    message = f"{what}: code {code}, it says '{told}'"
    known = CODES.get(code)
    if known is not None:
        return known.error(message, next_step=known.next_step)
    if any(word in said for word in _PASSING_WORDS):
        return TransientSourceError(message, next_step="run again in a few minutes")
    return PermanentSourceError(
        message, next_step="look the code up in the open platform's documentation"
    )
