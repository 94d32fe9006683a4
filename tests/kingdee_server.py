"""A made-up K3Cloud behind HTTP, as documents and other people's clients describe it.

A database in memory: a query joins a form's head to each entry that it names, as SQL does. Rows
come as lists in the order of FieldKeys; errors come with HTTP 200, and caps without a word.
"""

import base64
import hashlib
import hmac
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

BASE_URL = "http://127.0.0.1:8080/k3cloud"
DATABASE, USER = "5f0a1b2c3d4e5f", "接口用户"
APP_ID = "204399_" + base64.b64encode(b"twenty-four-characters!!").decode()
APP_SECRET = "a-secret-that-must-not-show"
SERVICE = "/k3cloud/Kingdee.BOS.WebApi.ServicesStub.DynamicFormService."
MASK = "0054f397c6234378b09ca7d3e5debce7"

Row = Mapping[str, Any]
_NAME = re.compile(r"\bF\w+(?:\.F\w+)?")

# By form: its own key, and by part the fields of it; of an entry after its key.
FORMS: dict[str, tuple[str, dict[str, str]]] = {
    "SAL_SaleOrder": (
        "FID",
        {
            "FBillHead": "FBillNo FDate FDocumentStatus FCancelStatus FCloseStatus FCustId.FNumber"
            " FCreatorId.FName FCreateDate FModifyDate FNote F_SHOP_OrderNo",
            "FSaleOrderFinance": "FBillAllAmount FSettleCurrId.FNumber",
            "FSaleOrderEntry": "FEntryID FMaterialId.FNumber FQty FAllAmount",
            "FSaleOrderPlan": "FEntryID FRecAdvanceAmount",
        },
    ),
    "AR_RECEIVEBILL": (
        "FID",
        {
            "FBillHead": "FBillNo FDATE FDocumentStatus FREMARK FCreateDate FModifyDate"
            " FCreatorId.FName FREALRECAMOUNT",
            "FRECEIVEBILLSRCENTRY": "FEntryID FSRCBILLNO FREALRECAMOUNT_S",
        },
    ),
    "AR_REFUNDBILL": (
        "FID",
        {
            "FBillHead": "FBillNo FDATE FDocumentStatus FREMARK FCreatorId.FName FModifyDate"
            " FREALREFUNDAMOUNT",
        },
    ),
    "SAL_OUTSTOCK": (
        "FID",
        {
            "FBillHead": "FBillNo FDate FDocumentStatus FCancelStatus FCreateDate FModifyDate"
            " FCreatorId.FName FCarriageNO FApproveDate",
            "FEntity": "FEntryID FSoorDerno FSrcBillNo FRealQty FAllAmount",
        },
    ),
    "BD_Customer": (
        "FCUSTID",
        {"FBillHead": "FNumber FName FCreateDate FModifyDate FTEL"},
    ),
}


@dataclass
class KingdeeServer:
    """One 数据中心. `most_rows` are given at a time, whatever is asked; `refuses_above` is told."""

    most_rows: int = 2000
    busy_calls: int = 0
    status: int = 200
    """What HTTP says instead, of a server that does not know these books."""
    text: str | None = None
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._database = sqlite3.connect(":memory:")
        for form, (key, parts) in FORMS.items():
            for part, fields in parts.items():
                names = [key, *fields.split()]
                columns = ", ".join(f'"{name}"' for name in names)
                self._database.execute(f'create table "{form}.{part}" ({columns})')

    def write(self, form: str, number: int, head: Row, **entries: Sequence[Row]) -> None:
        """Write one bill; what it was before is gone. Entries are numbered through the form."""
        self.delete(form, number)
        key, parts = FORMS[form]
        rows = {part: [{}] if part == "FSaleOrderFinance" else [] for part in parts} | {
            part: list(told) for part, told in entries.items()
        }
        rows["FBillHead"] = [head]
        for part, of_part in rows.items():
            for position, row in enumerate(of_part, start=1):
                numbered = (
                    {"FEntryID": 100 * number + position} if "FEntryID" in parts[part] else {}
                )
                self._insert(f"{form}.{part}", {key: number} | numbered | dict(row))

    def delete(self, form: str, number: int) -> None:
        key, parts = FORMS[form]
        for part in parts:
            self._database.execute(f'delete from "{form}.{part}" where "{key}" = ?', [number])

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.status != 200:
            return httpx.Response(self.status, text="数据中心不存在")
        if self.text is not None:
            return httpx.Response(200, text=self.text)
        path = request.url.path
        if request.method != "POST" or not path.startswith(SERVICE):
            return httpx.Response(404, html="<h1>404</h1>")
        method = path.removeprefix(SERVICE).removesuffix(".common.kdsvc")
        data = json.loads(request.content)["data"]
        self.calls.append((method, data))
        try:
            self._check_caller(request)
            if self.busy_calls:
                self.busy_calls -= 1
                raise RefusedError(14, "调用过于频繁")
            return httpx.Response(200, json=self._serve(method, data))
        except RefusedError as error:
            status = {
                "IsSuccess": False,
                "MsgCode": error.code,
                "Errors": [{"FieldName": None, "Message": str(error), "DIndex": 0}],
            }
            told: Any = {"Result": {"ResponseStatus": status}}
            return httpx.Response(200, json=told if method == "QueryBusinessInfo" else [[told]])

    def _check_caller(self, request: httpx.Request) -> None:
        """Whether the headers are those of the application; it says that a session was lost."""
        told = request.headers
        belongs = f"{DATABASE},{USER},2052,0"
        client, masked = APP_ID.split("_")
        content = base64.b64decode(masked)
        key = base64.b64encode(bytes(a ^ b for a, b in zip(content, MASK.encode(), strict=False)))
        stamp, path = told.get("x-api-timestamp", ""), quote(request.url.path, safe="")
        signed = f"POST\n{path}\n\nx-api-nonce:{stamp}\nx-api-timestamp:{stamp}\n"
        expected = {
            "X-Api-ClientID": client,
            "X-Api-Signature": _signature(signed, key),
            "X-Kd-Appkey": APP_ID,
            "X-Kd-Appdata": base64.b64encode(belongs.encode()).decode(),
            "X-Kd-Signature": _signature(APP_ID + belongs, APP_SECRET.encode()),
        }
        if any(told.get(name) != value for name, value in expected.items()):
            raise RefusedError(1, "会话信息已丢失，请重新登录")

    def _serve(self, method: str, data: Mapping[str, Any]) -> Any:
        form = data.get("FormId")
        if not form:
            raise RefusedError(8, "业务对象标识不能为空")
        if form not in FORMS:
            raise RefusedError(4, f"元数据中标识为{form}的业务对象不存在")
        if method == "QueryBusinessInfo":
            return _describe(form)
        assert method == "ExecuteBillQuery", f"{method} does more than read"
        return self._query(form, data)

    def _query(self, form: str, data: Mapping[str, Any]) -> list[list[Any]]:
        key, parts = FORMS[form]
        columns = {
            name: f'"{part}"."{name}"'
            for part, fields in reversed(parts.items())
            for name in fields.split()
            if name != "FEntryID"
        } | {
            f"{part}_FEntryID": f'"{part}"."FEntryID"'
            for part, fields in parts.items()
            if "FEntryID" in fields
        }
        columns[key] = f'"FBillHead"."{key}"'
        asked = data["FieldKeys"].split(",")
        named = [*asked, *_NAME.findall(data["FilterString"])]
        for name in named:
            if name not in columns:
                raise RefusedError(9, f"字段 {name} 不存在")
        used = [part for part in parts if any(columns[n].startswith(f'"{part}"') for n in named)]
        joined = "".join(
            f' left join "{form}.{part}" as "{part}" on "{part}"."{key}" = "FBillHead"."{key}"'
            for part in used
            if part != "FBillHead"
        )
        where = _NAME.sub(lambda found: columns[found[0]], data["FilterString"])
        order, direction = data["OrderString"].split()
        most = min(data["Limit"] or self.most_rows, self.most_rows)
        found = self._database.execute(
            f"select {', '.join(columns[name] for name in asked)}"
            f' from "{form}.FBillHead" as "FBillHead"{joined} where {where}'
            f" order by {columns[order]} {direction} limit {most} offset {data['StartRow']}"
        )
        return [[_told(value) for value in row] for row in found]

    def _insert(self, table: str, row: Row) -> None:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        self._database.execute(f'insert into "{table}" ({names}) values ({marks})', [*row.values()])


class RefusedError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def _describe(form: str) -> dict[str, Any]:
    """The form as QueryBusinessInfo tells it: of a field of a reference, only its own name."""
    key, parts = FORMS[form]
    entries = [
        {
            "Key": part,
            "Name": [{"Key": 2052, "Value": part}],
            "EntryPkFieldName": "FEntryID" if "FEntryID" in fields else key,
            "Fields": [
                {"Key": name, "FieldName": name.upper(), "Name": [{"Key": 2052, "Value": name}]}
                for name in _own_names(fields)
            ],
        }
        for part, fields in parts.items()
    ]
    told = {"Id": form, "PkFieldName": key, "Entrys": entries}
    return {"Result": {"ResponseStatus": {"IsSuccess": True}, "NeedReturnData": told}}


def _own_names(fields: str) -> Iterator[str]:
    yield from dict.fromkeys(name.split(".")[0] for name in fields.split() if name != "FEntryID")


def _told(value: Any) -> Any:
    """A value as the API words it: an instant with its T, nothing as a blank."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", value):
        return value.replace(" ", "T")
    return " " if value == "" else value


def _signature(text: str, key: bytes) -> str:
    digits = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return base64.b64encode(digits.encode()).decode()
