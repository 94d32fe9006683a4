"""Who reads which Odoo, and with what in mind: what both protocols need of a connection."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import SecretStr

from pipeline.company import Company, Connection

# No other method may ever reach a company's books.
READING = ("fields_get", "search_read")


class Call(Protocol):
    """One method of a model, with named arguments. Raises subclasses of SourceError."""

    def __call__(self, model: str, method: str, **named: Any) -> Any: ...


@dataclass(frozen=True)
class Access:
    """One user's way to one database. `context` goes with every call."""

    base_url: str
    database: str
    user: str | None
    key: SecretStr
    context: dict[str, Any] = field(default_factory=dict)

    @property
    def conceal(self) -> tuple[str, ...]:
        """What must not show in messages."""
        return (self.key.get_secret_value(),)

    def what(self, model: str) -> str:
        """How messages name what was asked for."""
        return f"{model} at {self.base_url}"


def read_access(connection: Connection, company: Company) -> Access:
    """The access that sources.yml names. Raises ConfigurationError where the key is not set."""
    # Odoo hides archived records, such as lost opportunities, where nobody asks for them.
    context: dict[str, Any] = {"active_test": False}
    if connection.company_ids:
        context["allowed_company_ids"] = list(connection.company_ids)
    if connection.language:
        context["lang"] = connection.language  # else stages and the like are told in English
    return Access(
        base_url=connection.base_url or "",
        database=connection.database or "",
        user=connection.user,
        key=company.secret(connection.password_env or ""),
        context=context,
    )


def require_reading(method: str) -> str:
    """The method, if it only reads."""
    if method not in READING:
        raise ValueError(f"{method} is not one of {', '.join(READING)}")
    return method
