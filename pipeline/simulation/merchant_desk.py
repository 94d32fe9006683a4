"""api.mch.weixin.qq.com of the simulated company: the trade bill, asked for and downloaded.

Every request must be signed by the merchant, every reply but the file itself is signed by the
platform.
"""

import base64
import gzip
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from threading import Lock

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pipeline.simulation.http_call import Answer, Call, answer_json
from pipeline.simulation.trade_bill import write_bill
from pipeline.simulation.wechat_books import Books

SCHEME = "WECHATPAY2-SHA256-RSA2048"
CLOCK_TOLERANCE_SECONDS = 300
DOWNLOAD_SECONDS = 300
_PAIR = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class _Download:
    content: bytes
    expires_at: float


@dataclass
class MerchantDesk:
    """The calls of one merchant. `address` is the host that download addresses name."""

    books: Books
    merchant_key: rsa.RSAPublicKey
    platform_key: rsa.RSAPrivateKey
    now: Callable[[], float]
    address: str = ""
    _downloads: dict[str, _Download] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def answer(self, call: Call) -> Answer | None:
        """The reply; None where this host has no such path."""
        if call.path not in ("/v3/bill/tradebill", "/v3/billdownload/file"):
            return None
        reason = self._why_unsigned(call)
        if reason:
            return self._signed(_refuse(401, "SIGN_ERROR", f"签名错误: {reason}"))
        if call.method != "GET":
            return self._signed(_refuse(405, "INVALID_REQUEST", "HTTP方法不允许"))
        if call.path == "/v3/billdownload/file":
            return self._download(call)
        return self._signed(self._bill(call))

    def _why_unsigned(self, call: Call) -> str:
        """Why the request is not the merchant's, in words for people; empty where it is."""
        scheme, _, told = call.headers.get("Authorization", "").partition(" ")
        said = dict(_PAIR.findall(told))
        account = self.books.account
        if scheme != SCHEME or not {"nonce_str", "signature", "timestamp"} <= set(said):
            return "Authorization不符合规范"
        if said.get("mchid") != account.merchant_id:
            return "商户号与证书不一致"
        if said.get("serial_no") != account.certificate_serial:
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
            self.merchant_key.verify(
                base64.b64decode(said["signature"], validate=True),
                message, padding.PKCS1v15(), hashes.SHA256(),
            )  # fmt: skip
        except (InvalidSignature, ValueError):
            return "验签失败"
        return ""

    def _bill(self, call: Call) -> Answer:
        query, account = call.query, self.books.account
        # The bills of payments alone and refunds alone have layouts of their own.
        if query.get("bill_type", "ALL") != "ALL":
            return _refuse(400, "PARAM_ERROR", "账单类型不支持")
        try:
            day = date.fromisoformat(query.get("bill_date", ""))
        except ValueError:
            return _refuse(400, "PARAM_ERROR", "账单日期格式有误")
        if day == account.last_day + timedelta(days=1):
            return _refuse(400, "STATEMENT_CREATING", "请求的账单正在生成中")
        if day > account.last_day:
            return _refuse(400, "INVALID_REQUEST", "账单日期超出范围")
        rows = self.books.bill.get(day)
        if not rows:
            return _refuse(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
        plain = write_bill(day, rows)
        content = gzip.compress(plain, mtime=0) if query.get("tar_type") == "GZIP" else plain
        return answer_json(
            {
                "download_url": self._publish(content),
                "hash_type": "SHA1",
                "hash_value": hashlib.sha1(plain, usedforsecurity=False).hexdigest(),
            }
        )

    def _publish(self, content: bytes) -> str:
        token = secrets.token_urlsafe(48)
        with self._lock:
            now = self.now()
            self._downloads = {
                name: kept for name, kept in self._downloads.items() if kept.expires_at > now
            }
            self._downloads[token] = _Download(content, now + DOWNLOAD_SECONDS)
        return f"{self.address}/v3/billdownload/file?token={token}&tartype=gzip"

    def _download(self, call: Call) -> Answer:
        with self._lock:
            download = self._downloads.get(call.query.get("token", ""))
        if download is None or download.expires_at <= self.now():
            return self._signed(_refuse(400, "INVALID_REQUEST", "下载地址已失效"))
        return Answer(200, download.content, {"Content-Type": "text/plain"})

    def _signed(self, answer: Answer) -> Answer:
        timestamp, nonce = str(int(self.now())), secrets.token_hex(16)
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


def _refuse(status: int, code: str, message: str) -> Answer:
    return answer_json({"code": code, "message": message}, status=status)
