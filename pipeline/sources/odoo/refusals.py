"""What Odoo says when it does not answer: which of its exceptions is which class of ours."""

from collections.abc import Sequence
from typing import Any

from pipeline.errors import PermanentSourceError, SourceError, TransientSourceError
from pipeline.sources.replies import concealed

# Ends of the names of exceptions, as both protocols word them.
_UNKNOWN_USER = ("AccessDenied", "Unauthorized")
_NO_RIGHT = ("AccessError", "Forbidden")
_BUSY = (
    "SerializationFailure", "LockNotAvailable", "DeadlockDetected", "QueryCanceled", "PoolError",
    "TooManyConnections", "TooManyRequests", "MemoryError",
)  # fmt: skip
# psycopg2 tells of a server that is down and of a database that is not there by the same name.
_OPERATIONAL = "OperationalError"
_NO_DATABASE = "does not exist"


def refusal(told: Any, what: str, conceal: Sequence[str]) -> SourceError:
    """The error of an exception that Odoo told of, as `name` and `message`; its trace stays out."""
    told = told if isinstance(told, dict) else {}
    name = str(told.get("name") or "an error without a name")
    said = concealed(str(told.get("message") or ""), conceal)
    message = f"{what}: {name}" + (f", it says '{said}'" if said else "")
    if name.endswith(_UNKNOWN_USER):
        return PermanentSourceError(message, next_step=CHECK_KEY)
    if name.endswith(_NO_RIGHT):
        return PermanentSourceError(
            message,
            next_step="let the user of the connection read this model, in Odoo under Settings >"
            " Users: read access is enough",
        )
    if name.endswith(_BUSY) or (name.endswith(_OPERATIONAL) and _NO_DATABASE not in said):
        return TransientSourceError(message, next_step="run again in a few minutes")
    return PermanentSourceError(
        message, next_step="check `database` of the connection, and `object`, `where` and the names"
        " under `columns` in sources.yml",
    )  # fmt: skip


CHECK_KEY = (
    "check `database`, `user` and the key or password in the variable that `password_env` names;"
    " JSON-2 takes API keys only"
)
