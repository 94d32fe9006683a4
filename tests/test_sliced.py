"""Whatever changes while windows and pages are read: no record is missed, none lands twice."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.landed import TABLES
from pipeline.landing import SHANGHAI
from pipeline.sources.jushuitan.source import JushuitanRecords
from pipeline.sources.sliced import ChangeList, local_text
from pipeline.sources.wire import Wire
from tests.connector_pages import example as page_example
from tests.connector_pages import write_company
from tests.jushuitan_host import APP_SECRET, JushuitanHost
from tests.turning_clock import TurningClock

PATH = "/open/orders/single/query"
NOW = datetime(2026, 10, 4, 2, tzinfo=UTC)
DAYS = [date(2026, 10, 1) + timedelta(days=count) for count in range(3)]
FIRST = datetime(2026, 10, 1, tzinfo=SHANGHAI)


class SmallPages(JushuitanRecords):
    """The same lists, with windows and pages so small that few orders fill many."""

    @property
    def _lists(self) -> Sequence[ChangeList]:
        (listed,) = super()._lists
        return (replace(listed, page_size=3, longest=timedelta(hours=12)),)


@settings(max_examples=60, deadline=None)
@example(hours=[0] * 9, changed=[(2, 0)])
@example(hours=[0, 0, 12], changed=[(1, 2)])
@given(
    hours=st.lists(st.integers(0, 14), min_size=1, max_size=25),
    changed=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 24)), max_size=12),
)
def test_every_order_lands_once_whatever_changes_meanwhile(
    hours: list[int], changed: list[tuple[int, int]]
) -> None:
    clock = TurningClock(NOW)
    host = JushuitanHost(clock)
    host.lists[PATH] = [
        {
            "o_id": number, "so_id": f"SO{number}", "status": "WaitPay", "pay_amount": 1,
            "order_date": str(FIRST + timedelta(hours=hour))[:19],
            "modified": str(FIRST + timedelta(hours=hour))[:19],
        }
        for number, hour in enumerate(hours)
    ]  # fmt: skip
    # Each order at most once: what changes twice within a reading's last seconds may wait a run.
    once = {number: count for count, number in changed}

    def change(count: int) -> None:
        for number, at in once.items():
            if at == count and number < len(hours):
                host.lists[PATH][number] |= {
                    "status": "Sent", "modified": local_text(clock.at, SHANGHAI),
                }  # fmt: skip

    host.before_call = change
    with tempfile.TemporaryDirectory() as folder:
        secrets = {"JUSHUITAN_APP_SECRET": APP_SECRET}
        company = write_company(
            Path(folder) / "company", page_example("jushuitan"), secrets=secrets
        )
        source = SmallPages(
            TABLES["erp_orders"],
            company.sources.tables["erp_orders"],
            company.sources.connections["jushuitan"],
            company,
            wire=Wire(transport=httpx.MockTransport(host), sleep=clock.sleep, now=clock.now),
        )
        extracts = list(source.extract(DAYS))
    found = [number for extract in extracts for number in extract.rows["erp_order_no"].to_pylist()]
    assert sorted(found, key=int) == [str(number) for number in range(len(hours))]
