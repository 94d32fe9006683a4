"""What `sources.yml` says of a JSON API that no connector knows: its access, pages and times."""

from typing import Any, Literal

from pydantic import Field, model_validator

from pipeline.company.mistakes import Settings

PagingKind = Literal["none", "page", "offset", "cursor", "link"]
InstantFormat = Literal["iso", "date", "datetime", "seconds", "milliseconds"]

# Which keys each kind of a choice needs, and which it may have beside them.
_AUTH_NEEDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "bearer": ("secret_env",),
    "basic": ("user", "secret_env"),
    "header": ("name", "secret_env"),
    "query": ("name", "secret_env"),
}
_AUTH_TAKES: dict[str, tuple[str, ...]] = {"header": ("scheme",)}
_PAGING_NEEDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "page": ("parameter",),
    "offset": ("parameter",),
    "cursor": ("parameter", "next_at"),
    "link": (),
}
_PAGING_TAKES: dict[str, tuple[str, ...]] = {
    "page": ("size_parameter", "first"),
    "offset": ("size_parameter",),
    "cursor": ("size_parameter",),
    "link": ("size_parameter", "next_at"),
}


def _require(
    written: Settings,
    kind: str,
    needs: dict[str, tuple[str, ...]],
    takes: dict[str, tuple[str, ...]],
) -> None:
    """Raise ValueError where a key is missing that this kind needs, or there that it ignores."""
    needed, known = needs[kind], {"kind", *needs[kind], *takes.get(kind, ())}
    missing = [name for name in needed if getattr(written, name) is None]
    if missing:
        raise ValueError(f"kind '{kind}' needs {', '.join(missing)}")
    ignored = sorted(written.model_fields_set - known)
    if ignored:
        allowed = ", ".join(sorted(known))
        raise ValueError(f"kind '{kind}' does not read {', '.join(ignored)}, allowed: {allowed}")


class Auth(Settings):
    """How the API knows who asks. The secret is the name of an environment variable.

    `scheme` goes before the secret in its header, as in `token <secret>`.
    """

    kind: Literal["none", "bearer", "basic", "header", "query"] = "none"
    secret_env: str | None = None
    user: str | None = None
    name: str | None = None
    scheme: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_a_bare_kind(cls, written: Any) -> Any:
        return {"kind": written} if isinstance(written, str) else written

    @model_validator(mode="after")
    def _check_keys(self) -> "Auth":
        _require(self, self.kind, _AUTH_NEEDS, _AUTH_TAKES)
        return self


class Paging(Settings):
    """How the next page is asked for.

    `next_at` is the path in the reply of the next token, or of the next page's address; without it
    an address is read from the Link header.
    """

    kind: PagingKind = "none"
    parameter: str | None = None
    size_parameter: str | None = None
    first: int = Field(default=1, ge=0)
    next_at: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_a_bare_kind(cls, written: Any) -> Any:
        return {"kind": written} if isinstance(written, str) else written

    @model_validator(mode="after")
    def _check_keys(self) -> "Paging":
        _require(self, self.kind, _PAGING_NEEDS, _PAGING_TAKES)
        return self


class TimeParameters(Settings):
    """The parameters that bound a time of the records, and how the API reads them.

    We mean the start and not the end; an API that means otherwise says so. What it gives too much
    at an end does no harm, and is left out by the records' own times.
    """

    since: str
    until: str | None = None
    format: InstantFormat = "iso"
    excludes_since: bool = False
    includes_until: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read_a_bare_name(cls, written: Any) -> Any:
        return {"since": written} if isinstance(written, str) else written


class AskedTimes(Settings):
    """Which times of its records the API can be asked by. Without any it gives its whole list."""

    day: TimeParameters | None = None
    change: TimeParameters | None = None

    @model_validator(mode="after")
    def _check_one(self) -> "AskedTimes":
        if self.day is not None and self.day.until is None:
            raise ValueError("`day` without `until`, allowed: both ends of the days asked for")
        return self


class ParentList(Settings):
    """The list whose records each have a list of their own: its path names their fields in
    braces, as in `invoices/{id}/payments/`. They stand in the records under `parent`."""

    object: str
    list_at: str | None = None
    count_at: str | None = None
    paging: Paging = Paging()
    page_size: int | None = Field(default=None, ge=1)
    parameters: dict[str, str | int | bool] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "ParentList":
        check_list(self.object, self.page_size, self.paging)
        return self


def check_list(path: str | None, page_size: int | None, paging: Paging) -> None:
    """Raise ValueError where a list is described by halves, or lies at another host."""
    if "://" in (path or ""):
        raise ValueError("`object` with a host, allowed: a path below base_url")
    if (page_size is None) != (paging.size_parameter is None):
        raise ValueError("allowed: both page_size and paging.size_parameter, or neither")
