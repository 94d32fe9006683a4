"""WeCom's external contacts: paging, merging, what never lands, and what each refusal means."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from pipeline.company import Company, load_company
from pipeline.conform import Rejected, hash_phone
from pipeline.errors import BrokenContentError, NotReadyError, PermanentSourceError, SourceError
from pipeline.landed import TABLES
from pipeline.landing import Landing
from pipeline.simulation.contact_book import Acquaintance, ContactBook, read_contact_book
from pipeline.simulation.contact_desk import ContactDesk
from pipeline.simulation.http_call import Call
from pipeline.simulation.simulate import simulate
from pipeline.simulation.wechat_server import WechatServer
from pipeline.simulation.world import Options
from pipeline.sources.wechat.wecom import ExternalContacts
from pipeline.sources.wechat.wecom.merging import Merging
from pipeline.sources.wire import Wire
from tests.wechat_world import DAY, NOON_AFTER, Line

SAMPLES = Path(__file__).parent / "samples" / "wechat" / "wecom"
CORP_ID, SECRET = "ww5a1e000000000001", "wecom-app-secret"
ADDED_AT = 1791000000  # within DAY, Asia/Shanghai
MEMBERS, BATCH, TOKEN = (
    "/cgi-bin/externalcontact/get_follow_user_list",
    "/cgi-bin/externalcontact/batch/get_by_user",
    "/cgi-bin/gettoken",
)
HASH_KEY = b"k" * 16


def known(member: str, number: int, *, later: int = 0, **follow: object) -> Acquaintance:
    contact = {
        "external_userid": f"wm{number:04d}", "name": "李四", "avatar": "http://a/0", "type": 1,
        "unionid": f"union-{number}",
    }  # fmt: skip
    told = {"userid": member, "remark": "李部长", "createtime": ADDED_AT + later, "add_way": 1}
    return Acquaintance(member, contact, told | follow)


class Desk:
    """The simulated host behind a line whose clock the test holds."""

    def __init__(self, *acquaintances: Acquaintance, **more: Any) -> None:
        book = {"corp_id": CORP_ID, "secret": SECRET, "members": ("rocky", "tommy")} | more
        self.line = Line(self._answer)
        self.desk = ContactDesk(
            ContactBook(acquaintances=acquaintances, **book), lambda: self.line.now.timestamp()
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        answer = self.desk.answer(Call(request.method, target, {}, request.content))
        assert answer is not None
        return httpx.Response(answer.status, content=answer.body, headers=dict(answer.headers))


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return write_company(tmp_path)


def write_company(folder: Path, *, secret: str = SECRET, trailing: str = "") -> Company:
    (folder / "company.yml").write_text("name: Small company\nfirst_day: 2026-10-01\n")
    (folder / "sources.yml").write_text(
        f"connections:\n  wecom: {{base_url: https://wecom.test, corp_id: {CORP_ID},"
        " corp_secret_env: WECOM_SECRET}\n"
        f"tables:\n  crm_contacts: {{connector: wecom_contacts, connection: wecom{trailing}}}\n"
    )
    return load_company(folder, environment={"WECOM_SECRET": secret})


def source(company: Company, line: Line) -> ExternalContacts:
    settings = company.sources.tables["crm_contacts"]
    connection = company.sources.connections["wecom"]
    table = TABLES["crm_contacts"]
    return ExternalContacts(table, settings, connection, company, wire=line.wire())


def land(company: Company, line: Line) -> tuple[list[dict[str, Any]], list[Rejected]]:
    landing = Landing(company.folder / "landing", hash_key=HASH_KEY)
    (extract,) = source(company, line).extract([DAY])
    batch = landing.land(TABLES["crm_contacts"], extract, connector="wecom_contacts")
    rows: list[dict[str, Any]] = pq.read_table(batch.path).to_pylist()
    return rows, landing.rejected(batch)


def test_a_customer_of_several_members_is_one_contact_of_the_first(company: Company) -> None:
    desk = Desk(
        known("rocky", 1, later=60, add_way=3, remark_mobiles=["13800000001", "13000000002"]),
        known("tommy", 1, add_way=16, remark_mobiles=[]),
    )
    ((row,), _) = land(company, desk.line)
    assert (row["contact_id"], row["unionid"]) == ("wm0001", "union-1")
    assert (row["source"], row["created_by"]) == ("acquisition_link", "tommy")
    assert row["created_at"] == datetime.fromtimestamp(ADDED_AT, UTC)
    assert row["updated_at"] == datetime.fromtimestamp(ADDED_AT + 60, UTC)
    assert row["phone"] == hash_phone("13800000001", HASH_KEY)


def test_names_avatars_remarks_and_phones_do_not_land(company: Company) -> None:
    desk = Desk(
        known("rocky", 1, remark_mobiles=["13800000001"]),
        known("rocky", 2, createtime="soon", remark_mobiles=["13800000002"]),
    )
    rows, rejected = land(company, desk.line)
    assert (len(rows), len(rejected)) == (1, 1)
    told = f"{rows} {rejected}"
    assert not any(word in told for word in ("李四", "李部长", "http://a/0", "1380000000"))


def test_pages_of_a_hundred_are_followed_to_the_end(company: Company) -> None:
    desk = Desk(*(known("rocky", number) for number in range(250)))
    rows, _ = land(company, desk.line)
    assert sorted(row["contact_id"] for row in rows) == [f"wm{number:04d}" for number in range(250)]
    assert [(body["cursor"], body["limit"]) for body in desk.line.bodies(BATCH)] == [
        ("", 100), ("cursor-100", 100), ("cursor-200", 100), ("", 100),
    ]  # fmt: skip


def test_a_member_without_customers_hides_nobody_elses(company: Company) -> None:
    rows, rejected = land(company, Desk(known("tommy", 1)).line)
    assert ([row["created_by"] for row in rows], rejected) == (["tommy"], [])


def test_a_missing_union_id_is_null_unless_another_entry_tells_it(company: Company) -> None:
    bare, told = known("rocky", 1), known("tommy", 1, later=5)
    del bare.contact["unionid"]
    lone = known("rocky", 2)
    lone.contact["unionid"] = ""
    first, later = known("rocky", 3), known("tommy", 3, later=5)
    del later.contact["unionid"]
    rows, _ = land(company, Desk(bare, told, lone, first, later).line)
    found = {row["contact_id"]: row["unionid"] for row in rows}
    assert found == {"wm0001": "union-1", "wm0002": None, "wm0003": "union-3"}


def test_an_unlicensed_member_is_told_and_all_of_them_stop(company: Company) -> None:
    desk = Desk(known("rocky", 1), known("tommy", 2), unlicensed=("tommy",))
    rows, (odd,) = land(company, desk.line)
    assert [row["contact_id"] for row in rows] == ["wm0001"]
    assert (odd.place, odd.reason[:27]) == ("member tommy", "the member has no licence, ")
    nobody = Desk(known("rocky", 1), unlicensed=("rocky", "tommy"))
    with pytest.raises(PermanentSourceError, match="none of 2 members has a licence"):
        land(company, nobody.line)


def test_no_member_at_all_is_no_empty_list(company: Company) -> None:
    with pytest.raises(PermanentSourceError, match="members with customers: found none"):
        land(company, Desk(members=()).line)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"createtime": None}, "createtime: found 'None', allowed: epoch seconds"),
        ({"createtime": True}, "createtime: found 'True'"),
        ({"createtime": 10**12}, "createtime: found '1000000000000'"),
        ({"createtime": 0}, "createtime: found '0'"),
    ],
)
def test_an_entry_without_an_instant_is_set_aside(
    company: Company, changes: dict[str, object], reason: str
) -> None:
    rows, (odd,) = land(company, Desk(known("rocky", 1, **changes), known("rocky", 2)).line)
    assert [row["contact_id"] for row in rows] == ["wm0002"]
    assert odd.reason.startswith(reason)
    assert odd.raw == '{"external_userid": "wm0001", "userid": "rocky"}'


@pytest.mark.parametrize(
    "entry",
    [None, "x", {}, {"external_contact": {}}, {"external_contact": {"external_userid": True}},
     {"external_contact": {"external_userid": "wm1"}},
     {"external_contact": {"external_userid": "\ud800"}, "follow_info": {"createtime": ADDED_AT}},
     {"external_contact": {"external_userid": "wm1"}, "follow_user": []},
     {"external_contact": {"external_userid": "wm1"}, "follow_info": "x"}],
)  # fmt: skip
def test_an_entry_that_is_no_contact_is_set_aside(entry: object) -> None:
    merging = Merging()
    merging.add(entry, "rocky")
    assert (merging.rows(), len(merging.rejected)) == ([], 1)


def read_sample(name: str) -> list[dict[str, Any]]:
    content = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8-sig"))
    merging = Merging()
    for entry in content.get("external_contact_list", [content]):
        merging.add(entry, "asked")
    assert merging.rejected == []
    return merging.rows()


def test_the_public_samples_are_read_in_both_shapes() -> None:
    """`batch` has one object `follow_info`, in older samples without the member, `get` an array."""
    batch = read_sample("CgibinExternalContactBatchGetByUserResponse")
    assert [(row["created_by"], row["source"], row["phone"]) for row in batch] == [
        ("rocky", "channels", "13800000001"),
        ("lisi", "name_card", None),
    ]
    older = read_sample("externalcontact_batch_get_by_user")
    assert [(row["created_by"], row["source"]) for row in older] == [
        ("asked", "qr_scan"),
        ("asked", "name_card"),
    ]
    (one,) = read_sample("CgibinExternalContactGetResponse")
    assert (one["created_by"], one["source"]) == ("rocky", "channels")
    assert one["created_at"] == datetime.fromtimestamp(1525779812, UTC)
    assert one["updated_at"] == datetime.fromtimestamp(1525881637, UTC)


def test_the_simulated_company_tells_every_customer_over_http(tmp_path: Path) -> None:
    options = Options(seed=3, days=4, orders=60)
    simulate(tmp_path / "shop", options)
    folder = tmp_path / "shop" / "systems" / "wechat"
    book = read_contact_book(folder)
    company = write_company(tmp_path, secret=book.secret)
    known_to = Counter(one.contact["external_userid"] for one in book.acquaintances)
    assert max(known_to.values()) == 2
    with WechatServer(folder) as server:
        connection = company.sources.connections["wecom"].model_copy(
            update={"base_url": server.address}
        )
        contacts = ExternalContacts(
            TABLES["crm_contacts"], company.sources.tables["crm_contacts"], connection, company,
            wire=Wire(now=lambda: NOON_AFTER + timedelta(days=300)),
        )  # fmt: skip
        extracts = list(contacts.extract([company.first_day, *options.business_days]))
    rows = [row for extract in extracts for row in extract.rows.to_pylist()]
    assert sorted(row["contact_id"] for row in rows) == sorted(known_to)
    assert {row["unionid"] is None for row in rows} == {True, False}


def test_the_desk_lists_one_members_customers_and_one_customers_members() -> None:
    desk = Desk(known("rocky", 1), known("tommy", 1), known("rocky", 2)).desk

    def ask(path: str, **query: str) -> dict[str, Any]:
        address = httpx.URL(f"/cgi-bin/{path}", params=query).raw_path.decode()
        answer = desk.answer(Call("GET", address, {}))
        assert answer is not None
        return json.loads(answer.body)  # type: ignore[no-any-return]

    token = ask("gettoken", corpid=CORP_ID, corpsecret=SECRET)["access_token"]
    listed = ask("externalcontact/list", access_token=token, userid="rocky")
    assert listed["external_userid"] == ["wm0001", "wm0002"]
    one = ask("externalcontact/get", access_token=token, external_userid="wm0001")
    assert [follow["userid"] for follow in one["follow_user"]] == ["rocky", "tommy"]
    nobody = ask("externalcontact/list", access_token=token, userid="nobody")
    assert nobody["errcode"] == 84061
    assert ask("externalcontact/list", access_token="other", userid="rocky")["errcode"] == 40014


def test_calls_a_minute_are_waited_for(company: Company) -> None:
    desk = Desk(*(known("rocky", number) for number in range(250)))
    desk.desk.calls_a_minute = 3
    rows, _ = land(company, desk.line)
    assert len(rows) == 250
    assert all(pause >= 60 for pause in desk.line.pauses)
    assert len(desk.line.pauses) == 1


def test_one_token_serves_all_calls_and_is_renewed_once(company: Company) -> None:
    desk = Desk(known("rocky", 1))
    contacts = source(company, desk.line)
    list(contacts.extract([DAY]))
    list(contacts.extract([DAY]))
    assert desk.line.paths().count(TOKEN) == 1
    desk.desk.revoke()
    list(contacts.extract([DAY]))
    assert desk.line.paths().count(TOKEN) == 2


@pytest.mark.parametrize("code", [40014, 42001])
def test_a_token_that_is_refused_again_is_a_refusal(company: Company, code: int) -> None:
    line = refusing(code)
    with pytest.raises(PermanentSourceError, match=f"errcode {code}"):
        list(source(company, line).extract([DAY]))
    assert (line.paths().count(TOKEN), line.paths().count(MEMBERS)) == (2, 2)


@pytest.mark.parametrize(
    ("code", "step"), [(60020, "企业可信IP"), (48002, "可调用接口的应用"), (60011, "visible range")]
)
def test_a_refusal_that_stays_says_what_to_do_and_is_not_tried_again(
    company: Company, code: int, step: str
) -> None:
    line = refusing(code)
    with pytest.raises(PermanentSourceError, match=f"errcode {code}") as refused:
        list(source(company, line).extract([DAY]))
    assert step in refused.value.next_step
    assert line.paths().count(MEMBERS) == 1


def refusing(code: int) -> Line:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN:
            return httpx.Response(200, json={"access_token": "token-1", "expires_in": 7200})
        return httpx.Response(200, json={"errcode": code, "errmsg": "no token-1 from ip: 1.2.3.4"})

    return Line(answer)


def test_a_wrong_secret_is_told_without_it(tmp_path: Path) -> None:
    company = write_company(tmp_path, secret="a-wrong-secret")
    with pytest.raises(PermanentSourceError, match="errcode 40001, wrong secret") as refused:
        source(company, Desk().line).probe()
    assert "a-wrong-secret" not in str(refused.value)


@pytest.mark.parametrize("cursor", ["again", 7])
def test_a_list_that_does_not_lead_on_is_broken_and_ends(company: Company, cursor: object) -> None:
    pages = {"external_contact_list": [], "next_cursor": cursor}
    with pytest.raises(BrokenContentError, match="next_cursor"):
        list(source(company, replying(pages)).extract([DAY]))


def test_a_page_that_is_no_list_leaves_nothing(company: Company) -> None:
    with pytest.raises(BrokenContentError, match="external_contact_list"):
        list(source(company, replying({"external_contact_list": "x"})).extract([DAY]))


def replying(page: dict[str, Any]) -> Line:
    replies: dict[str, Callable[[], dict[str, Any]]] = {
        TOKEN: lambda: {"access_token": "token-1", "expires_in": 7200},
        MEMBERS: lambda: {"errcode": 0, "follow_user": ["rocky"]},
        BATCH: lambda: {"errcode": 0, **page},
    }
    return Line(lambda request: httpx.Response(200, json=replies[request.url.path]()))


def test_a_day_that_is_not_over_is_not_ready(company: Company) -> None:
    desk = Desk(known("rocky", 1))
    contacts = source(company, desk.line)
    assert contacts.last_day() == DAY
    with pytest.raises(NotReadyError):
        list(contacts.extract([DAY, DAY + timedelta(days=1)]))
    assert desk.line.paths() == []


def test_days_come_out_of_one_reading_and_old_customers_with_the_first(company: Company) -> None:
    desk = Desk(known("rocky", 1), known("rocky", 2, later=-86_400 * 900))
    first = date(2026, 10, 1)
    days = [first, date(2026, 10, 2), DAY]
    extracts = list(source(company, desk.line).extract(days))
    found = {extract.day: extract.rows.column("contact_id").to_pylist() for extract in extracts}
    assert found == {first: ["wm0002"], date(2026, 10, 2): [], DAY: ["wm0001"]}
    assert desk.line.paths().count(MEMBERS) == 1


def test_any_known_day_may_have_changed_unless_told_how_many(tmp_path: Path) -> None:
    known_days = {date(2026, 10, 3) - timedelta(days=back): "sha" for back in range(30)}
    line = Desk().line
    contacts = source(write_company(tmp_path), line)
    assert contacts.changed_days(NOON_AFTER, known_days) == set(known_days)
    few = source(write_company(tmp_path, trailing=", trailing_days: 2"), line)
    assert few.changed_days(NOON_AFTER, known_days) == {date(2026, 10, day) for day in (1, 2, 3)}


def test_the_probe_counts_the_members(company: Company) -> None:
    told = source(company, Desk().line).probe()
    assert told == f"https://wecom.test answers {CORP_ID}; 2 members have customers"
    with pytest.raises(SourceError, match="follow_user"):
        source(company, Line(lambda asked: httpx.Response(200, json={
            "access_token": "t", "expires_in": 7200, "follow_user": [1],
        }))).probe()  # fmt: skip
