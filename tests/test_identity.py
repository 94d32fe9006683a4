"""Who the buyer is, from files to marts: links have their time, two contacts are a conflict, and
an identifier of many names nobody."""

from datetime import date, timedelta
from typing import Any

import pytest
from small_company import COMPLETE_UNTIL, Row, entered_at, orders, write_company, write_table

from pipeline.company import load_company
from pipeline.landed import TABLES
from pipeline.landing import Landing
from pipeline.sources import open_source
from pipeline.warehouse import Warehouse

TORN, TORN_LATER, LINKED_LATER, BY_SHOP_PHONE, BY_FAMILY_PHONE = (
    "O0000", "O0001", "O0002", "O0008", "O0012",
)  # fmt: skip
FAMILY = ("O0013", "O0014")
SHOP_PHONE, FAMILY_PHONE = "02155550000", "13800000001"


def tables_with_people() -> dict[str, list[Row]]:
    """The small company, with some of its buyers made hard to tell."""
    tables = orders()
    contacts = {str(row["contact_id"]): dict(row) for row in tables["crm_contacts"]}
    # One openid, two contacts: one within a day of the order, the other after it.
    contacts["C2"] = contact("C2", TORN, hours=2, openid=f"o{TORN}")
    contacts["C3"] = contact("C3", TORN_LATER, hours=25, openid=f"o{TORN_LATER}")
    # The contact was there in time; that it is the buyer's is learned two days later.
    contacts[f"C{LINKED_LATER}"] = contact(f"C{LINKED_LATER}", LINKED_LATER, unionid="elsewhere")
    linked_at = entered_at(LINKED_LATER) + timedelta(days=2)
    tables["identities"] = [
        {
            "left_kind": "openid", "left_value": f"o{LINKED_LATER}", "right_kind": "unionid",
            "right_value": "elsewhere", "seen_at": linked_at.isoformat(),
        }
    ]  # fmt: skip
    # Only the phone of the ERP order leads from these two to their contact.
    for number, phone in ((BY_SHOP_PHONE, SHOP_PHONE), (BY_FAMILY_PHONE, FAMILY_PHONE)):
        contacts[f"C{number}"] = contact(f"C{number}", number, phone=phone)
    columns = {name for row in contacts.values() for name in row}
    tables["crm_contacts"] = [dict.fromkeys(columns) | row for row in contacts.values()]
    # One phone with four customer codes, another with three, which is the limit.
    phones = dict.fromkeys((BY_SHOP_PHONE, "O0009", "O0010", "O0016"), SHOP_PHONE)
    phones |= dict.fromkeys((BY_FAMILY_PHONE, *FAMILY), FAMILY_PHONE)
    tables["erp_orders"] = [
        {**row, "phone": phones.get(str(row["order_no"]), ""), "customer_code": f"K{count}"}
        for count, row in enumerate(tables["erp_orders"])
    ]
    return tables


def contact(contact_id: str, number: str, *, hours: int = 0, **identifiers: str) -> dict[str, Any]:
    at = (entered_at(number) + timedelta(hours=hours)).isoformat()
    return {"contact_id": contact_id, "created_at": at, "updated_at": at, **identifiers}


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    folder = tmp_path_factory.mktemp("people")
    tables = tables_with_people()
    company = load_company(write_company(folder, connected=list(tables)), environment={})
    for name, rows in tables.items():
        write_table(folder / "drop", name, rows)
    told = "".join(f"{name},{COMPLETE_UNTIL}\n" for name in tables)
    (folder / "drop" / "_manifest.csv").write_text(f"table,complete_until\n{told}")
    landing = Landing(company.data / "landing", hash_key=company.hash_key)
    for name in tables:
        source = open_source(name, company)
        for extract in source.extract([date(2026, 10, day) for day in (1, 2, 3)]):
            batch = landing.land(TABLES[name], extract, connector=source.connector)
            assert not batch.quarantined, landing.rejected(batch)
    warehouse = Warehouse(company.data)
    warehouse.register(landing, company)
    warehouse.transform()
    return warehouse


def rows_of(marts: Warehouse, query: str) -> list[tuple[Any, ...]]:
    with marts.open() as connection:
        return connection.execute(query).fetchall()


def test_known_is_as_of_the_time_at_which_the_links_were_known(marts: Warehouse) -> None:
    found = rows_of(
        marts, "select case_id, truth, divergence from marts.fct_case_legs where leg = 'known'"
    )
    verdicts = {case[len("order:") :]: (truth, divergence) for case, truth, divergence in found}
    assert verdicts.pop(TORN) == ("unverifiable", "identity_conflict")
    assert verdicts.pop(TORN_LATER) == ("verified", "none")
    assert verdicts.pop(LINKED_LATER) == ("late", "late")
    assert verdicts.pop(BY_FAMILY_PHONE) == ("verified", "none")
    assert verdicts.pop(BY_SHOP_PHONE) == ("refuted", "not_known")
    # Their own contact, and the one that the phone of the family leads to.
    assert {verdicts.pop(number) for number in FAMILY} == {("unverifiable", "identity_conflict")}
    assert set(verdicts.values()) == {("verified", "none")}


def test_both_contacts_of_a_conflict_are_shown_with_their_rows(marts: Warehouse) -> None:
    found = rows_of(
        marts,
        "select contact_ref, match_tier, cases_count, reached_at, in_conflict_since"
        f" from marts.fct_identity_conflicts join marts.fct_cases using (person_id)"
        f" where case_id = 'order:{TORN}' order by reached_at",
    )
    entered = entered_at(TORN)
    first, second = entered + timedelta(seconds=40), entered + timedelta(hours=2)
    assert [(ref.rsplit("/")[-1], *rest) for ref, *rest in found] == [
        (f"C{TORN}", "unionid", 1, first, second),
        ("C2", "unionid", 1, second, second),
    ]


def test_a_phone_beyond_the_limit_is_listed_without_its_value(marts: Warehouse) -> None:
    found = rows_of(marts, "select * exclude (as_of) from marts.dim_shared_identifiers")
    ((kind, identifier, people, limit, _, refs),) = found
    assert (kind, people, limit) == ("phone", 4, 3)
    assert [ref.rsplit("/")[-1] for ref in refs.split(", ")] == ["CO0008", "EO0008", "EO0009"]
    hashed = rows_of(marts, "select identifier from intermediate.int_identifiers__shared")[0][0]
    assert hashed.removeprefix("phone:") not in (identifier, refs)


def test_the_shares_of_the_match_tiers_are_of_the_buyers_who_are_known(marts: Warehouse) -> None:
    kinds = ["unionid", "openid", "member_no", "phone", "customer_code"]
    shares = ", ".join(f"round({kind}_share, 3)" for kind in kinds)
    found = rows_of(
        marts,
        f"select {shares} from marts.rpt_conversion_daily where business_day = '2026-10-02'",
    )
    assert found == [(0.8, 0.0, 0.0, 0.2, 0.0)]
