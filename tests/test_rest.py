"""A JSON API by configuration: every paging and access, half-open days, and mistakes by line."""

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.company.rest import Paging, TimeParameters
from pipeline.errors import (
    BrokenContentError,
    ConfigurationError,
    PermanentSourceError,
    TransientSourceError,
)
from pipeline.landed import TABLES
from pipeline.landing import Extract, day_end, day_start
from pipeline.sources.rest.paging import MOST_PAGES, Reply, Step, read_pages
from pipeline.sources.rest.source import RestRecords
from pipeline.sources.rest.times import time_parameters
from pipeline.sources.wire import Wire
from tests.connector_pages import write_company
from tests.rest_host import BASE, SECRET, RestHost, basic
from tests.turning_clock import TurningClock

DAYS = [date(2026, 10, 1) + timedelta(days=count) for count in range(3)]
NOW = datetime(2026, 10, 4, 2, tzinfo=UTC)
COLUMNS = """
      opportunity_no: id
      state: stage
      amount_fen: {from: amount, unit: yuan}
      created_at: created_at
      updated_at: updated_at
"""
SOURCES = """
connections:
  crm:
    base_url: {base}
    {access}
tables:
  crm_opportunities:
    connector: rest
    connection: crm
    object: {path}
    {more}
    columns: {columns}
"""
PAGED = {
    "bare": "paging: none",
    "boxed": "list_at: open_leads.open_leads\n    count_at: open_leads.leads_count\n"
    "    page_size: 10\n    paging: {kind: offset, parameter: offset, size_parameter: limit}",
    "numbered": "list_at: data\n    paging: {kind: page, parameter: page}",
    "tokens": "list_at: data\n    paging: {kind: cursor, parameter: after, next_at: next_token}",
    "linked/": "list_at: results\n    paging: {kind: link, next_at: next}\n"
    "    parameters: {kind: lead}",
    "headed": "paging: link",
}


@pytest.fixture
def host() -> RestHost:
    return RestHost([record(count) for count in range(10)])


@pytest.fixture
def clock() -> TurningClock:
    return TurningClock(NOW)


def record(number: int, **changed: Any) -> dict[str, Any]:
    """Three a day from the first on, an hour after its start in Beijing, changed a day later."""
    at = day_start(DAYS[0]) + timedelta(hours=1 + 8 * number)
    return {
        "id": number, "stage": "OPEN", "amount": 0.1 + number, "created_at": at.isoformat(),
        "updated_at": (at + timedelta(days=1)).isoformat(),
    } | changed  # fmt: skip


def open_list(
    folder: Path,
    host: Any,
    clock: TurningClock,
    path: str = "bare",
    more: str | None = None,
    *,
    access: str = "auth: none",
    secret: str = SECRET,
    columns: str = COLUMNS,
) -> RestRecords:
    sources = SOURCES.format(
        base=BASE, access=access, path=path, columns=columns,
        more=PAGED[path] if more is None else more,
    )  # fmt: skip
    company = write_company(folder / "company", sources, secrets={"CRM_TOKEN": secret})
    wire = Wire(transport=httpx.MockTransport(host), sleep=clock.sleep, now=clock.now)
    return RestRecords(
        TABLES["crm_opportunities"],
        company.sources.tables["crm_opportunities"],
        company.sources.connections["crm"],
        company,
        wire=wire,
    )


def numbers(extracts: Iterator[Extract]) -> list[list[str]]:
    return [extract.rows.column("opportunity_no").to_pylist() for extract in extracts]


OF_DAYS = [["0", "1", "2"], ["3", "4", "5"], ["6", "7", "8"]]


@pytest.mark.parametrize("path", list(PAGED))
def test_every_paging_gives_every_record_once(
    tmp_path: Path, host: RestHost, clock: TurningClock, path: str
) -> None:
    assert numbers(open_list(tmp_path, host, clock, path).extract(DAYS)) == OF_DAYS


def test_a_page_shorter_than_asked_for_does_not_end_the_list(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    list(open_list(tmp_path, host, clock, "boxed").extract(DAYS))
    assert [request.url.params["offset"] for request in host.requests] == ["0", "4", "8"]


def test_a_next_address_keeps_what_the_api_wrote_into_it(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    list(open_list(tmp_path, host, clock, "linked/").extract(DAYS))
    assert [request.url.params.get("kind") for request in host.requests] == ["lead"] * 3


def test_amounts_arrive_to_the_fen(tmp_path: Path, host: RestHost, clock: TurningClock) -> None:
    first, *_ = open_list(tmp_path, host, clock).extract(DAYS)
    assert first.rows.column("amount_fen").to_pylist() == [10, 110, 210]


@pytest.mark.parametrize(
    ("access", "header"),
    [
        ("auth: {kind: bearer, secret_env: CRM_TOKEN}", f"Bearer {SECRET}"),
        ("auth: {kind: basic, user: reader, secret_env: CRM_TOKEN}", basic("reader", SECRET)),
        (
            "auth: {kind: header, name: Authorization, scheme: token, secret_env: CRM_TOKEN}",
            f"token {SECRET}",
        ),
    ],
)
def test_headers_let_in_and_refusals_do_not_tell_them(
    tmp_path: Path, host: RestHost, clock: TurningClock, access: str, header: str
) -> None:
    host.lets_in = lambda request: request.headers.get("Authorization") == header
    assert numbers(open_list(tmp_path, host, clock, access=access).extract(DAYS)) == OF_DAYS
    host.lets_in = lambda request: False
    with pytest.raises(PermanentSourceError, match=r"HTTP 401.*no .*\*\*\*") as told:
        open_list(tmp_path, host, clock, access=access).probe()
    assert SECRET not in str(told.value)
    assert header.split()[-1] not in str(told.value)


def test_a_query_parameter_lets_in_on_every_page(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    host.lets_in = lambda request: request.url.params.get("key") == SECRET
    access = "auth: {kind: query, name: key, secret_env: CRM_TOKEN}"
    source = open_list(tmp_path, host, clock, "linked/", access=access)
    assert numbers(source.extract(DAYS)) == OF_DAYS


def test_headers_of_the_connection_go_along(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    host.lets_in = lambda request: request.headers.get("X-Org") == "7"
    source = open_list(tmp_path, host, clock, access="headers: {X-Org: 7}")
    assert numbers(source.extract(DAYS)) == OF_DAYS


def test_a_secret_that_no_header_can_carry_is_refused_untold(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    access = "auth: {kind: bearer, secret_env: CRM_TOKEN}"
    with pytest.raises(ConfigurationError, match=r"CRM_TOKEN bears characters") as told:
        open_list(tmp_path, host, clock, access=access, secret="秘密\n").probe()
    assert "秘密" not in str(told.value)


BY_DAY = "asked_by: {day: {since: created_from, until: created_to}}\n    time_zone: UTC"
BY_CHANGE = "asked_by: {change: changed_from}\n    time_zone: UTC"


def test_days_are_asked_for_half_open(tmp_path: Path, host: RestHost, clock: TurningClock) -> None:
    source = open_list(tmp_path, host, clock, more=BY_DAY)
    assert numbers(source.extract(DAYS[1:2])) == OF_DAYS[1:2]
    assert dict(host.requests[0].url.params) == {
        "created_from": day_start(DAYS[1]).isoformat(), "created_to": day_end(DAYS[1]).isoformat(),
    }  # fmt: skip


def test_changes_alone_give_days_too_and_their_names(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    source = open_list(tmp_path, host, clock, more=BY_CHANGE)
    assert numbers(source.extract([DAYS[0], DAYS[2]])) == [OF_DAYS[0], OF_DAYS[2]]
    assert len(host.requests) == 1
    since = day_start(DAYS[2]) + timedelta(hours=12)
    assert source.changed_days(since, dict.fromkeys(DAYS, "")) == {DAYS[1], DAYS[2]}


def test_a_list_that_tells_no_changes_is_taken_again_whole_in_one_reading(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    source = open_list(tmp_path, host, clock)
    known = {DAYS[0] + timedelta(days=count): "" for count in range(90)}
    assert source.changed_days(NOW, known) == set(known)
    list(source.extract(sorted(known)))
    assert len(host.requests) == 1


def test_days_alone_tell_no_changes(tmp_path: Path, host: RestHost, clock: TurningClock) -> None:
    source = open_list(tmp_path, host, clock, more=BY_DAY)
    assert source.changed_days(NOW, dict.fromkeys(DAYS, "")) == set()


@pytest.mark.parametrize("comes", [True, False])
def test_a_count_that_does_not_tie_lands_nothing(
    tmp_path: Path, host: RestHost, clock: TurningClock, comes: bool
) -> None:
    def move(count: int) -> None:
        """Before each second page, a record comes or goes in front: those behind it move."""
        if count % 3 == 1:
            host.records = [record(20 + count), *host.records] if comes else host.records[1:]

    host.before_answer = move
    with pytest.raises(TransientSourceError, match=r"it changes while it is read"):
        list(open_list(tmp_path, host, clock, "boxed").extract(DAYS))


def test_nested_lists_unfold(tmp_path: Path, clock: TurningClock) -> None:
    host = RestHost([record(0, deals=[{"no": "a"}, {"no": "b"}])])
    columns = COLUMNS.replace("opportunity_no: id", "opportunity_no: deals.no")
    source = open_list(tmp_path, host, clock, more="each: deals", columns=columns)
    assert numbers(source.extract(DAYS[:1])) == [["a", "b"]]


OF_STAGES = "parent: {object: stages, list_at: data, count_at: count}"


def test_lists_of_the_records_of_another_list_are_read_with_what_stands_above_them(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    host.records[4] |= {"stage": "WON"}
    columns = COLUMNS + "      business_line: parent.area\n"
    source = open_list(tmp_path, host, clock, "stages/{name}/deals", OF_STAGES, columns=columns)
    extracts = list(source.extract(DAYS))
    assert [sorted(of_day) for of_day in numbers(iter(extracts))] == OF_DAYS
    assert set(extracts[1].rows.column("business_line").to_pylist()) == {"北"}
    assert len(host.requests) == 3


def test_a_field_that_the_records_above_lack_is_told(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    with pytest.raises(PermanentSourceError, match=r"a record of the list above without key"):
        open_list(tmp_path, host, clock, "stages/{key}/deals", OF_STAGES).probe()


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("deaf", "list_at: data\n    paging: {kind: page, parameter: page}"),
        ("deaf", "list_at: data\n    paging: {kind: offset, parameter: offset}"),
        (
            "circle",
            "list_at: data\n    paging: {kind: cursor, parameter: after, next_at: next_token}",
        ),
    ],
)
def test_a_paging_that_repeats_itself_is_told(
    tmp_path: Path, host: RestHost, clock: TurningClock, path: str, more: str
) -> None:
    with pytest.raises(PermanentSourceError, match=r"page \d .*does not page by"):
        list(open_list(tmp_path, host, clock, path, more).extract(DAYS))
    assert len(host.requests) < 6


def test_a_paging_that_never_ends_is_told() -> None:
    tokens = itertools.count()

    def get(step: Step) -> Reply:
        return Reply([], following=str(next(tokens)))

    paging = Paging(kind="cursor", parameter="after", next_at="next")
    with pytest.raises(PermanentSourceError, match=rf"page {MOST_PAGES + 1} "):
        list(read_pages(paging, None, get, "deals"))


def test_a_next_page_on_another_host_is_not_asked_for(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    more = "list_at: results\n    paging: {kind: link, next_at: next}"
    with pytest.raises(PermanentSourceError, match=r"stands at https://evil\.example"):
        list(open_list(tmp_path, host, clock, "elsewhere", more).extract(DAYS))
    assert {request.url.host for request in host.requests} == {"crm.example"}


def test_a_place_that_is_not_in_the_reply_is_named_with_its_nearest(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    more = PAGED["boxed"].replace("open_leads.open_leads", "open_leads.open_lead")
    with pytest.raises(PermanentSourceError, match=r"no 'open_lead' .*did you mean 'open_leads'"):
        open_list(tmp_path, host, clock, "boxed", more).probe()


def test_a_first_page_without_the_next_token_leaves_a_mark(
    tmp_path: Path, host: RestHost, clock: TurningClock, caplog: pytest.LogCaptureFixture
) -> None:
    more = PAGED["tokens"].replace("next_token", "nextToken")
    open_list(tmp_path, host, clock, "tokens", more).probe()
    assert "the first page has no 'nextToken', so it is read as the only one" in caplog.text


def test_what_is_no_list_of_objects_is_told(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    with pytest.raises(BrokenContentError, match=r"found dict as the reply, allowed: a list"):
        open_list(tmp_path, host, clock, "numbered", "parameters: {page: 1}").probe()


def test_a_path_that_is_not_there_is_told_at_once(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    with pytest.raises(PermanentSourceError, match=r"deals at https://crm.example/api: HTTP 404"):
        open_list(tmp_path, host, clock, "deals", "").probe()
    assert len(host.requests) == 1


def test_a_probe_tells_the_fields_that_no_record_bears(
    tmp_path: Path, host: RestHost, clock: TurningClock
) -> None:
    for of in host.records:
        of["amount"] = None
    assert open_list(tmp_path, host, clock).probe() == (
        "bare at https://crm.example/api: 10 records on the first page; none of them has amount"
    )


INSTANTS = st.integers(1_700_000_000_000_000, 1_900_000_000_000_000).map(
    lambda count: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=count)
)


@given(
    INSTANTS, INSTANTS, INSTANTS,
    st.sampled_from(["iso", "date", "datetime", "seconds", "milliseconds"]),
    st.booleans(), st.booleans(), st.sampled_from(["UTC", "Asia/Shanghai"]),
)  # fmt: skip
def test_no_instant_of_the_span_is_left_out_whatever_the_api_counts(
    one: datetime, other: datetime, third: datetime, kind: Any,
    excludes_since: bool, includes_until: bool, zone: str,
) -> None:  # fmt: skip
    since, until, instant = *sorted((one, other)), third
    of = TimeParameters(
        since="a", until="b", format=kind,
        excludes_since=excludes_since, includes_until=includes_until,
    )  # fmt: skip
    told = time_parameters(of, since, until, zone)
    start, end = (_read(told[name], kind, zone) for name in "ab")
    if kind == "date":
        start, end = (bound + timedelta(days=1 if counts else 0) for bound, counts in
                      ((start, excludes_since), (end, includes_until)))  # fmt: skip
        is_given = start <= instant < end
    else:
        is_given = (instant > start if excludes_since else instant >= start) and (
            instant <= end if includes_until else instant < end
        )
    assert is_given or not since <= instant < until


def _read(text: str, kind: str, zone: str) -> datetime:
    """A parameter as an API would read it."""
    if kind in ("seconds", "milliseconds"):
        thousandths = int(text) * (1 if kind == "milliseconds" else 1000)
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=thousandths)
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("written", "wrong", "said"),
    [
        ("auth: none", "auth: {kind: barer}", r"sources.yml:5: .*auth.kind: .*bearer"),
        ("auth: none", "auth: {kind: basic, user: x}", r"sources.yml:5: .*needs secret_env"),
        (
            "auth: none", "auth: {kind: bearer, secret_env: X, name: y}",
            r"sources.yml:5: .*does not read name",
        ),
        ("paging: none", "paging: {kind: page}", r"sources.yml:11: .*paging: .*needs parameter"),
        (
            "paging: none", "paging: {kind: link, parameter: p}",
            r"sources.yml:11: .*does not read parameter, allowed: kind, next_at, size_parameter",
        ),
        ("paging: none", "paging: {kind: pages}", r"sources.yml:11: .*did you mean 'page'"),
        ("paging: none", "page_size: 50", r"both page_size and paging.size_parameter"),
        ("paging: none", "asked_by: {day: created}", r"sources.yml:11: .*`day` without `until`"),
        ("paging: none", "parent: {list_at: data}", r"sources.yml:11: .*parent.object: missing"),
        (
            "paging: none",
            "parent: {object: a, page_size: 5}",
            r"sources.yml:11: .*parent: .*both page_size and paging.size_parameter",
        ),
        ("paging: none", "pagging: none", r"sources.yml:11: .*did you mean 'paging'"),
        ("object: bare", "object: https://evil.example/x", r"a path below base_url"),
        ("object: bare", "page_size: 3", r"missing object, which connector 'rest' needs|both"),
        ("base_url:", "url:", r"missing base_url, which connector 'rest' needs"),
    ],
)  # fmt: skip
def test_mistakes_name_their_line_and_what_is_allowed(
    tmp_path: Path, written: str, wrong: str, said: str
) -> None:
    sources = SOURCES.format(
        base=BASE, access="auth: none", path="bare", columns=COLUMNS, more="paging: none"
    )
    assert written in sources
    with pytest.raises(ConfigurationError, match=said):
        write_company(tmp_path / "company", sources.replace(written, wrong), secrets={})
