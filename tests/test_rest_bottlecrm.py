"""Connector `rest` on a real BottleCRM: what lands equals its database, to the fen, by the day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from pipeline.errors import PermanentSourceError, TransientSourceError
from pipeline.landed import TABLES
from pipeline.landing import SHANGHAI, Landing
from pipeline.sources import open_source
from pipeline.sources.rest.source import RestRecords
from pipeline.sources.wire import Wire
from tests.bottlecrm import HOME, VERSION, BottleCrm, running_bottlecrm
from tests.connector_pages import KEY, example, write_company
from tests.servers import PostgresServer

# What lands of each table, in BottleCRM's own words: the day in Shanghai, how many, how much.
CREATED = "to_char(created_at at time zone 'Asia/Shanghai', 'YYYY-MM-DD')"
TRUTHS = {
    "crm_contacts": f"select {CREATED}, count(*), 0 from lead"
    " where status not in ('closed', 'converted') group by 1",
    "crm_opportunities": f"select {CREATED}, count(*), (coalesce(sum(amount), 0) * 100)::bigint"
    " from opportunity group by 1",
    "erp_orders": "select issue_date, count(*), (sum(total_amount) * 100)::bigint from invoice"
    " group by 1",
    "erp_receipts": "select payment_date, count(*), (sum(amount) * 100)::bigint from payment"
    " group by 1",
}
CHANGE = """
from decimal import Decimal
from invoices.models import Invoice, Payment
from leads.models import Lead
from opportunity.models import Opportunity
deal = Opportunity.objects.order_by("id").first()
deal.amount = Decimal("1234567.89")
deal.save()
Lead.objects.exclude(status="closed").order_by("id").first().delete()
paid = Payment.objects.order_by("id").first()
Payment.objects.create(
    invoice=paid.invoice, org=paid.org, amount=Decimal("0.01"), payment_date=paid.payment_date,
    reference_number="4" + "2" * 27,
)
Invoice.objects.filter(pk=paid.invoice.pk).update(total_amount=Decimal("77777.77"))
"""


@pytest.fixture(scope="module")
def crm(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BottleCrm]:
    if not (HOME / f"ready-{VERSION}").exists():
        pytest.skip("BottleCRM is not installed; .ci/install-bottlecrm installs it")
    with running_bottlecrm(postgres, tmp_path_factory.mktemp("bottlecrm")) as crm:
        yield crm


def first_day(crm: BottleCrm) -> date:
    """A day with invoices before and after it."""
    return date.fromisoformat(
        crm.query("select percentile_disc(0.4) within group (order by issue_date) from invoice")[0][
            0
        ]
    )


def open_table(
    folder: Path, crm: BottleCrm, table: str, *, key: str = "", wire: Wire | None = None
) -> RestRecords:
    sources = example("rest").replace("https://crm.example.com", crm.address)
    company = write_company(
        folder / "company", sources,
        secrets={"BOTTLECRM_KEY": key or crm.key}, first_day=first_day(crm).isoformat(),
    )  # fmt: skip
    settings = company.sources.tables[table]
    connection = company.sources.connections["bottlecrm"]
    return RestRecords(TABLES[table], settings, connection, company, wire=wire or Wire())


def landed(folder: Path, crm: BottleCrm, table: str) -> dict[str, tuple[int, int]]:
    """Rows and fen of each day that the connector lands, days without rows left out."""
    source = open_table(folder, crm, table)
    first = first_day(crm)
    last = max(date.fromisoformat(day) for day, *_ in crm.query(TRUTHS[table]))
    last = max(last, datetime.now(UTC).astimezone(SHANGHAI).date(), first)
    days = [first + timedelta(days=count) for count in range((last - first).days + 1)]
    landing = Landing(folder / "landing", hash_key=KEY.encode())
    found = {}
    for batch in landing.land_all(source.table, source.extract(days), connector="rest"):
        assert batch.quarantined == 0
        if batch.rows:
            found[batch.day.isoformat()] = (batch.rows, batch.sums.get("amount_fen", 0))
    return found


def truth(crm: BottleCrm, table: str) -> dict[str, tuple[int, int]]:
    """The same by the database; what is older than the first day stands on it."""
    first = first_day(crm).isoformat()
    found: dict[str, tuple[int, int]] = {}
    for day, rows, fen in crm.query(TRUTHS[table]):
        known = found.get(max(day, first), (0, 0))
        found[max(day, first)] = (known[0] + int(rows), known[1] + int(fen))
    return found


def test_what_lands_equals_the_database_before_and_after_changes(
    tmp_path: Path, crm: BottleCrm
) -> None:
    before = {table: landed(tmp_path, crm, table) for table in TRUTHS}
    assert before == {table: truth(crm, table) for table in TRUTHS}
    assert min(sum(rows for rows, _ in days.values()) for days in before.values()) > 80
    crm.manage("shell", "-c", CHANGE)
    after = {table: landed(tmp_path, crm, table) for table in TRUTHS}
    assert after == {table: truth(crm, table) for table in TRUTHS}
    assert [table for table in TRUTHS if after[table] == before[table]] == []


def test_days_are_asked_for_and_not_more(tmp_path: Path, crm: BottleCrm) -> None:
    asked: list[httpx.URL] = []

    class Noting(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request.url)
            return super().handle_request(request)

    day = first_day(crm) + timedelta(days=1)
    wire = Wire(transport=Noting())
    list(open_table(tmp_path, crm, "erp_orders", wire=wire).extract([day]))
    told = dict(asked[0].params)
    assert (told["issue_date_gte"], told["issue_date_lte"]) == (day.isoformat(), day.isoformat())


def test_a_server_that_goes_between_two_pages_lands_nothing(tmp_path: Path, crm: BottleCrm) -> None:
    class Leaving(httpx.HTTPTransport):
        count = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            Leaving.count += 1
            if Leaving.count == 2:
                crm.stop()
            return super().handle_request(request)

    waits: list[float] = []
    wire = Wire(transport=Leaving(), sleep=waits.append)
    source = open_table(tmp_path, crm, "crm_opportunities", wire=wire)
    extracts = source.extract([first_day(crm)])
    try:
        with pytest.raises(TransientSourceError, match=r"opportunities/ at http://127.*ConnectErr"):
            next(extracts)
    finally:
        crm.start()
    assert len(waits) == 4
    assert landed(tmp_path, crm, "crm_opportunities") == truth(crm, "crm_opportunities")


def test_a_wrong_key_is_told_without_it(tmp_path: Path, crm: BottleCrm) -> None:
    source = open_table(tmp_path, crm, "crm_contacts", key="wr0ng-key")
    with pytest.raises(PermanentSourceError, match=r"leads/ at .*HTTP 40[13]") as told:
        source.probe()
    assert "wr0ng-key" not in str(told.value)


def test_the_probe_tells_what_it_found(tmp_path: Path, crm: BottleCrm) -> None:
    assert "50 records on the first page" in open_table(tmp_path, crm, "erp_orders").probe()


def test_every_table_of_the_page_opens_by_the_connectors_name(tmp_path: Path) -> None:
    company = write_company(tmp_path / "company", example("rest"), secrets={})
    for table in company.sources.tables:
        assert isinstance(open_source(table, company), RestRecords)
