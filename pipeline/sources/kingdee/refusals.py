"""What K3Cloud says when it does not answer: within HTTP 200, in one of three wrappings."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import PermanentSourceError, SourceError, TransientSourceError
from pipeline.sources.replies import concealed

TEXT_REFUSAL = "response_error:"
# It says that the session is lost; there is none: it does not know who asks.
_UNKNOWN_CALLER = 1
_NO_RIGHT = 2
# The database is in the way, somebody else holds the bill, too many calls at once.
_BUSY = (6, 13, 14)
_NEXT_STEPS = {
    _UNKNOWN_CALLER: "check `database`, `user`, `app_id` and the secret of the connection: that the"
    " session is lost is how K3Cloud says that it does not know them",
    _NO_RIGHT: "let the user of the connection look at this form, in K3Cloud under 业务对象授权",
    4: "check `object`, the id of a form such as SAL_SaleOrder",
    8: "check `object`, `where` and the names under `columns` in sources.yml",
    9: "check `where` and the names under `columns` in sources.yml: is each a field of this form?",
}


def read_refusal(reply: Any) -> Mapping[str, Any] | None:
    """The status in a reply that is no success; None where it is one.

    A query wraps it twice: `[[{"Result": …}]]`.
    """
    told = reply
    while isinstance(told, list) and len(told) == 1:
        told = told[0]
    result = told.get("Result") if isinstance(told, Mapping) else None
    status = result.get("ResponseStatus") if isinstance(result, Mapping) else None
    if not isinstance(status, Mapping) or status.get("IsSuccess") is not False:
        return None
    return status


def refusal(status: Mapping[str, Any], what: str, conceal: Sequence[str]) -> SourceError:
    """The error of a status that is no success."""
    code = status.get("MsgCode")
    errors = status.get("Errors")
    messages = [
        str(error["Message"])
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, Mapping) and error.get("Message")
    ]
    said = concealed("; ".join(messages), conceal)
    message = f"{what}: MsgCode {code}" + (f", it says '{said}'" if said else "")
    if code in _BUSY:
        return TransientSourceError(message, next_step="run again in a few minutes")
    usual = "look the message up at Kingdee, and check the names in sources.yml"
    next_step = _NEXT_STEPS.get(code, usual) if isinstance(code, int) else usual
    return PermanentSourceError(message, next_step=next_step)


def text_refusal(text: str, what: str, conceal: Sequence[str]) -> SourceError:
    """The error of a reply that is a sentence."""
    said = concealed(text.removeprefix(TEXT_REFUSAL), conceal)
    return PermanentSourceError(
        f"{what}: it says '{said}'",
        next_step="check base_url, `database` and `app_id` of the connection",
    )
