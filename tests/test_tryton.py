"""Tryton's JSON-RPC as the connector speaks it: sessions, pages, and every way to be refused."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from pipeline.errors import (
    BrokenContentError,
    ConfigurationError,
    PermanentSourceError,
    TransientSourceError,
)
from pipeline.sources.wire import TRIES
from tests.tryton_replies import (
    ORDERS,
    PASSWORD,
    Script,
    error,
    in_turn,
    open_table,
    result,
    sale,
    server,
)

DAY = date(2026, 10, 1)
SEARCH = "model.sale.sale.search_read"


def read_orders(folder: Path, script: Script, **settings: object) -> list[dict[str, object]]:
    (extract,) = open_table(folder, script.wire, settings=ORDERS | settings).extract([DAY])
    rows: list[dict[str, object]] = extract.rows.to_pylist()
    return rows


def test_a_sale_is_read_with_its_exact_amount_and_the_fields_of_its_party(tmp_path: Path) -> None:
    (row,) = read_orders(tmp_path, server(sale(1)))
    assert row["amount_fen"] == 123456789010
    assert (row["erp_order_no"], row["customer_code"]) == ("S1", "7")
    assert row["updated_at"] == datetime(2026, 10, 1, 3, 0, 0, 1, tzinfo=UTC)


def test_a_sale_without_number_bears_the_name_that_tryton_refers_to_it_by(tmp_path: Path) -> None:
    (row,) = read_orders(tmp_path, server(sale(12, number=None, state="draft")))
    assert row["erp_order_no"] == "sale.sale,12"


def test_pages_go_on_after_the_last_id_until_an_empty_one(tmp_path: Path) -> None:
    script = server(*(sale(number) for number in (1, 2, 3, 5, 8)))
    assert len(read_orders(tmp_path, script, page_size=2)) == 5
    asked = script.named(SEARCH)
    assert [params[0][1] for params in asked] == [["id", ">", last] for last in (0, 2, 5, 8)]
    assert {tuple(map(tuple, params[3])) for params in asked} == {(("id", "ASC"),)}


def test_where_and_the_users_own_context_go_with_every_call(tmp_path: Path) -> None:
    script = server(sale(1))
    read_orders(tmp_path, script)
    for params in script.named(SEARCH):
        assert [["company", "=", 1]] in params[0][0]
        assert params[-1] == {"company": 1}


def test_a_session_that_has_ended_is_begun_anew_once(tmp_path: Path) -> None:
    script = server(sale(1))
    read = script.answers[SEARCH]
    refusals = [httpx.Response(401)]
    script.answers[SEARCH] = lambda params: refusals.pop() if refusals else read(params)
    assert len(read_orders(tmp_path, script)) == 1
    assert len(script.named("common.db.login")) == 2


def test_a_session_that_ends_at_once_is_not_begun_for_ever(tmp_path: Path) -> None:
    script = server(sale(1), **{SEARCH: lambda params: httpx.Response(401)})
    with pytest.raises(PermanentSourceError, match="401 to a session that has just begun"):
        read_orders(tmp_path, script)
    assert len(script.named("common.db.login")) == 2


def test_a_wrong_password_is_refused_and_never_told(tmp_path: Path) -> None:
    script = server(**{"common.db.login": lambda params: httpx.Response(401)})
    with pytest.raises(PermanentSourceError, match="password is wrong") as refused:
        read_orders(tmp_path, script)
    assert "TRYTON_PASSWORD" in refused.value.next_step
    assert PASSWORD not in str(refused.value)
    assert len(script.calls) == 1


def test_a_login_that_asks_for_more_cannot_be_answered(tmp_path: Path) -> None:
    asks = error("LoginException", ["sms_code", "Code", "char"])
    script = server(**{"common.db.login": lambda params: asks})
    with pytest.raises(PermanentSourceError, match="sms_code") as refused:
        read_orders(tmp_path, script)
    assert "password alone" in refused.value.next_step


def test_a_missing_right_is_told_in_trytons_words(tmp_path: Path) -> None:
    said = error("UserError", ["您无权访问", "“Sale”。", None])
    script = server(**{SEARCH: lambda params: said})
    with pytest.raises(PermanentSourceError, match="您无权访问") as refused:
        read_orders(tmp_path, script)
    assert "right to read" in refused.value.next_step


def test_of_an_error_in_tryton_only_its_words_are_told(tmp_path: Path) -> None:
    said = error("no such thing 13800138000", "Traceback: /srv/tryton/secret.py")
    script = server(**{SEARCH: lambda params: said})
    with pytest.raises(PermanentSourceError, match="no such thing") as refused:
        read_orders(tmp_path, script)
    assert "Traceback" not in str(refused.value)
    assert "13800138000" not in str(refused.value)


@pytest.mark.parametrize(
    "said",
    [
        error("ConcurrencyException", "records were changed"),
        error("database is locked", "Traceback"),
        httpx.Response(502),
        httpx.Response(200, content=b"<html>"),
        httpx.ReadError("the line was cut"),
    ],
)
def test_what_may_pass_is_tried_again(
    tmp_path: Path, said: httpx.Response | httpx.ReadError
) -> None:
    script = server(sale(1))
    once = in_turn(said)
    read = script.answers[SEARCH]
    faults = [1]
    script.answers[SEARCH] = lambda params: (
        once(params) if faults and faults.pop() else read(params)
    )
    assert len(read_orders(tmp_path, script)) == 1
    assert len(script.pauses) == 1


def test_a_server_that_stops_between_two_pages_lands_nothing(tmp_path: Path) -> None:
    script = server(sale(1), sale(2))
    read = script.answers[SEARCH]

    def stop(params: list[object]) -> httpx.Response:
        if params[0][1][2] > 0:  # type: ignore[index]
            raise httpx.ConnectError("refused")
        return read(params)

    script.answers[SEARCH] = stop
    with pytest.raises(TransientSourceError, match="ConnectError"):
        read_orders(tmp_path, script, page_size=1)
    assert len(script.pauses) == TRIES - 1


def test_a_page_that_does_not_go_on_is_no_page(tmp_path: Path) -> None:
    script = server(**{SEARCH: lambda params: result([sale(1)])})
    with pytest.raises(BrokenContentError, match="does not go on after id 1"):
        read_orders(tmp_path, script)


def test_fewer_records_than_tryton_counts_land_nothing(tmp_path: Path) -> None:
    script = server(sale(1), **{"model.sale.sale.search_count": lambda params: result(2)})
    with pytest.raises(TransientSourceError, match="read 1 records, the system counts 2"):
        read_orders(tmp_path, script)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("refrence", "reference"),
        ("party.cod", "party.code"),
        ("lines.amount", "lines is a list"),
    ],
)
def test_a_field_that_is_not_there_is_told_with_its_near_match(
    tmp_path: Path, field: str, told: str
) -> None:
    columns = ORDERS["columns"] | {"order_no": field}
    with pytest.raises(PermanentSourceError, match=told):
        read_orders(tmp_path, server(sale(1)), columns=columns)


def test_a_domain_that_is_none_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="where: found str"):
        open_table(tmp_path, server().wire, settings=ORDERS | {"where": "company = 1"})


def test_only_documents_that_can_be_split_are_split(tmp_path: Path) -> None:
    columns = {"receipt_no": "number"}
    with pytest.raises(ConfigurationError, match=r"account\.payment"):
        open_table(
            tmp_path, server().wire, "erp_receipts",
            {"object": "account.paymnt", "columns": columns},
        )  # fmt: skip


def test_the_days_of_changed_records_are_found_whatever_where_says_now(tmp_path: Path) -> None:
    script = server(sale(1))
    source = open_table(tmp_path, script.wire)
    since = datetime(2026, 10, 2, tzinfo=UTC)
    days = {DAY + timedelta(days=count): "" for count in range(3)}
    assert source.changed_days(since, days) == {DAY}
    (domain, *_) = script.named(SEARCH)[0]
    assert "company" not in str(domain)
    assert "write_date" in str(domain)
    assert source.changed_days(None, days) == set(days)
