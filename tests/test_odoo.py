"""Odoo's records: versions, protocols, change times to the second, references and refusals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.company import Company
from pipeline.errors import (
    BrokenContentError,
    ConfigurationError,
    PermanentSourceError,
    TransientSourceError,
)
from pipeline.landed import TABLES
from pipeline.landing import Extract, Landing, day_start
from pipeline.sources import open_source
from pipeline.sources.odoo.domains import any_of, window
from pipeline.sources.odoo.records import OdooRecords
from pipeline.sources.wire import TRIES
from tests.connected_company import DAYS, FIRST_DAY, NOW, company_of_page, connected, still_wire
from tests.odoo_server import BASE_URL, DATABASE, KEY, USER, OdooServer

CONNECTION = {
    "base_url": BASE_URL, "database": DATABASE, "user": USER, "password_env": "ODOO_KEY",
}  # fmt: skip
SECRETS = {"ODOO_KEY": KEY}
ORDERS: dict[str, Any] = {
    "connector": "odoo",
    "object": "sale.order",
    "columns": {
        "erp_order_no": "name",
        "order_no": {"from": ["client_order_ref", "origin"], "pattern": r"(O\d+)"},
        "customer_code": "partner_id.ref",
        "state": {
            "from": "state",
            "values": {
                "draft": "draft",
                "sent": "draft",
                "sale": "confirmed",
                "cancel": "cancelled",
            },
        },
        "ordered_at": "date_order",
        "created_at": "create_date",
        "created_by": "create_uid.name",
        "updated_at": "write_date",
        "amount_fen": {"from": "amount_total", "unit": "yuan"},
        "currency": {"from": "currency_id.name", "values": {"CNY": "CNY"}},
        "transaction_id": [
            "transaction_ids.0.provider_reference",
            "transaction_ids.0.acquirer_reference",
        ],
    },
}
SHIPMENTS: dict[str, Any] = {
    "connector": "odoo",
    "object": "stock.picking",
    "columns": {
        "shipment_no": "name",
        "erp_order_no": "sale_id.name",
        "state": {"from": "state", "values": {"assigned": "waiting", "done": "shipped"}},
        "shipped_at": "date_done",
        "created_at": "create_date",
        "tracking_no": ["carrier_tracking_ref", "name"],
    },
}
ORDERED = datetime(2026, 10, 1, 2, tzinfo=UTC)
WHOLE = "%Y-%m-%d %H:%M:%S"
SAVED = datetime(2026, 10, 3, 6, 30, 15, 123456, tzinfo=UTC)


def refuse_connection() -> httpx.Response:
    raise httpx.ConnectError("connection refused")


def cut_reply() -> httpx.Response:
    return httpx.Response(200, content=b'{"jsonrpc": "2.0", "result": [{"id"')


def gateway_timeout() -> httpx.Response:
    return httpx.Response(504, text="Gateway Timeout")


def stocked(server: OdooServer) -> OdooServer:
    """The server with what every order refers to."""
    server.commit(ORDERED, "res.currency", {"name": "CNY"}, {"name": "USD"})
    server.commit(ORDERED, "res.company", {"name": "店", "currency_id": 1})
    server.commit(ORDERED, "res.users", {"name": "OdooBot", "login": "__system__"})
    server.commit(ORDERED, "res.partner", {"name": "王小明", "ref": "C7"})
    field = "acquirer_reference" if server.version < 16 else "provider_reference"
    server.commit(ORDERED, "payment.transaction", {field: "4200001"})
    return server


def order(number: int, **more: Any) -> dict[str, Any]:
    day = ORDERED + timedelta(days=(number - 1) % 3)
    return {
        "name": f"S{number}", "client_order_ref": f"小程序 O{number}", "state": "sale",
        "date_order": f"{day:{WHOLE}}", "amount_total": 199.9, "currency_id": 1,
        "company_id": 1, "partner_id": 1,
    } | more  # fmt: skip


def open_table(
    folder: Path,
    server: OdooServer,
    settings: Mapping[str, Any] = ORDERS,
    *,
    table: str = "erp_orders",
    waited: list[float] | None = None,
    key: str = KEY,
    **connection: Any,
) -> OdooRecords:
    company = connected(folder, CONNECTION | connection, {table: settings}, {"ODOO_KEY": key})
    return open_at(company, table, server, waited)


def open_at(
    company: Company, table: str, server: OdooServer, waited: list[float] | None = None
) -> OdooRecords:
    return OdooRecords(
        TABLES[table],
        company.sources.tables[table],
        company.sources.connections["erp"],
        company,
        wire=still_wire(server.transport(), waited),
    )


def column(extracts: list[Extract], name: str) -> list[Any]:
    return [value for extract in extracts for value in extract.rows.column(name).to_pylist()]


def test_the_company_folder_opens_it(tmp_path: Path) -> None:
    source = open_source(
        "erp_orders", connected(tmp_path, CONNECTION, {"erp_orders": ORDERS}, SECRETS)
    )
    assert isinstance(source, OdooRecords)


@pytest.mark.parametrize("version", [14, 15, 16, 18, 19])
def test_every_table_of_the_page_finds_its_fields(tmp_path: Path, version: int) -> None:
    company = company_of_page(tmp_path, "odoo", SECRETS)
    server = stocked(OdooServer(version=version))
    assert len(company.sources.tables) == 8
    for table in company.sources.tables:
        assert "fields read" in open_at(company, table, server).probe()


def test_a_word_that_no_state_of_ours_is_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        company_of_page(tmp_path, "odoo", SECRETS, **{"sale: confirmed": "sale: konfirmed"})
    assert len(error.value.mistakes) == 1
    assert "found 'konfirmed'" in error.value.mistakes[0]


@pytest.mark.parametrize("version", [13, 15, 16, 18, 19])
def test_orders_land_on_their_shanghai_day_to_the_fen(tmp_path: Path, version: int) -> None:
    server = stocked(OdooServer(version=version))
    server.commit(
        ORDERED,
        "sale.order",
        order(1, transaction_ids=[1], amount_total=0.1 + 0.2),
        order(2, client_order_ref=None, origin="O2", partner_id=None),
        order(3, date_order="2026-10-01 15:59:59"),
        order(4, date_order="2026-10-01 16:00:00"),
    )
    source = open_table(tmp_path, server)
    extracts = list(source.extract(DAYS))
    assert [extract.rows.column("erp_order_no").to_pylist() for extract in extracts] == [
        ["S1", "S3"], ["S2", "S4"], [],
    ]  # fmt: skip
    assert column(extracts, "amount_fen") == [30, 19990, 19990, 19990]
    assert column(extracts, "order_no") == ["O1", "O3", "O2", "O4"]
    assert column(extracts, "customer_code") == ["C7", "C7", None, "C7"]
    assert column(extracts, "transaction_id") == ["4200001", None, None, None]
    assert column(extracts, "created_by") == ["OdooBot"] * 4
    assert not any(extract.rejected for extract in extracts)


def test_what_odoo_calls_false_lands_as_nothing_and_names_never_land(tmp_path: Path) -> None:
    server = stocked(OdooServer())
    server.commit(ORDERED, "sale.order", order(1, client_order_ref=None))
    source = open_table(tmp_path, server)
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    batch = landing.land(source.table, next(iter(source.extract(DAYS[:1]))), connector="odoo")
    assert batch.rows == 1
    assert batch.quarantined == 0
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*.parquet"))
    assert "王小明".encode() not in written
    assert b"False" not in written


def test_orders_of_one_transaction_are_each_read_once_however_small_the_page(
    tmp_path: Path,
) -> None:
    server = stocked(OdooServer())
    server.commit(SAVED, "sale.order", *(order(number) for number in range(1, 26)))
    source = open_table(tmp_path, server, ORDERS | {"page_size": 4})
    assert len(set(column(list(source.extract(DAYS)), "erp_order_no"))) == 25
    # The last change time as replies show it lies before the one in the database.
    seen = SAVED.replace(microsecond=0)
    known = dict.fromkeys(DAYS, "")
    assert source.changed_days(seen, known) == set(DAYS)
    assert source.changed_days(seen + timedelta(minutes=11), known) == set()


def test_a_change_committed_ten_minutes_late_is_found(tmp_path: Path) -> None:
    server = stocked(OdooServer())
    (number, _) = server.commit(ORDERED, "sale.order", order(1), order(2))
    landed_at = SAVED + timedelta(minutes=9)
    server.commit(SAVED, "sale.order", {"id": number, "state": "cancel"})
    source = open_table(tmp_path, server)
    assert source.changed_days(landed_at, dict.fromkeys(DAYS, "")) == {DAYS[0]}


def test_what_is_written_while_pages_are_read_neither_repeats_nor_hides_a_record(
    tmp_path: Path,
) -> None:
    server = stocked(OdooServer())
    numbers = server.commit(ORDERED, "sale.order", *(order(3 * n + 1) for n in range(9)))

    def write() -> None:
        server.commit(NOW, "sale.order", {"id": numbers[0], "state": "cancel"})

    server.on_page = write
    source = open_table(tmp_path, server, ORDERS | {"page_size": 2})
    assert len(column(list(source.extract(DAYS[:1])), "erp_order_no")) == 9


def test_a_record_deleted_between_search_and_read_ends_no_reading(tmp_path: Path) -> None:
    @dataclass
    class Leaky(OdooServer):
        lost: list[int] = field(default_factory=list)

        def _search_read(self, model: str, named: Mapping[str, Any]) -> list[dict[str, Any]]:
            found = super()._search_read(model, named)
            if model == "sale.order" and not self.lost:
                self.lost.append(found.pop()["id"])
            return found

    server = stocked(Leaky())
    server.commit(ORDERED, "sale.order", *(order(3 * n + 1) for n in range(7)))
    source = open_table(tmp_path, server, ORDERS | {"page_size": 3})
    assert len(column(list(source.extract(DAYS[:1])), "erp_order_no")) == 7
    assert server.lost == [3]


def test_a_record_without_a_date_and_all_that_is_older_belong_to_the_first_day(
    tmp_path: Path,
) -> None:
    server = stocked(OdooServer())
    server.commit(
        ORDERED,
        "sale.order",
        order(1, date_order="2025-01-01 00:00:00"),
        order(2),
    )
    server.commit(ORDERED, "sale.order", order(3, date_order=None))
    extracts = list(open_table(tmp_path, server).extract(DAYS[:1]))
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    batch = landing.land(TABLES["erp_orders"], extracts[0], connector="odoo")
    assert column(extracts, "erp_order_no") == ["S1", "S3"]
    assert [row.reason for row in landing.rejected(batch)] == [
        "ordered_at: found nothing, allowed: an ISO 8601 instant"
    ]


def test_an_order_in_another_currency_is_set_aside_and_not_taken_for_yuan(tmp_path: Path) -> None:
    server = stocked(OdooServer())
    server.commit(ORDERED, "sale.order", order(1, currency_id=2), order(4))
    (extract,) = open_table(tmp_path, server).extract(DAYS[:1])
    assert extract.rows.column("erp_order_no").to_pylist() == ["S4"]
    assert [row.reason for row in extract.rejected] == [
        "currency: found 'USD' in currency_id.name, allowed: CNY"
    ]


def test_only_the_companies_asked_for_are_read(tmp_path: Path) -> None:
    server = stocked(OdooServer())
    server.commit(ORDERED, "res.company", {"name": "另一家", "currency_id": 1})
    server.commit(ORDERED, "sale.order", order(1), order(4, company_id=2), order(7, state="draft"))
    where = ["|", ["state", "=", "sale"], ["state", "=", "cancel"]]
    by_domain = open_table(tmp_path, server, ORDERS | {"where": [["company_id", "=", 2], *where]})
    assert column(list(by_domain.extract(DAYS[:1])), "erp_order_no") == ["S4"]
    by_context = open_table(tmp_path, server, ORDERS | {"where": where}, company_ids=[1])
    assert column(list(by_context.extract(DAYS[:1])), "erp_order_no") == ["S1"]


@pytest.mark.parametrize("where", ["state = sale", [["state", "="]], [1], [[["a"], "=", 1]]])
def test_a_where_that_is_no_domain_is_refused(tmp_path: Path, where: Any) -> None:
    source = open_table(tmp_path, stocked(OdooServer()), ORDERS | {"where": where})
    with pytest.raises(ConfigurationError, match=r"erp_orders.where: found no domain"):
        list(source.extract(DAYS))


def test_a_field_that_this_odoo_lacks_is_passed_over_where_a_list_names_another(
    tmp_path: Path,
) -> None:
    server = stocked(OdooServer(without={"stock.picking": frozenset({"carrier_tracking_ref"})}))
    server.commit(ORDERED, "sale.order", order(1))
    server.commit(ORDERED, "stock.picking", {"name": "OUT/1", "state": "done", "sale_id": 1})
    source = open_table(tmp_path, server, SHIPMENTS, table="erp_shipments")
    extracts = list(source.extract(DAYS))
    assert column(extracts, "tracking_no") == ["OUT/1"]
    assert column(extracts, "erp_order_no") == ["S1"]
    assert column(extracts, "shipped_at") == [None]


@pytest.mark.parametrize(
    ("column_name", "written", "lacking", "near"),
    [
        ("tracking_no", ["carrier_ref", "tracking"], "'carrier_ref', 'tracking'", "create"),
        ("tracking_no", "carrier_tracking", "'carrier_tracking'", "carrier_tracking_ref"),
        ("erp_order_no", "sale_id.nam", "'sale_id.nam'", "sale_id.name"),
        ("erp_order_no", "sale_id.partner_id.reff", "'sale_id.partner_id.reff'",
         "sale_id.partner_id.ref"),
        ("erp_order_no", "name.id", "'name.id'", "name"),
    ],
)  # fmt: skip
def test_a_field_that_is_not_there_is_named_with_those_most_like_it(
    tmp_path: Path, column_name: str, written: Any, lacking: str, near: str
) -> None:
    columns = SHIPMENTS["columns"] | {column_name: written}
    source = open_table(
        tmp_path, stocked(OdooServer()), SHIPMENTS | {"columns": columns}, table="erp_shipments"
    )
    with pytest.raises(PermanentSourceError) as error:
        source.probe()
    assert f"found no column {lacking}" in error.value.message
    assert near in error.value.message.partition("allowed: ")[2]


def test_the_probe_tells_how_many_fields_it_read(tmp_path: Path) -> None:
    server = stocked(OdooServer())
    server.commit(ORDERED, "sale.order", order(3))
    told = open_table(tmp_path, server).probe()
    assert told == "sale.order at http://127.0.0.1:8069: 13 fields read, 1 of 2026-10-03"


def test_lost_opportunities_are_read_though_odoo_archives_them(tmp_path: Path) -> None:
    settings = {
        "connector": "odoo",
        "object": "crm.lead",
        "columns": {
            "opportunity_no": "id",
            "state": {
                "from": [
                    {"field": "active", "values": {"false": "lost"}},
                    {"field": "stage_id.name", "values": {"新建": "new", "赢单": "won"}},
                ]
            },
            "created_at": "create_date",
            "updated_at": "write_date",
        },
    }
    server = stocked(OdooServer())
    server.commit(ORDERED, "crm.stage", {"name": "New", "name@zh_CN": "新建"}, {"name": "谈判"})
    server.commit(
        ORDERED, "crm.lead", {"active": False, "stage_id": 2}, {"stage_id": 1}, {"stage_id": 2}
    )
    extracts = list(
        open_table(tmp_path, server, settings, table="crm_opportunities", language="zh_CN").extract(
            DAYS
        )
    )
    assert column(extracts, "state") == ["lost", "new"]
    assert [row.reason for extract in extracts for row in extract.rejected] == [
        "state: found 'true/谈判' in active or stage_id.name, allowed: false in active; "
        "新建, 赢单 in stage_id.name"
    ]


def test_a_wrong_password_is_refused_at_once_and_shows_no_secret(
    tmp_path: Path,
) -> None:
    server, waited = stocked(OdooServer()), []
    with pytest.raises(PermanentSourceError, match="does not know this user") as error:
        open_table(tmp_path, server, waited=waited, key="wrong-password").probe()
    assert "wrong-password" not in str(error.value)
    assert (server.logins, waited) == (1, [])


@pytest.mark.parametrize("version", [15, 19])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"connection": {"database": "shap"}}, "atabase"),
        ({"settings": {"object": "sale.ordre"}}, "sale.ordre"),
        ({"settings": {"where": [["stat", "=", "sale"]]}}, "stat"),
        ({"forbidden": frozenset({"sale.order"})}, "not allowed to access"),
    ],
)
def test_what_cannot_get_better_is_told_at_once(
    tmp_path: Path, version: int, changed: Mapping[str, Any], said: str
) -> None:
    forbidden = changed.get("forbidden", frozenset())
    server, waited = stocked(OdooServer(version=version, forbidden=forbidden)), []
    server.commit(ORDERED, "sale.order", order(1))
    source = open_table(
        tmp_path, server, ORDERS | changed.get("settings", {}), waited=waited,
        **changed.get("connection", {}),
    )  # fmt: skip
    with pytest.raises(PermanentSourceError) as error:
        list(source.extract(DAYS))
    assert said in error.value.message
    assert KEY not in str(error.value)
    assert "Traceback" not in str(error.value)
    assert error.value.next_step
    assert waited == []


@pytest.mark.parametrize("version", [15, 19])
def test_a_transaction_in_the_way_is_waited_out(tmp_path: Path, version: int) -> None:
    server, waited = stocked(OdooServer(version=version, busy_calls=2)), []
    server.commit(ORDERED, "sale.order", order(1))
    source = open_table(tmp_path, server, waited=waited)
    assert column(list(source.extract(DAYS)), "erp_order_no") == ["S1"]
    assert len(waited) == 2
    server.busy_calls = 99
    with pytest.raises(TransientSourceError, match="SerializationFailure"):
        list(source.extract(DAYS))


def test_json2_is_spoken_where_it_can_be_unless_the_company_says_otherwise(
    tmp_path: Path,
) -> None:
    new = stocked(OdooServer(version=19))
    new.commit(ORDERED, "sale.order", order(1))
    assert column(list(open_table(tmp_path, new).extract(DAYS)), "erp_order_no") == ["S1"]
    assert new.logins == 0
    assert list(open_table(tmp_path, new, protocol="jsonrpc").extract(DAYS))
    assert new.logins == 1
    without = stocked(OdooServer(version=22, has_jsonrpc=False))
    without.commit(ORDERED, "sale.order", order(1))
    assert column(list(open_table(tmp_path, without).extract(DAYS)), "erp_order_no") == ["S1"]


def test_a_key_that_json2_does_not_know_is_refused_at_once(
    tmp_path: Path,
) -> None:
    waited: list[float] = []
    source = open_table(tmp_path, stocked(OdooServer(version=19)), waited=waited, key="a-password")
    with pytest.raises(PermanentSourceError, match="Invalid apikey") as error:
        source.probe()
    assert "API keys only" in str(error.value)
    assert "a-password" not in str(error.value)
    assert waited == []


def test_json_rpc_without_a_user_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="lacks `user`"):
        open_table(tmp_path, stocked(OdooServer()), user=None).probe()


def test_a_page_that_is_not_odoo_is_told_as_such(tmp_path: Path) -> None:
    server = OdooServer(version=15, has_jsonrpc=False)
    with pytest.raises(PermanentSourceError, match="HTTP 404"):
        open_table(tmp_path, server).probe()


def test_a_day_that_is_not_over_is_complete_up_to_a_while_ago(tmp_path: Path) -> None:
    server = stocked(OdooServer())
    today = NOW.date()
    (extract,) = open_table(tmp_path, server).extract([today])
    assert extract.complete_until == NOW - timedelta(minutes=10)
    assert extract.complete_until > day_start(today)


@pytest.mark.parametrize("break_line", [refuse_connection, cut_reply, gateway_timeout])
def test_a_line_that_breaks_between_pages_lands_nothing_of_the_span(
    tmp_path: Path, break_line: Callable[[], httpx.Response]
) -> None:
    server, pages = stocked(OdooServer()), []

    def answer(request: httpx.Request) -> httpx.Response:
        is_page = b"search_read" in request.content and b"sale.order" in request.content
        pages.append(is_page)
        return break_line() if sum(pages) > 1 else server.answer(request)

    server.commit(ORDERED, "sale.order", *(order(number) for number in range(1, 10)))
    company = connected(tmp_path, CONNECTION, {"erp_orders": ORDERS | {"page_size": 4}}, SECRETS)
    source = OdooRecords(
        TABLES["erp_orders"],
        company.sources.tables["erp_orders"],
        company.sources.connections["erp"],
        company,
        wire=still_wire(httpx.MockTransport(answer)),
    )
    landed = []
    with pytest.raises((TransientSourceError, BrokenContentError)) as error:
        landed.extend(source.extract(DAYS))
    assert error.value.can_retry
    assert landed == []
    assert sum(pages) == 1 + TRIES


MOMENTS = st.timedeltas(timedelta(days=-30), timedelta(days=30)).map(ORDERED.__add__)


@given(MOMENTS, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=9)))
@example(ORDERED + timedelta(microseconds=2), ORDERED, timedelta(microseconds=3))
def test_a_window_leaves_out_no_record_that_lies_in_it(
    at: datetime, since: datetime, length: timedelta
) -> None:
    until = since + length
    domain = window(["date_order"], {"date_order": "datetime"}, since, until, with_undated=False)
    is_found = OdooServer()._holds("sale.order", {"date_order": f"{at:{WHOLE}}.{at:%f}"}, domain)
    assert is_found or not since <= at < until
    # No more than the seconds in which it begins and ends is found beside it.
    second = timedelta(seconds=1)
    assert not is_found or since - second < at < until + second


@pytest.mark.parametrize(
    ("row", "holds"),
    [
        ({"name": "S1", "state": "sale"}, True),
        ({"name": "S1", "state": "draft"}, False),
        ({"name": "S2", "state": "sale"}, False),
        ({"name": "S2", "state": "sale", "origin": "O2"}, True),
    ],
)
def test_one_of_several_domains_is_enough_but_then_all_of_its_terms(
    row: dict[str, Any], holds: bool
) -> None:
    both = [["name", "=", "S1"], ["state", "=", "sale"]]
    domain = any_of([both, [["origin", "=", "O2"]]])
    assert OdooServer()._holds("sale.order", row, domain) == holds


@given(st.dates(date(2026, 9, 1), date(2026, 11, 1)), st.integers(1, 40))
def test_a_calendar_day_belongs_to_the_window_of_its_shanghai_day(day: date, length: int) -> None:
    first, end = day_start(FIRST_DAY), day_start(FIRST_DAY + timedelta(days=length))
    domain = window(["date"], {"date": "date"}, first, end, with_undated=False)
    is_found = OdooServer()._holds("account.payment", {"date": day.isoformat()}, domain)
    assert is_found == (FIRST_DAY <= day < FIRST_DAY + timedelta(days=length))


def test_an_order_whose_line_alone_was_changed_makes_its_day_change(tmp_path: Path) -> None:
    server = stocked(OdooServer())
    (line,) = server.commit(ORDERED, "sale.order.line", {"order_id": 2, "price_total": 199.9})
    server.commit(ORDERED, "sale.order", order(1), order(2, order_line=[line]))
    source, known = open_table(tmp_path, server), dict.fromkeys(DAYS, "")
    later = ORDERED + timedelta(days=2)
    assert source.changed_days(later, known) == set()
    server.commit(later, "sale.order.line", {"id": line, "price_total": 99.9})
    assert source.changed_days(later, known) == {DAYS[1]}


def test_records_are_counted_by_their_dates_so_that_a_deleted_or_moved_one_is_missed(
    tmp_path: Path,
) -> None:
    server = stocked(OdooServer())
    server.commit(ORDERED, "sale.order", *map(order, range(1, 8)))
    source = open_table(tmp_path, server, ORDERS | {"page_size": 2})
    assert source.counts(DAYS) == {DAYS[1]: 2, DAYS[2]: 2}
    assert server.calls[-1][2]["fields"] == ["id", "date_order"]
    server.delete("sale.order", 7)
    server.commit(SAVED, "sale.order", order(1, id=1, date_order=f"{ORDERED:{WHOLE}}"))
    server.commit(SAVED, "sale.order", {"id": 4, "date_order": "2026-10-02 02:00:00"})
    assert source.counts(DAYS) == {DAYS[1]: 3, DAYS[2]: 2}
