"""A small company with WeChat accounts, and a line to WeChat that a test answers itself."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from pipeline.company import Company, load_company
from pipeline.landed import TABLES
from pipeline.sources import Source, find_connector
from pipeline.sources.wechat import miniprogram, official_account
from pipeline.sources.wire import Wire

APP_ID = "wx5a1e0000000001"
APP_SECRET = "0123456789abcdef-app-secret"
DAY = date(2026, 10, 3)
NOON_AFTER = datetime(2026, 10, 4, 7, 0, tzinfo=UTC)  # 15:00 in Beijing

SOURCES = """
connections:
  mini_program:
    base_url: https://wechat.test
    app_id: {app_id}
    app_secret_env: MINI_PROGRAM_SECRET
  service_account:
    base_url: https://wechat.test
    app_id: wx5a1e0000000002
    app_secret_env: SERVICE_ACCOUNT_SECRET
  merchant:
    base_url: https://pay.test
    merchant_id: "1900000109"
    certificate_serial: 5157F09EFDC096DE15EBE81A47057A7232F1B8E1
    private_key_path: merchant_key.pem
    platform_keys: {{PUB_KEY_ID_0119: platform_key.pem}}
tables:
{figures}
  wechat_quota: {{connector: wechat_quota, connection: mini_program}}
  mp_orders: {{connector: wechat_orders, connection: mini_program{trailing}}}
  pay_bill: {{connector: wechat_pay, connection: merchant{trailing}}}
  pay_fund_flow: {{connector: wechat_pay, connection: merchant{trailing}}}
"""
FIGURES_OF = {
    "wechat_miniprogram": ("mini_program", miniprogram.FIGURES),
    "wechat_official_account": ("service_account", official_account.FIGURES),
}


@dataclass
class Line:
    """Answers calls by `answer` and remembers them, with the pauses that the client made."""

    answer: Callable[[httpx.Request], httpx.Response]
    now: datetime = NOON_AFTER
    asked: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def wire(self) -> Wire:
        return Wire(httpx.MockTransport(self._handle), self._sleep, lambda: self.now)

    def paths(self) -> list[str]:
        return [request.url.path for request in self.asked]

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(call.content) for call in self.asked if call.url.path == path]

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answer(request)

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)


def write_company(
    folder: Path, *, last_day: date | None = None, trailing_days: int | None = None
) -> Company:
    trailing = "" if trailing_days is None else f", trailing_days: {trailing_days}"
    ended = f"last_day: {last_day}\n" if last_day else ""
    (folder / "company.yml").write_text(f"name: Small company\nfirst_day: 2026-10-01\n{ended}")
    figures = "\n".join(
        f"  {table}: {{connector: {connector}, connection: {connection}{trailing}}}"
        for connector, (connection, tables) in FIGURES_OF.items()
        for table in tables
    )
    written = SOURCES.format(app_id=APP_ID, trailing=trailing, figures=figures)
    (folder / "sources.yml").write_text(written)
    secrets = {"MINI_PROGRAM_SECRET": APP_SECRET, "SERVICE_ACCOUNT_SECRET": APP_SECRET}
    return load_company(folder, environment=secrets)


def source(company: Company, table: str, line: Line) -> Source:
    settings = company.sources.tables[table]
    connection = company.sources.connections[settings.connection]
    connector: Callable[..., Source] = find_connector(table, settings)
    return connector(TABLES[table], settings, connection, company, wire=line.wire())


def refuse(code: int, text: str = "no") -> httpx.Response:
    """An error as api.weixin.qq.com tells it: HTTP 200 with an errcode."""
    return httpx.Response(
        200, json={"errcode": code, "errmsg": f"{text} rid: 6821c3a0-09059ac5-34a8e2ea"}
    )


def token(value: str = "token-1", seconds: int = 7200) -> httpx.Response:
    return httpx.Response(200, json={"access_token": value, "expires_in": seconds})
