"""How a JSON API is let know who asks."""

import base64
from dataclasses import dataclass, field

from pipeline.company import Company, Connection
from pipeline.errors import ConfigurationError


@dataclass(frozen=True)
class Access:
    """What goes along with every call. Texts of `conceal` must never show."""

    headers: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    conceal: tuple[str, ...] = ()


def access_of(connection: Connection, company: Company) -> Access:
    """The access that a connection describes. Raises ConfigurationError for an unset secret."""
    auth = connection.auth
    if auth.kind == "none":
        return Access(dict(connection.headers))
    secret = company.secret(auth.secret_env or "").get_secret_value()
    if auth.kind == "query":
        return Access(dict(connection.headers), {auth.name or "": secret}, (secret,))
    name, value = "Authorization", f"Bearer {secret}"
    if auth.kind == "basic":
        pair = base64.b64encode(f"{auth.user}:{secret}".encode()).decode()
        value = f"Basic {pair}"
    elif auth.kind == "header":
        name, value = auth.name or "", f"{auth.scheme or ''} {secret}".strip()
    if not (value.isascii() and value.isprintable()):
        raise ConfigurationError(
            f"the variable {auth.secret_env} bears characters that no header can carry",
            next_step="copy the secret again, without line breaks",
        )
    return Access({**connection.headers, name: value}, {}, (secret, value.split(" ")[-1]))
