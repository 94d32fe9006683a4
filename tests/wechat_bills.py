"""Trade bills composed as WeChat Pay writes them, and a merchant platform that serves them."""

import base64
import gzip
import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.wechat_world import Line


def _names(text: str) -> list[str]:
    return text.split(",")


ALL = _names(
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,"
    "商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
ONLY_REFUNDS = [*ALL[14:20], "申请退款金额"]
SUCCESS = [name for name in ALL if name not in ONLY_REFUNDS]
REFUND = [*ALL[:14], "退款申请时间", "退款成功时间", *ALL[14:]]
LEGACY = [
    {
        "特约商户号": "子商户号",
        "应结订单金额": "总金额",
        "代金券金额": "代金券或立减优惠金额（企业红包金额）",
        "充值券退款金额": "代金券或立减优惠退款金额",
    }.get(name, name)
    for name in ALL[:24]
]
SUMMARY = _names(
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)
LEGACY_SUMMARY = _names("总交易单数,总交易额,总退款金额,总代金券或立减优惠退款金额,手续费总金额")

PAYMENT = {
    "交易时间": "2026-10-03 01:52:32", "公众账号ID": "wx5a1e0000000001", "商户号": "1900000109",
    "特约商户号": "0", "设备号": "", "微信订单号": "4200000263202610031677001349",
    "商户订单号": "R20261003015232", "用户标识": "ogqztkPsejM9MQAFfwCQSCi4oNg3",
    "交易类型": "JSAPI", "交易状态": "SUCCESS", "付款银行": "OTHERS", "货币种类": "CNY",
    "应结订单金额": "95.00", "代金券金额": "5.00", "微信退款单号": "0", "商户退款单号": "0",
    "退款金额": "0.00", "充值券退款金额": "0.00", "退款类型": "", "退款状态": "",
    "商品名称": "水果, 大份", "商户数据包": "a,b", "手续费": "0.57000", "费率": "0.60%",
    "订单金额": "100.00", "申请退款金额": "0.00", "费率备注": "",
}  # fmt: skip
REFUNDED = PAYMENT | {
    "交易时间": "2026-10-03 05:01:46", "交易状态": "REFUND",
    "应结订单金额": "0.00", "代金券金额": "0.00",
    "微信退款单号": "50000709672026100308420787722", "商户退款单号": "REF1", "退款金额": "9.50",
    "退款类型": "ORIGINAL", "退款状态": "PROCESSING", "手续费": "-0.06000", "订单金额": "0.00",
    "申请退款金额": "10.00",
}  # fmt: skip
ROWS = [REFUNDED, PAYMENT]
TOTALS = ["2", "95.0", "9.5", "0", "0.51000", "100.00", "10.00"]

FLOW = _names(
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
FLOW_SUMMARY = _names("资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额")
FLOW_ROWS = [
    {
        "记账时间": "2026-10-03 01:52:33", "微信支付业务单号": PAYMENT["微信订单号"],
        "资金流水单号": PAYMENT["微信订单号"], "业务名称": "交易", "业务类型": "交易",
        "收支类型": "收入", "收支金额(元)": "95.00", "账户结余(元)": "1095.00",
        "资金变更提交申请人": "1900000109王小明", "备注": "", "业务凭证号": "R20261003015232",
    },
    {
        "记账时间": "2026-10-03 01:52:33", "微信支付业务单号": PAYMENT["微信订单号"],
        "资金流水单号": PAYMENT["微信订单号"], "业务名称": "交易", "业务类型": "扣除交易手续费",
        "收支类型": "支出", "收支金额(元)": "0.57", "账户结余(元)": "1094.43",
        "资金变更提交申请人": "1900000109王小明", "备注": "结算总金额95.00元;手续费0.57元",
        "业务凭证号": "R20261003015232",
    },
    {
        "记账时间": "2026-10-03 05:01:46", "微信支付业务单号": REFUNDED["微信退款单号"],
        "资金流水单号": PAYMENT["微信订单号"], "业务名称": "退款", "业务类型": "退款",
        "收支类型": "支出", "收支金额(元)": "9.44", "账户结余(元)": "1084.99",
        "资金变更提交申请人": "1900000109王小明", "备注": "退款总金额9.50元;含手续费0.06元",
        "业务凭证号": "REF1",
    },
]  # fmt: skip
FLOW_TOTALS = ["3", "1", "95.00", "2", "10.01"]


def flow(
    rows: Sequence[dict[str, str]] = FLOW_ROWS,
    totals: Sequence[str] = FLOW_TOTALS,
    *,
    header: Sequence[str] = FLOW,
    summary: Sequence[str] = FLOW_SUMMARY,
    newline: str = "\n",
    bom: bool = False,
) -> bytes:
    """A fund-flow bill's text; a column with wide parentheses finds its value all the same."""
    narrow = [
        {name: row[name.replace("（", "(").replace("）", ")")] for name in header} for row in rows
    ]
    return bill(narrow, totals, header=header, summary=summary, newline=newline, bom=bom)


def bill(
    rows: Sequence[dict[str, str]] = ROWS,
    totals: Sequence[str] = TOTALS,
    *,
    header: Sequence[str] = ALL,
    summary: Sequence[str] = SUMMARY,
    newline: str = "\n",
    bom: bool = False,
) -> bytes:
    """A bill's text. Rows are given under the names of ALL; a legacy column finds its own there."""
    lines = [
        ",".join(header),
        *("".join(("`", ",`".join(value_of(row, name) for name in header))) for row in rows),
        ",".join(summary),
        "`" + ",`".join(totals),
    ]
    return ("\ufeff" * bom + newline.join(lines) + newline).encode()


def value_of(row: dict[str, str], name: str) -> str:
    return row.get(name) or row.get(dict(zip(LEGACY, ALL, strict=False)).get(name, name), "")


def zipped(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


@cache
def key_of(owner: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def write_keys(folder: Path) -> None:
    (folder / "merchant_key.pem").write_bytes(
        key_of("merchant").private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "platform_key.pem").write_bytes(public_pem("platform"))


def public_pem(owner: str) -> bytes:
    return (
        key_of(owner)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


@dataclass
class Platform:
    """WeChat Pay for one merchant: checks our signature, signs its replies, serves files.

    `files` are downloads in the order they will be asked for, the last for ever; `sha1` is told
    with each, by default that of the file itself.
    """

    files: list[bytes]
    sha1: str | None = None
    refusals: list[tuple[int, str]] = field(default_factory=list)
    download_refusals: list[int] = field(default_factory=list)
    signer: str = "platform"
    serial: str = "PUB_KEY_ID_0119"
    clock_offset: int = 0
    download_headers: dict[str, str] = field(default_factory=dict)
    change: Callable[[httpx.Response], httpx.Response] = lambda response: response

    def line(self) -> Line:
        self._line = Line(self._answer)
        return self._line

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self._require_signature(request)
        if request.url.path == "/v3/billdownload/file":
            return self._download()
        if self.refusals:
            status, code = self.refusals.pop(0)
            return self._sign(httpx.Response(status, json={"code": code, "message": "不行"}))
        sha1 = self.sha1 or hashlib.sha1(self.files[0]).hexdigest()
        url = "https://pay.test/v3/billdownload/file?token=a%2Bb-c_d&tartype=gzip"
        told: dict[str, Any] = {"hash_type": "SHA1", "hash_value": sha1, "download_url": url}
        return self.change(self._sign(httpx.Response(200, json=told)))

    def _download(self) -> httpx.Response:
        if self.download_refusals:
            body = {"code": "INVALID_REQUEST", "message": "token"}
            return httpx.Response(self.download_refusals.pop(0), json=body)
        file = self.files.pop(0) if len(self.files) > 1 else self.files[0]
        return httpx.Response(200, stream=httpx.ByteStream(file), headers=self.download_headers)

    def _sign(self, response: httpx.Response) -> httpx.Response:
        timestamp = str(int(self._line.now.timestamp()) + self.clock_offset)
        nonce = secrets.token_hex(16)
        message = timestamp.encode() + b"\n" + nonce.encode() + b"\n" + response.content + b"\n"
        signature = key_of(self.signer).sign(message, padding.PKCS1v15(), hashes.SHA256())
        response.headers.update(
            {
                "Request-ID": "08F78BB5AF0610",
                "Wechatpay-Serial": self.serial,
                "Wechatpay-Nonce": nonce,
                "Wechatpay-Timestamp": timestamp,
                "Wechatpay-Signature": base64.b64encode(signature).decode(),
                "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
            }
        )
        return response

    def _require_signature(self, request: httpx.Request) -> None:
        """Hold the Authorization header against the rules of the platform's documentation."""
        scheme, _, parts = request.headers["Authorization"].partition(" ")
        told = dict(re.findall(r'(\w+)="([^"]*)"', parts))
        assert scheme == "WECHATPAY2-SHA256-RSA2048"
        assert told["mchid"] == "1900000109"
        assert told["serial_no"] == "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
        assert abs(int(told["timestamp"]) - self._line.now.timestamp()) < 1
        assert request.headers["User-Agent"]
        target = request.url.raw_path.decode()
        message = f"GET\n{target}\n{told['timestamp']}\n{told['nonce_str']}\n\n"
        key_of("merchant").public_key().verify(
            base64.b64decode(told["signature"]),
            message.encode(),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
