"""api.mch.weixin.qq.com of the simulated company: its bills, asked for and downloaded.

Every request must be signed by the merchant, every reply but the file itself is signed by the
platform.
"""

import base64
import gzip
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from threading import Lock
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pipeline.landing import SHANGHAI
from pipeline.simulation.fund_flow import (
    OPENING_BALANCE_FEN,
    movements_of,
    net_fen,
    write_fund_flow,
)
from pipeline.simulation.http_call import Answer, Call, answer_json
from pipeline.simulation.trade_bill import BillStyle, choose_rows, usual_style, write_bill
from pipeline.simulation.wechat_books import Books

SCHEME = "WECHATPAY2-SHA256-RSA2048"
CLOCK_TOLERANCE_SECONDS = 300
DOWNLOAD_SECONDS = 300
READY_HOUR = 10
TRADE_BILL, FUND_FLOW = "/v3/bill/tradebill", "/v3/bill/fundflowbill"
BILL_FILE = "/v3/billdownload/file"
# Per path, the parameter that chooses among its bills, its values and, first, the usual one.
CHOICES = {
    TRADE_BILL: ("bill_type", ("ALL", "SUCCESS", "REFUND")),
    FUND_FLOW: ("account_type", ("BASIC", "OPERATION", "FEES")),
}
_PAIR = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Merchant:
    """One merchant that the platform serves, and the key that its requests are signed with."""

    merchant_id: str
    certificate_serial: str
    key: rsa.RSAPublicKey


@dataclass(frozen=True)
class DeskHabits:
    """What WeChat Pay does that a small simulated company would mostly not meet.

    `is_by_clock` gives a bill out from 10:00 of the next day on, by the clock; without it, all that
    was simulated is there. The limits are those of the documentation where they are set.
    """

    is_by_clock: bool = False
    days_given: int | None = None
    fund_flow_calls_per_second: int | None = None
    style: Callable[[date], BillStyle] = usual_style


@dataclass(frozen=True)
class _Download:
    merchant_id: str
    content: bytes
    expires_at: float


@dataclass
class MerchantDesk:
    """The calls of the company's merchant, and of `others` whose rows stand in the same books.

    `address` is the host that download addresses name.
    """

    books: Books
    merchant_key: rsa.RSAPublicKey
    platform_key: rsa.RSAPrivateKey
    now: Callable[[], float]
    address: str = ""
    habits: DeskHabits = DeskHabits()
    others: Sequence[Merchant] = ()
    _downloads: dict[str, _Download] = field(default_factory=dict)
    _asked_at: dict[str, list[float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def answer(self, call: Call) -> Answer | None:
        """The reply; None where this host has no such path."""
        if call.path not in (TRADE_BILL, FUND_FLOW, BILL_FILE):
            return None
        said = _said(call)
        merchant = self._merchants().get(said.get("mchid", ""))
        reason = self._why_unsigned(call, said, merchant)
        if reason or merchant is None:
            return self._signed(call, _refuse(401, "SIGN_ERROR", f"签名错误: {reason}"))
        if call.method != "GET":
            return self._signed(call, _refuse(405, "INVALID_REQUEST", "HTTP方法不允许"))
        if call.path == BILL_FILE:
            return self._download(call, merchant)
        refusal = self._why_refused(call, merchant)
        return self._signed(call, refusal or self._bill(call, merchant))

    def _merchants(self) -> dict[str, Merchant]:
        account = self.books.account
        own = Merchant(account.merchant_id, account.certificate_serial, self.merchant_key)
        return {merchant.merchant_id: merchant for merchant in (own, *self.others)}

    def _why_unsigned(self, call: Call, said: Mapping[str, str], merchant: Merchant | None) -> str:
        """Why the request is not the merchant's, in words for people; empty where it is."""
        if not {"nonce_str", "signature", "timestamp"} <= set(said):
            return "Authorization不符合规范"
        if merchant is None:
            return "商户号与证书不一致"
        if said.get("serial_no") != merchant.certificate_serial:
            return "商户证书序列号有误"
        if not said["timestamp"].isdecimal():
            return "时间戳格式有误"
        if abs(self.now() - int(said["timestamp"])) > CLOCK_TOLERANCE_SECONDS:
            return "时间戳已过期"
        if not call.headers.get("User-Agent") or not call.headers.get("Accept"):
            return "缺少User-Agent或Accept"
        body = call.body.decode("utf-8", "surrogateescape")
        lines = (call.method, call.target, said["timestamp"], said["nonce_str"], body)
        message = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        try:
            merchant.key.verify(
                base64.b64decode(said["signature"], validate=True),
                message, padding.PKCS1v15(), hashes.SHA256(),
            )  # fmt: skip
        except (InvalidSignature, ValueError):
            return "验签失败"
        return ""

    def _why_refused(self, call: Call, merchant: Merchant) -> Answer | None:
        """The refusal of a request that is the merchant's; None where it can be served."""
        name, allowed = CHOICES[call.path]
        if call.query.get(name, allowed[0]) not in allowed:
            return _refuse(400, "PARAM_ERROR", f"{name}不支持")
        if call.query.get("tar_type", "GZIP") != "GZIP":
            return _refuse(400, "PARAM_ERROR", "tar_type不支持")
        day = _day(call.query.get("bill_date", ""))
        if day is None:
            return _refuse(400, "PARAM_ERROR", "账单日期格式有误")
        if call.path == FUND_FLOW and self._is_too_often(merchant):
            return _refuse(429, "FREQUENCY_LIMITED", "频率超限")
        return self._why_not_there(day)

    def _why_not_there(self, day: date) -> Answer | None:
        now = datetime.fromtimestamp(self.now(), SHANGHAI)
        last_day = self.books.account.last_day
        if self.habits.is_by_clock:
            last_day = min(
                last_day, now.date() - timedelta(days=1 if now.hour >= READY_HOUR else 2)
            )
        if day == last_day + timedelta(days=1):
            return _refuse(400, "STATEMENT_CREATING", "请求的账单正在生成中")
        given = self.habits.days_given
        is_old = given is not None and day < now.date() - timedelta(days=given)
        if day > last_day or is_old:
            return _refuse(400, "INVALID_REQUEST", "账单日期超出范围")
        return None

    def _is_too_often(self, merchant: Merchant) -> bool:
        allowed = self.habits.fund_flow_calls_per_second
        with self._lock:
            now = self.now()
            recent = [at for at in self._asked_at.get(merchant.merchant_id, ()) if now - at < 1]
            self._asked_at[merchant.merchant_id] = [*recent, now]
        return allowed is not None and len(recent) >= allowed

    def _bill(self, call: Call, merchant: Merchant) -> Answer:
        name, allowed = CHOICES[call.path]
        day = date.fromisoformat(call.query["bill_date"])
        write = self._trade_bill if call.path == TRADE_BILL else self._fund_flow
        plain = write(day, call.query.get(name, allowed[0]), merchant)
        if plain is None:
            return _refuse(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
        return answer_json(
            {
                "download_url": self._publish(plain, merchant, call.query.get("tar_type")),
                "hash_type": "SHA1",
                "hash_value": hashlib.sha1(plain, usedforsecurity=False).hexdigest(),
            }
        )

    def _trade_bill(self, day: date, bill_type: str, merchant: Merchant) -> bytes | None:
        rows = choose_rows(self._rows(day, merchant), bill_type)
        return write_bill(rows, bill_type, self.habits.style(day)) if rows else None

    def _fund_flow(self, day: date, account_type: str, merchant: Merchant) -> bytes | None:
        """Of the basic account: this company has nothing in the others."""
        movements = movements_of(self._rows(day, merchant)) if account_type == "BASIC" else []
        if not movements:
            return None
        balance_fen = OPENING_BALANCE_FEN + sum(
            net_fen(row)
            for past in self.books.bill
            if past < day
            for row in self._rows(past, merchant)
        )
        style = self.habits.style(day)
        return write_fund_flow(movements, balance_fen, merchant.merchant_id, style)

    def _rows(self, day: date, merchant: Merchant) -> list[Mapping[str, Any]]:
        own = self.books.account.merchant_id
        rows = self.books.bill.get(day, ())
        return [row for row in rows if row.get("mch_id", own) == merchant.merchant_id]

    def _publish(self, plain: bytes, merchant: Merchant, tar_type: str | None) -> str:
        token, is_zipped = secrets.token_urlsafe(48), tar_type == "GZIP"
        content = gzip.compress(plain, mtime=0) if is_zipped else plain
        with self._lock:
            now = self.now()
            self._downloads = {
                name: kept for name, kept in self._downloads.items() if kept.expires_at > now
            }
            self._downloads[token] = _Download(
                merchant.merchant_id, content, now + DOWNLOAD_SECONDS
            )
        return f"{self.address}{BILL_FILE}?token={token}{'&tartype=gzip' if is_zipped else ''}"

    def _download(self, call: Call, merchant: Merchant) -> Answer:
        """The file, which alone of all replies is not signed."""
        with self._lock:
            download = self._downloads.get(call.query.get("token", ""))
        if download is None or download.expires_at <= self.now():
            return self._signed(call, _refuse(400, "INVALID_REQUEST", "下载地址已失效"))
        if download.merchant_id != merchant.merchant_id:
            return self._signed(call, _refuse(403, "NO_AUTH", "商户无权限"))
        return Answer(200, download.content, {"Content-Type": "text/plain"})

    def _signed(self, call: Call, answer: Answer) -> Answer:
        timestamp = str(int(self.now()) + call.clock_offset_seconds)
        nonce = secrets.token_hex(16)
        message = f"{timestamp}\n{nonce}\n".encode() + answer.body + b"\n"
        signature = self.platform_key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        headers = {
            "Request-ID": secrets.token_hex(20).upper(),
            "Wechatpay-Serial": self.books.account.platform_key_id,
            "Wechatpay-Signature-Type": SCHEME,
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": base64.b64encode(signature).decode(),
        }
        return Answer(answer.status, answer.body, {**answer.headers, **headers})


def _said(call: Call) -> dict[str, str]:
    """What the Authorization header says; empty where it is of another scheme."""
    scheme, _, told = call.headers.get("Authorization", "").partition(" ")
    return dict(_PAIR.findall(told)) if scheme == SCHEME else {}


def _day(written: str) -> date | None:
    """A day as yyyy-MM-dd, and in no other form."""
    try:
        day = date.fromisoformat(written)
    except ValueError:
        return None
    return day if day.isoformat() == written else None


def _refuse(status: int, code: str, message: str) -> Answer:
    return answer_json({"code": code, "message": message}, status=status)
