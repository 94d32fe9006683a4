"""`sources.yml`: how each system is reached, and how its names map to the landed tables.

Says only what may be written there; reading the systems is the concern of `pipeline.sources`.
"""

import codecs
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.company.mistakes import Document, Settings, suggest
from pipeline.company.rest import AskedTimes, Auth, Paging, ParentList, check_list
from pipeline.landed import TABLES, LandedTable

WECHAT_URL = "https://api.weixin.qq.com"
PAY_URL = "https://api.mch.weixin.qq.com"
WECOM_URL = "https://qyapi.weixin.qq.com"
JUSHUITAN_URL = "https://openapi.jushuitan.com"
WANGDIAN_URL = "https://api.wangdian.cn/openapi2"
# DuckDB's regular expressions lack these.
_ONLY_IN_PYTHON = re.compile(r"\(\?(=|!|<=|<!|P=)|\\[1-9]")
MONEY_UNITS = ("yuan", "fen")
INSTANT_UNITS = ("iso", "seconds", "milliseconds")
NO_MATTER_OF_ROWS = ("interface_actors", "trailing_days", "reconcile_days", "page_size", "paging")
ROW_WORDS = ("land", "skip")
"""What `rows` says of a record: it lands, or it is left out."""


class Connection(Settings):
    """How one system is reached; which of these keys it needs depends on the connector.

    Paths are absolute once the company is loaded. Secrets are names of environment variables.
    """

    folder: Path | None = None
    url: str | None = None
    url_env: str | None = None
    base_url: str | None = None
    app_id: str | None = None
    app_secret_env: str | None = None
    merchant_id: str | None = None
    certificate_serial: str | None = None
    private_key_path: Path | None = None
    platform_keys: dict[str, Path] = Field(default_factory=dict)
    corp_id: str | None = None
    corp_secret_env: str | None = None
    callback_token_env: str | None = None
    callback_key_env: str | None = None
    database: str | None = None
    user: str | None = None
    password_env: str | None = None
    protocol: Literal["jsonrpc", "json2"] | None = None
    company_ids: tuple[int, ...] = ()
    language: str | None = None
    organization: str | None = None
    app_key: str | None = None
    access_token_env: str | None = None
    sid: str | None = None
    auth: Auth = Auth()
    headers: dict[str, str] = Field(default_factory=dict)


class Candidate(Settings):
    """A field of the source, and what of its text counts: the first group of `pattern`, or all that
    it matches.

    With `values` it counts only where it has one of these words: so that a cancelled mark beside
    the state of a document comes before that state.
    """

    field: str
    pattern: str | None = None
    values: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read_a_bare_name(cls, written: Any) -> Any:
        return {"field": written} if isinstance(written, str | int) else written

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"no regular expression ({error})") from None
        if groups > 1:
            raise ValueError(f"{groups} groups, allowed: one, or none where all of it counts")
        if _ONLY_IN_PYTHON.search(pattern):
            raise ValueError("looking around and back references are not available")
        return pattern


class ColumnSource(Settings):
    """Where one landed column comes from: the source's names, its unit and its words for ours.

    The first of `candidates` that has a value counts. What `plus` names is added to it: tax, where
    the source keeps it apart. `value` stands for a column that the source does not have.
    """

    candidates: tuple[Candidate, ...] = Field(default=(), alias="from")
    plus: tuple[str, ...] = ()
    value: str | None = None
    unit: Literal["yuan", "fen", "seconds", "milliseconds", "iso"] | None = None
    values: dict[str, str] = Field(default_factory=dict)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names in the source, in the order in which they are looked at."""
        return (*(candidate.field for candidate in self.candidates), *self.plus)

    @model_validator(mode="before")
    @classmethod
    def _read_what_is_short(cls, written: Any) -> Any:
        """A bare name, one name instead of a list, one pattern beside it."""
        if isinstance(written, str | int | list):
            written = {"from": written}
        if not isinstance(written, dict):
            return written
        told = {("from" if key == "candidates" else key): of for key, of in written.items()}
        names = told.get("from", ())
        names = names if isinstance(names, list | tuple) else [names]
        pattern = told.pop("pattern", None)
        if pattern is not None:
            names = [{"field": name, "pattern": pattern} for name in names]
        return told | {"from": names}

    @model_validator(mode="after")
    def _check_words(self) -> "ColumnSource":
        own = [candidate for candidate in self.candidates if candidate.values]
        if own and (self.values or len(own) < len(self.candidates)):
            raise ValueError("allowed: `values` beside every field of `from`, or one for them all")
        return self

    @model_validator(mode="after")
    def _check_origin(self) -> "ColumnSource":
        if bool(self.candidates) == (self.value is not None):
            raise ValueError("allowed: either `from` or `value`")
        return self


class TableSource(Settings):
    """How one landed table is read. No `columns` means that the source bears the landed names."""

    connector: str
    connections: tuple[str, ...] = Field(alias="connection", min_length=1)
    files: str | None = None
    holds: Literal["day", "history"] | None = None
    format: Literal["csv", "jsonl", "xlsx", "parquet"] | None = None
    members: str | None = None
    encoding: str | None = None
    delimiter: Literal["comma", "tab", "semicolon"] | None = None
    header_row: int | None = Field(default=None, ge=1)
    sheet: str | None = None
    table: str | None = None
    query: str | None = None
    changed_columns: tuple[str, ...] = Field(default=(), alias="changed_column")
    """The first of them with a value says when a row was changed last."""
    reconcile_days: int = Field(default=366, ge=0)
    """Of so many of the latest days are the source's rows counted, to find what was deleted."""
    object: str | None = None
    each: str | None = None
    where: Any = None
    page_size: int | None = Field(default=None, ge=1)
    time_zone: Literal["UTC", "Asia/Shanghai"] = "UTC"
    columns: dict[str, ColumnSource] = Field(default_factory=dict)
    rows: ColumnSource | None = None
    """Which of the source's rows land, by the words of a field; a word not listed is refused."""
    interface_actors: tuple[str, ...] = ()
    trailing_days: int = Field(default=0, ge=0)
    bill_type: Literal["ALL", "SUCCESS", "REFUND"] = "ALL"
    account_type: Literal["BASIC", "OPERATION", "FEES"] = "BASIC"
    parameters: dict[str, str | int | bool] = Field(default_factory=dict)
    list_at: str | None = None
    count_at: str | None = None
    paging: Paging = Paging()
    asked_by: AskedTimes = AskedTimes()
    parent: ParentList | None = None

    @property
    def connection(self) -> str:
        """The connection, or the first of several."""
        return self.connections[0]

    @property
    def changed_column(self) -> str | None:
        """The column of change, or the first of several."""
        return self.changed_columns[0] if self.changed_columns else None

    @field_validator("connections", "changed_columns", mode="before")
    @classmethod
    def _read_one_name(cls, written: Any) -> Any:
        return (written,) if isinstance(written, str) else written or ()

    @model_validator(mode="after")
    def _check_rest(self) -> "TableSource":
        if self.connector == "rest":
            check_list(self.object, self.page_size, self.paging)
        return self

    @model_validator(mode="before")
    @classmethod
    def _tell_what_a_file_holds(cls, written: Any) -> Any:
        if isinstance(written, dict) and written.get("files") and not written.get("holds"):
            held = "day" if "{day}" in str(written["files"]) else "history"
            return written | {"holds": held}
        return written

    @property
    def reading_digest(self) -> str:
        """Of all that decides which rows land and what they say: where it changes, what landed was
        read otherwise."""
        told = self.model_dump_json(exclude=set(NO_MATTER_OF_ROWS))
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def with_keys(self, **written: Any) -> "TableSource":
        """The same settings but for some keys, each as sources.yml would write it."""
        told = self.model_dump(by_alias=True, exclude_unset=True)
        return type(self).model_validate(told | written)


class Sources(Settings):
    """The whole of `sources.yml`. A landed table that is not in `tables` is not connected."""

    connections: dict[str, Connection] = Field(default_factory=dict)
    tables: dict[str, TableSource] = Field(default_factory=dict)

    def addresses(self) -> list[str]:
        """Where the systems are called over HTTP, each once, in the order of the connections."""
        found: dict[str, None] = {}
        for name, connection in self.connections.items():
            defaults = (
                CONNECTORS[table.connector].default_url
                for table in self.tables.values()
                if name in table.connections
            )
            address = connection.base_url or next(filter(None, defaults), "")
            if address:
                found.setdefault(address)
        return list(found)


@dataclass(frozen=True)
class Connector:
    """Which tables a connector can deliver and which keys it reads; `|` separates alternatives."""

    tables: tuple[str, ...]
    connection_needs: tuple[str, ...]
    connection_takes: tuple[str, ...] = ()
    table_needs: tuple[str, ...] = ()
    table_takes: tuple[str, ...] = ()
    own_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys that it reads for one of its tables only."""
    is_of_one_account: bool = False
    """Its rows do not say of which account they are, so two must not be mixed in one table."""
    default_url: str = ""
    """Where it calls, if its connection has no `base_url`."""

    takes_several_changed: bool = False
    """It reads a list of columns of change; the others read one."""

    def takes(self, table: str) -> tuple[str, ...]:
        """The optional keys of one table."""
        return (*COMMON_KEYS, *self.table_takes, *self.own_keys.get(table, ()))


EVERY_TABLE = tuple(TABLES)
BUSINESS_TABLES = tuple(name for name in TABLES if name.startswith(("erp_", "crm_")))
COMMON_KEYS = ("connector", "connection", "interface_actors", "trailing_days")
CONNECTORS: dict[str, Connector] = {
    "files": Connector(
        tables=EVERY_TABLE,
        connection_needs=("folder",),
        table_needs=("files",),
        table_takes=(
            "holds", "format", "members", "encoding", "delimiter", "header_row", "sheet",
            "time_zone", "columns", "rows",
        ),
    ),
    "sql": Connector(
        tables=EVERY_TABLE,
        connection_needs=("url|url_env",),
        table_needs=("table|query",),
        table_takes=("changed_column", "reconcile_days", "time_zone", "columns"),
        takes_several_changed=True,
    ),
    "kingdee": Connector(
        tables=BUSINESS_TABLES,
        connection_needs=("base_url", "database", "user", "app_id", "app_secret_env"),
        connection_takes=("language", "organization"),
        table_needs=("object", "columns"),
        table_takes=("each", "where", "page_size", "changed_column", "reconcile_days"),
    ),
    "odoo": Connector(
        tables=BUSINESS_TABLES,
        connection_needs=("base_url", "database", "password_env"),
        connection_takes=("user", "protocol", "company_ids", "language"),
        table_needs=("object", "columns"),
        table_takes=("where", "page_size", "changed_column", "reconcile_days"),
    ),
    "rest": Connector(
        tables=EVERY_TABLE,
        connection_needs=("base_url",),
        connection_takes=("auth", "headers"),
        table_needs=("object", "columns"),
        table_takes=(
            "list_at", "count_at", "each", "paging", "page_size", "parameters", "asked_by",
            "parent", "time_zone", "rows",
        ),
    ),
    "jushuitan": Connector(
        tables=("erp_orders", "erp_order_lines", "erp_receipts", "erp_shipments", "erp_refunds"),
        connection_needs=("app_key", "app_secret_env"),
        connection_takes=("access_token_env", "base_url"),
        default_url=JUSHUITAN_URL,
        table_needs=("columns",),
        table_takes=("parameters", "rows"),
    ),
    "wangdian": Connector(
        tables=("erp_orders", "erp_order_lines", "erp_shipments", "erp_refunds"),
        connection_needs=("sid", "app_key", "app_secret_env"),
        connection_takes=("base_url",),
        default_url=WANGDIAN_URL,
        table_needs=("columns",),
        table_takes=("parameters", "rows"),
    ),
    "tryton": Connector(
        tables=(
            "erp_orders", "erp_order_lines", "erp_receipts", "erp_shipments", "erp_refunds",
            "crm_contacts", "crm_opportunities",
        ),
        connection_needs=("base_url", "database", "user", "password_env"),
        table_needs=("columns",),
        table_takes=("object", "where", "page_size", "reconcile_days", "time_zone"),
    ),
    "wechat_callbacks": Connector(
        tables=("message_results", "callback_events", "messages"),
        connection_needs=("folder",),
        connection_takes=("app_id", "callback_token_env", "callback_key_env"),
        table_takes=("files",),
    ),
    "wechat_miniprogram": Connector(
        tables=(
            "mp_daily", "mp_weekly", "mp_monthly", "mp_sources", "mp_pages", "mp_retention",
            "mp_portrait",
        ),
        is_of_one_account=True,
        connection_needs=("app_id", "app_secret_env"),
        connection_takes=("base_url",),
        default_url=WECHAT_URL,
    ),
    "wechat_official_account": Connector(
        tables=(
            "oa_users", "oa_articles", "oa_article_days", "oa_account_days",
            "oa_upstream_messages", "oa_interface_days",
        ),
        is_of_one_account=True,
        connection_needs=("app_id", "app_secret_env"),
        connection_takes=("base_url",),
        default_url=WECHAT_URL,
    ),
    "wechat_quota": Connector(
        tables=("wechat_quota",),
        connection_needs=("app_id", "app_secret_env"),
        connection_takes=("base_url",),
        default_url=WECHAT_URL,
    ),
    "wechat_orders": Connector(
        tables=("mp_orders",),
        connection_needs=("app_id", "app_secret_env"),
        connection_takes=("base_url",),
        default_url=WECHAT_URL,
    ),
    "wechat_pay": Connector(
        tables=("pay_bill", "pay_fund_flow"),
        connection_needs=(
            "merchant_id", "certificate_serial", "private_key_path", "platform_keys",
        ),
        connection_takes=("base_url",),
        default_url=PAY_URL,
        own_keys={"pay_bill": ("bill_type",), "pay_fund_flow": ("account_type",)},
    ),
    "wecom_contacts": Connector(
        tables=("crm_contacts",),
        connection_needs=("corp_id", "corp_secret_env"),
        connection_takes=("base_url",),
        default_url=WECOM_URL,
    ),
}  # fmt: skip


def find_mistakes(sources: Sources, document: Document) -> Iterator[str]:
    """What is wrong beyond types: unknown names, keys of another connector, columns not mapped."""
    for name, table in sources.tables.items():
        path = ("tables", name)
        if name not in TABLES:
            yield document.mistake(path, f"unknown table, {suggest(name, TABLES)}")
        elif table.connector not in CONNECTORS:
            problem = f"found '{table.connector}', {suggest(table.connector, CONNECTORS)}"
            yield document.mistake((*path, "connector"), problem)
        else:
            yield from _check_table(TABLES[name], table, document)
            yield from _check_columns(TABLES[name], table, document)
            yield from _check_rows(("tables", name, "rows"), table, document)
        for connection in table.connections:
            if connection not in sources.connections:
                problem = f"found '{connection}', {suggest(connection, sources.connections)}"
                yield document.mistake((*path, "connection"), problem)
    for name in sources.connections:
        yield from _check_connection(name, sources, document)


def _check_table(landed: LandedTable, table: TableSource, document: Document) -> Iterator[str]:
    path, connector = ("tables", landed.name), CONNECTORS[table.connector]
    if landed.name not in connector.tables:
        able = [name for name, known in CONNECTORS.items() if landed.name in known.tables]
        problem = f"found '{table.connector}', which cannot deliver {landed.name}, allowed: "
        yield document.mistake((*path, "connector"), problem + ", ".join(able))
        return
    if connector.is_of_one_account and len(table.connections) > 1:
        problem = f"found {len(table.connections)}, allowed: one account; its figures name none"
        yield document.mistake((*path, "connection"), problem)
    yield from _check_keys(
        path, table, connector.table_needs, connector.takes(landed.name),
        table.connector, document,
    )  # fmt: skip
    if len(table.changed_columns) > 1 and not connector.takes_several_changed:
        problem = f"found {len(table.changed_columns)} columns, allowed: one"
        yield document.mistake((*path, "changed_column"), problem)
    if table.encoding is not None and not _is_encoding(table.encoding):
        problem = f"found '{table.encoding}', allowed: an encoding such as utf-8, gbk or gb18030"
        yield document.mistake((*path, "encoding"), problem)


def _check_connection(name: str, sources: Sources, document: Document) -> Iterator[str]:
    """A connection may serve several connectors; it needs the keys of each of them."""
    users = dict.fromkeys(
        table.connector
        for table in sources.tables.values()
        if name in table.connections and table.connector in CONNECTORS
    )
    connection = sources.connections[name]
    for user in users:
        connector = CONNECTORS[user]
        yield from _check_keys(
            ("connections", name), connection, connector.connection_needs,
            connector.connection_takes, user, document,
        )  # fmt: skip


def _check_keys(
    path: tuple[str, ...],
    written: Settings,
    needs: tuple[str, ...],
    takes: tuple[str, ...],
    connector: str,
    document: Document,
) -> Iterator[str]:
    allowed = [key for need in needs for key in need.split("|")] + list(takes)
    known = {named.alias or name for name, named in type(written).model_fields.items()}
    for key in document.keys(path):
        if key in known and key not in allowed:
            problem = f"a key that connector '{connector}' does not read, {suggest(key, allowed)}"
            yield document.mistake((*path, key), problem)
    for need in needs:
        present = [key for key in need.split("|") if getattr(written, key)]
        either = " or ".join(need.split("|"))
        if not present:
            problem = f"missing {either}, which connector '{connector}' needs"
            yield document.mistake(path, problem)
        elif len(present) > 1:
            problem = f"found {' and '.join(present)}, allowed: {either}, one of them"
            yield document.mistake((*path, present[1]), problem)


def _check_columns(landed: LandedTable, table: TableSource, document: Document) -> Iterator[str]:
    path = ("tables", landed.name, "columns")
    names = [column.name for column in landed.columns]
    for name, source in table.columns.items():
        if name not in names:
            yield document.mistake((*path, name), f"unknown column, {suggest(name, names)}")
            continue
        column = landed.column(name)
        units = _units(name, column.kind)
        if source.unit is not None and source.unit not in units:
            problem = f"found '{source.unit}', {suggest(source.unit, units)}"
            yield document.mistake((*path, name, "unit"), problem)
        if source.plus and source.unit not in MONEY_UNITS:
            problem = "only amounts can be added up: name the unit, yuan or fen"
            yield document.mistake((*path, name, "plus"), problem)
        if source.value is not None and column.allowed and source.value not in column.allowed:
            problem = f"found '{source.value}', {suggest(source.value, column.allowed)}"
            yield document.mistake((*path, name, "value"), problem)
        for place, words in _listed_words(source):
            for word, meaning in words.items():
                if column.allowed and meaning not in column.allowed:
                    problem = f"found '{meaning}', {suggest(meaning, column.allowed)}"
                    yield document.mistake((*path, name, *place, word), problem)
    missing = [name for name in landed.required if table.columns and name not in table.columns]
    if missing:
        yield document.mistake(path, f"missing {', '.join(missing)}, required in {landed.name}")


def _check_rows(path: tuple[str, ...], table: TableSource, document: Document) -> Iterator[str]:
    if table.rows is None:
        return
    if not table.columns:
        yield document.mistake(path, "allowed beside `columns` only")
    listed = [(place, words) for place, words in _listed_words(table.rows) if words]
    if not listed:
        problem = f"missing `values`, the words of the source with {' or '.join(ROW_WORDS)}"
        yield document.mistake(path, problem)
    for place, words in listed:
        for word, meaning in words.items():
            if meaning not in ROW_WORDS:
                problem = f"found '{meaning}', {suggest(meaning, ROW_WORDS)}"
                yield document.mistake((*path, *place, word), problem)


def _listed_words(source: ColumnSource) -> Iterator[tuple[tuple[str | int, ...], dict[str, str]]]:
    """The words that a mapping lists, each list with its place below the column."""
    yield ("values",), source.values
    for number, candidate in enumerate(source.candidates):
        yield ("from", number, "values"), candidate.values


def _units(name: str, kind: str) -> tuple[str, ...]:
    if kind == "instant":
        return INSTANT_UNITS
    return MONEY_UNITS if name.endswith("_fen") else ()


def _is_encoding(word: str) -> bool:
    try:
        codecs.lookup(word)
    except LookupError:
        return False
    return True


def resolve_paths(sources: Sources, folder: Path) -> Sources:
    """The same settings with every relative path made absolute, from the company folder on."""
    return sources.model_copy(
        update={
            "connections": {
                name: _resolve(connection, folder)
                for name, connection in sources.connections.items()
            }
        }
    )


def _resolve(connection: Connection, folder: Path) -> Connection:
    changed: dict[str, Any] = {}
    if connection.folder is not None:
        changed["folder"] = folder / connection.folder.expanduser()
    if connection.private_key_path is not None:
        changed["private_key_path"] = folder / connection.private_key_path.expanduser()
    if connection.platform_keys:
        changed["platform_keys"] = {
            serial: folder / path.expanduser() for serial, path in connection.platform_keys.items()
        }
    if connection.url is not None:
        changed["url"] = resolve_url(connection.url, folder)
    return connection.model_copy(update=changed)


def resolve_url(url: str, folder: Path) -> str:
    """The address of a database; a relative SQLite path is taken from the company folder."""
    scheme, mark, rest = url.partition(":///")
    if not mark or not scheme.startswith("sqlite") or rest.startswith(("/", ":")) or not rest:
        return url
    return f"{scheme}:///{folder / rest}"
