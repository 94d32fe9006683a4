"""The report: its numbers are the marts', it stands alone, equal marts give equal bytes."""

import csv
import re
from collections.abc import Iterator
from datetime import date, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest

from pipeline.decisions.intervals import wilson_interval
from pipeline.errors import WarehouseError
from pipeline.report import write_report
from pipeline.report.drawing.canvas import Canvas, choose_ticks, wrap
from pipeline.report.notation import (
    Words,
    mask_key,
    write_fen,
    write_instant,
    write_money,
    write_percent,
    write_period,
)
from pipeline.report.words import BRIDGE_STEPS, DIVERGENCES, name_step
from tests.published_marts import AS_OF, FIRST_DAY, Case, Divergence, publish

SEEDS = Path(__file__).parents[1] / "dbt_project" / "seeds"


def bridge_rows(residual_fen: int = 0) -> list[dict[str, object]]:
    """One cell: 1,000.00 claimed, 30.00 never booked, 5.00 that only the back end has."""
    steps = [("surface_total", 0, 100_000, 40), ("paid_not_booked", 2, -3_000, -2),
             ("backend_only", 8, 500, 1), ("erp_total", 15, 97_500 + residual_fen, 39)]  # fmt: skip
    return [
        {
            "business_day": FIRST_DAY, "business_line": "retail", "channel": "mini_program",
            "step": step, "step_rank": rank, "amount_fen": amount, "cases_count": cases,
            "residual_fen": residual_fen, "residual_count": 0,
        }
        for step, rank, amount, cases in steps
    ]  # fmt: skip


def watermark_rows() -> list[dict[str, object]]:
    start = AS_OF - timedelta(days=30)
    return [
        {"table_name": "pay_bill", "is_connected": True, "complete_from": start,
         "complete_until": AS_OF, "rows_count": 41, "quarantined_count": 3},
        {"table_name": "crm_contacts", "is_connected": False, "rows_count": 0},
    ]  # fmt: skip


def two_lines() -> list[Case]:
    """A deep line of 40 orders, a shallow one of 20, over three days, with one of each oddity."""
    days = [FIRST_DAY + timedelta(days=offset) for offset in (0, 1, 3)]
    cases = [
        Case(f"20261001{number:04d}", day=days[number % 3], amount_fen=10_000 + number)
        for number in range(37)
    ]
    cases += [
        Case("202610010901", by_hand=("booked",),
             divergences=(Divergence("booked", "manual_rekey", "verified"),)),
        Case("202610010902", divergences=(
            Divergence("booked", "amount_mismatch", "verified", "unit", 1_280_000),)),
        Case("202610010903", divergences=(
            Divergence("booked", "late", "late", is_healed=True),)),
        Case("202610010904", is_claimed=False, is_abandoned=True),
        Case("202610010905", is_claimed=False, is_backend_only=True, channel=None,
             divergences=(Divergence("submitted", "backend_only"),)),
        Case("202610010906", day=FIRST_DAY + timedelta(days=4), is_mature=False,
             truths={"booked": "pending"}, divergences=(
                 Divergence("paid", "amount_mismatch", "verified", "coupon", 12_000),)),
    ]  # fmt: skip
    for number in range(20):
        key = f"20261001{8000 + number}"
        if number < 6:
            finding = Divergence("booked", "paid_not_booked")
            cases.append(Case(key, "flash_sale", "h5", days[1], broken="booked",
                              divergences=(finding,)))  # fmt: skip
        elif number < 8:
            finding = Divergence("submitted", "surface_only", "verified")
            cases.append(Case(key, "flash_sale", "h5", days[0], broken="paid",
                              divergences=(finding,)))  # fmt: skip
        elif number == 8:
            cases.append(Case(key, "flash_sale", "h5", days[0], truths={"known": "unverifiable"}))
        else:
            cases.append(Case(key, "flash_sale", "h5", days[0]))
    return cases


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sessions = [
        {"session_id": f"s{number}", "business_line": "retail", "is_mature": number < 8,
         "surface_converted": number < 4, "verified_converted": number < 3}
        for number in range(10)
    ]  # fmt: skip
    return publish(
        tmp_path_factory.mktemp("published") / "bihuan.duckdb",
        two_lines(),
        bridge=bridge_rows(),
        sessions=sessions,
        watermarks=watermark_rows(),
    )


@pytest.fixture(scope="module")
def page(published: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(published, out).read_text(encoding="utf-8")


def render(tmp_path: Path, cases: list[Case], **marts: list[dict[str, object]]) -> str:
    published = publish(tmp_path / "bihuan.duckdb", cases, **marts)
    return write_report(published, tmp_path / "report.html").read_text(encoding="utf-8")


def drawings(page: str, css: str = "") -> list[ElementTree.Element]:
    found = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.S)]
    return [svg for svg in found if css in (svg.get("class") or "")]


def marks(page: str, attribute: str, css: str = "wide") -> Iterator[ElementTree.Element]:
    for svg in drawings(page, css):
        for mark in svg.iter():
            if mark.get(attribute) is not None:
                yield mark


def ask(published: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(published), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def visible(page: str, language: str) -> str:
    """The text of one language, without tags and tooltips."""
    other = "en" if language == "zh" else "zh"
    page = re.sub(r"<(style|title)>.*?</\1>", "", page, flags=re.S)
    page = re.sub(rf'<span class="{other}"[^>]*>.*?</span>', "", page, flags=re.S)
    page = re.sub(rf'<text [^>]*class="{other}[ "].*?</text>', "", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


class Siblings(HTMLParser):
    """Reads a page and keeps each Chinese element that no English one follows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.pairs = 0
        self.lonely: list[str] = []
        self._awaiting: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        languages = {"zh", "en"} & set((dict(attrs).get("class") or "").split())
        if self._awaiting is not None:
            if languages == {"en"} and tag == self._awaiting:
                self.pairs += 1
            else:
                self.lonely.append(f"zh before <{tag}>")
            self._awaiting = None
        elif languages == {"en"}:
            self.lonely.append(f"en alone in <{tag}>")
        if languages == {"zh"}:
            self._awaiting = tag

    handle_startendtag = handle_starttag


def test_every_drawing_is_well_formed_and_has_a_title(page: str) -> None:
    assert len(drawings(page, "wide")) == len(drawings(page, "narrow")) == 7
    for svg in drawings(page):
        assert svg.find("title") is not None
        assert svg.find("title").text  # type: ignore[union-attr]


def test_the_headline_is_the_closure_of_mature_claimed_cases(page: str, published: Path) -> None:
    [(claimed, closed)] = ask(
        published,
        "select count(*), count(*) filter (where is_closed) from marts.fct_cases"
        " where is_mature and is_claimed",
    )
    assert f'data-claimed="{claimed}" data-closed="{closed}"' in page
    interval = wilson_interval(closed, claimed)  # type: ignore[arg-type]
    assert interval is not None
    assert write_percent(interval.rate)[:-1] in visible(page, "en")
    assert f"{write_percent(interval.low)[:-1]}–{write_percent(interval.high)}" in page


@pytest.mark.parametrize("css", ["wide", "narrow"])
def test_leaks_are_what_is_missing_between_two_systems(page: str, css: str) -> None:
    stages = {
        m.get("data-stage"): int(m.get("data-cases", "")) for m in marks(page, "data-stage", css)
    }
    leaks = {
        m.get("data-leak"): int(m.get("data-cases", "")) for m in marks(page, "data-leak", css)
    }
    counts = list(stages.values())
    assert list(stages) == ["submitted", *leaks]
    assert list(leaks.values()) == [a - b for a, b in pairwise(counts)]
    assert sum(leaks.values()) > 0


def test_the_bands_of_a_leak_add_up_to_it(page: str) -> None:
    leaks = {m.get("data-leak"): int(m.get("data-cases", "")) for m in marks(page, "data-leak")}
    bands = dict.fromkeys(leaks, 0)
    for mark in marks(page, "data-exit"):
        bands[mark.get("data-exit")] += int(mark.get("data-cases", ""))
    assert bands == leaks
    assert leaks == {"paid": 2, "booked": 6, "received": 0, "fulfilled": 0, "known": 1,
                     "reflowed": 0}  # fmt: skip


def test_a_claim_that_nobody_answers_leaks_as_such(page: str) -> None:
    flow = drawings(page, "wide")[0]
    assert "Surface only" in {text.text for text in flow.iter("text")}


def test_the_flow_ends_with_the_cases_that_closed(page: str, published: Path) -> None:
    *_, last = marks(page, "data-stage")
    [(closed,)] = ask(
        published, "select count(*) from marts.fct_cases where is_mature and is_closed"
    )
    assert int(last.get("data-cases", "")) == closed


def test_a_case_that_owes_a_leg_no_more_stays_in_the_flow(tmp_path: Path) -> None:
    refunded = Case("202610010001", truths={"fulfilled": "not_due", "reflowed": "not_due"})
    page = render(tmp_path, [refunded, Case("202610010002")])
    assert [m.get("data-cases") for m in marks(page, "data-stage")] == ["2"] * 7
    claimed = {m.get("data-leg"): m.get("data-claimed") for m in marks(page, "data-verified")}
    assert claimed["fulfilled"] == "1"


def test_funnel_and_matrix_bear_the_counts_of_the_legs(page: str, published: Path) -> None:
    expected = ask(
        published,
        """
        select business_line, leg, count(*), count(*) filter (
            where truth in ('verified', 'late') and divergence <> 'surface_only')
        from marts.fct_case_legs inner join marts.fct_cases using (case_id, business_line)
        where is_mature and is_claimed and truth <> 'not_due'
        group by all
        """,
    )
    shown = {
        (m.get("data-line"), m.get("data-leg")): (m.get("data-claimed"), m.get("data-verified"))
        for m in marks(page, "data-verified")
    }
    for line, leg, claimed, verified in expected:
        assert shown[line, leg] == (str(claimed), str(verified))  # type: ignore[index]
    for leg in {leg for _, leg, _, _ in expected}:
        totals = [row[2:] for row in expected if row[1] == leg]
        claimed, verified = (sum(column) for column in zip(*totals, strict=True))  # type: ignore[arg-type]
        assert shown[None, leg] == (str(claimed), str(verified))  # type: ignore[index]


def test_classes_bear_cases_and_money_of_the_open_divergences(page: str, published: Path) -> None:
    shown = re.findall(r'data-divergence="(\w+)" data-cases="(\d+)" data-amount-fen="(\d+)"', page)
    expected = ask(
        published,
        """
        select divergence, count(distinct case_id)::varchar,
            coalesce(sum(amount_at_stake_fen), 0)::bigint::varchar
        from marts.fct_divergences where healed_at is null group by divergence
        """,
    )
    assert sorted(shown) == sorted(expected)
    amounts = [int(amount) for _, _, amount in shown]
    assert amounts == sorted(amounts, reverse=True)


def test_a_healed_divergence_is_only_counted(page: str) -> None:
    assert 'data-divergence="late"' not in page
    assert "1 more have healed" in visible(page, "en")


def test_columns_of_a_class_add_up_to_its_cases(page: str) -> None:
    rows = re.findall(r'<li data-divergence="(\w+)" data-cases="(\d+)".*?</li>', page, re.S)
    sparks = drawings(page, "spark")
    assert len(rows) == len(sparks)
    for (_, cases), spark in zip(rows, sparks, strict=True):
        assert sum(int(m.get("data-cases", 0)) for m in spark.iter("rect")) == int(cases)


def test_days_bear_their_share_and_a_day_without_cases_breaks_the_line(
    page: str, published: Path
) -> None:
    expected = ask(
        published,
        """
        with diverging as (
            select distinct case_id from marts.fct_divergences where healed_at is null)
        select business_day::varchar, count(*)::varchar, count(diverging.case_id)::varchar
        from marts.fct_cases left join diverging using (case_id)
        where is_mature and is_claimed group by business_day order by business_day
        """,
    )
    shown = [
        (m.get("data-day"), m.get("data-claimed"), m.get("data-diverging"))
        for m in marks(page, "data-diverging")
    ]
    assert shown == expected
    assert str(FIRST_DAY + timedelta(days=2)) not in {day for day, _, _ in shown}
    assert sum(m.get("class") == "line" for svg in drawings(page, "wide") for m in svg) == 2
    for mark in marks(page, "data-diverging"):
        interval = wilson_interval(
            int(mark.get("data-diverging", "")), int(mark.get("data-claimed", ""))
        )
        assert interval is not None
        assert (float(mark.get("data-low", "")), float(mark.get("data-high", ""))) == (
            interval.low,
            interval.high,
        )


def test_a_day_with_young_cases_is_no_part_of_the_line(tmp_path: Path) -> None:
    cases = [
        Case(f"2026100{day}{number:04d}", day=FIRST_DAY + timedelta(days=day),
             is_mature=(day, number) != (3, 0))
        for day in range(4) for number in range(5)
    ]  # fmt: skip
    page = render(tmp_path, cases)
    dots = {m.get("data-day"): m.get("class") for m in marks(page, "data-diverging")}
    assert list(dots.values()) == ["ink", "ink", "ink", "unripe-dot"]
    [shade] = marks(page, "data-maturity")
    assert (shade.get("data-day"), shade.get("data-maturity")) == ("2026-10-04", "0.8")


def test_the_bridge_bears_every_step_and_a_residual_of_nothing(page: str) -> None:
    shown = [(m.get("data-step"), m.get("data-amount-fen")) for m in marks(page, "data-step")]
    assert shown == [("surface_total", "100000"), ("paid_not_booked", "-3000"),
                     ("backend_only", "500"), ("erp_total", "97500")]  # fmt: skip
    assert 'residual good" data-residual-fen="0" data-residual-count="0"' in page


def test_a_residual_is_stated_and_the_title_no_longer_boasts(tmp_path: Path) -> None:
    page = render(tmp_path, [Case("202610010001")], bridge=bridge_rows(residual_fen=-7))
    assert 'residual bad" data-residual-fen="7"' in page
    assert "¥0.07" in page
    assert "to the fen" not in visible(page, "en")


def test_sources_say_how_far_they_are_known_and_what_was_set_aside(page: str) -> None:
    [bill] = marks(page, "data-quarantined")
    assert (bill.get("data-table"), bill.get("data-rows"), bill.get("data-quarantined")) == (
        "pay_bill", "41", "3",
    )  # fmt: skip
    assert "known up to 2026-10-31 00:00" in visible(page, "en")
    assert "not connected" in visible(page, "en")


def test_sessions_convert_on_the_surface_and_in_truth(page: str) -> None:
    shown = {m.get("data-rate"): m.get("data-converted") for m in marks(page, "data-rate")}
    assert shown == {"surface": "4", "verified": "3"}


def test_every_chinese_text_has_its_english_sibling(page: str) -> None:
    siblings = Siblings(page)
    assert siblings.lonely == []
    assert siblings.pairs > 200
    assert re.findall(r"[一-鿿]+", visible(page, "en")) == ["中文"]  # the switch itself


def test_the_language_is_chosen_without_script(published: Path, tmp_path: Path) -> None:
    zh = write_report(published, tmp_path / "zh.html").read_text(encoding="utf-8")
    en = write_report(published, tmp_path / "en.html", lang="en").read_text(encoding="utf-8")
    assert 'id="show-zh" class="switch" checked' in zh
    assert 'id="show-en" class="switch" checked' in en
    assert zh.count(" checked>") == en.count(" checked>") == 1
    assert "#show-zh:checked ~ main .en, #show-en:checked ~ main .zh { display: none; }" in zh


def test_the_same_marts_give_the_same_bytes(published: Path, tmp_path: Path) -> None:
    first = write_report(published, tmp_path / "a" / "report.html").read_bytes()
    second = write_report(published, tmp_path / "b" / "report.html").read_bytes()
    assert first == second


def test_the_page_stands_alone(page: str) -> None:
    for word in ("http", "//", "<script", "src=", "href=", "url(", "@import", "javascript"):
        assert word not in page.lower(), word


def test_no_personal_identifier_reaches_the_page(page: str) -> None:
    for word in ("oTest-", "person-", "openid", "SO2026", "order:2026"):
        assert word not in page, word
    assert not re.search(r"\b1[3-9]\d{9}\b", page)
    assert not re.search(r"\b2026\d{8}\b", page), "a whole order number"
    assert "***8000" in page


def test_cases_too_young_to_judge_stay_out_of_every_rate(tmp_path: Path) -> None:
    young = [Case(f"2026100100{n}", is_mature=False, truths={"paid": "pending"}) for n in "12"]
    page = render(tmp_path, young)
    assert "too early to judge" in visible(page, "en")
    assert "2 cases claimed, none old enough to judge" in visible(page, "en")
    assert "data-stage" not in page
    assert 'class="big"' not in page


def test_a_line_whose_source_is_missing_says_which(tmp_path: Path) -> None:
    page = render(
        tmp_path, [Case("202610010001", is_mature=False, truths={"known": "unverifiable"})]
    )
    assert "no usable source for CRM" in visible(page, "en")
    assert "Evidence C" in visible(page, "en")


def test_no_divergence_at_all_is_a_finding_too(tmp_path: Path) -> None:
    page = render(tmp_path, [Case(f"20261001{n:04d}") for n in range(200)])
    assert "No open divergence." in visible(page, "en")
    assert "Every claimed case closed." in visible(page, "en")
    assert "One business line; truly carried" in visible(page, "en")


def test_an_empty_company_gets_a_page(tmp_path: Path) -> None:
    page = render(tmp_path, [])
    assert "There is no business case yet" in visible(page, "en")
    assert Siblings(page).lonely == []


def test_a_dozen_lines_share_the_flow_and_keep_their_cards(tmp_path: Path) -> None:
    lines = [f"line_{letter}" for letter in "abcdefghijkl"]
    cases = [
        Case(f"20261001{place:02d}{number:03d}", line)
        for place, line in enumerate(lines)
        for number in range(30 - place)
    ]
    page = render(tmp_path, cases)
    inlets = [int(m.get("data-cases", "")) for m in marks(page, "data-inlet")]
    assert len(inlets) == 7
    assert sum(inlets) == len(cases)
    assert page.count('<article class="card') == 12


def test_nulls_in_the_marts_do_not_stop_the_page(tmp_path: Path) -> None:
    finding = Divergence("booked", "some_new_class")
    case = Case("7", "线 <b>&", None, amount_fen=None, broken="booked", divergences=(finding,))
    page = render(tmp_path, [case], watermarks=[{"table_name": "odd_table"}])
    assert "Some new class" in visible(page, "en")
    assert "线 &lt;b&gt;&amp;" in page
    assert drawings(page)


@pytest.mark.parametrize(
    ("broken", "state"),
    [(0, "Carried"), (1, "Carried"), (5, "Unproven"), (40, "Leaking")],
)
def test_a_line_is_carried_only_where_the_lower_bound_reaches_the_target(
    tmp_path: Path, broken: int, state: str
) -> None:
    cases = [Case(f"20261001{n:04d}", broken="known" if n < broken else None) for n in range(120)]
    page = render(tmp_path, cases)
    assert f"Retail {state}" in visible(page, "en")


def test_a_company_sets_its_own_target(published: Path, tmp_path: Path) -> None:
    targets = {("retail", "order"): 0.5, ("flash_sale", "order"): 0.3}
    page = write_report(published, tmp_path / "report.html", targets=targets).read_text("utf-8")
    assert "Two business lines; all truly carried" in visible(page, "en")


# One line, several loops.


@pytest.fixture(scope="module")
def page_of_loops(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A line that sells and takes complaints, and one that takes bookings."""
    ticket, late = Divergence("ticketed", "not_ticketed"), Divergence("booked", "late", "late")
    cases = [
        *(Case(f"20261001{n:04d}", divergences=(late,) if n == 0 else ()) for n in range(120)),
        *(
            Case(f"2026100180{n:02d}", loop="aftersale", amount_fen=None,
                 broken="ticketed" if n < 9 else None, divergences=(ticket,) if n < 9 else ())
            for n in range(30)
        ),
        *(Case(f"2026100190{n:02d}", "fitting", loop="booking") for n in range(12)),
    ]  # fmt: skip
    sessions = [
        {"session_id": f"s{number}", "business_line": "retail", "is_mature": True,
         "surface_converted": number < 4, "verified_converted": number < 3}
        for number in range(10)
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("loops")
    published = publish(folder / "bihuan.duckdb", cases, sessions=sessions)
    # Only the after-sales loop is asked for less than it closes.
    targets = {("retail", "aftersale"): 0.4}
    return write_report(published, folder / "report.html", targets=targets).read_text("utf-8")


@pytest.mark.parametrize(
    ("language", "cards"),
    [
        ("zh", ["商城零售 · 订单", "商城零售 · 售后", "到店试穿 · 预约"]),
        ("en", ["Retail · orders", "Retail · after-sales", "Fitting · bookings"]),
    ],
)
def test_the_loops_of_a_line_are_told_apart(
    page_of_loops: str, language: str, cards: list[str]
) -> None:
    headings = re.findall(r"<h3>(.*?)</h3>", page_of_loops, re.S)
    named = [visible(heading, language) for heading in headings]
    assert [name.rpartition(" ")[0] for name in named] == cards
    text = visible(page_of_loops, language)
    worst = {"zh": "最大的断点在商城零售 · 售后：", "en": "widest gap is in retail · after-sales: "}
    assert worst[language] in text


def test_a_loop_has_its_own_target_and_counts_by_itself(page_of_loops: str) -> None:
    text = visible(page_of_loops, "en")
    assert "Two business lines, three loops; only two are truly carried" in text
    assert "Retail · orders Carried" in text
    assert "Retail · after-sales Carried" in text
    assert "两条业务线、三个业务流程， 真正承接的只有两个" in visible(page_of_loops, "zh")


def test_a_section_and_a_class_say_of_which_loop_they_are(page_of_loops: str) -> None:
    text = visible(page_of_loops, "en")
    for loop in ("Orders", "After-sales", "Bookings"):
        assert f"{loop} · Where cases leak between systems" in text
        assert f"{loop} · Funnel: claimed and verified" in text
    (row,) = re.findall(r"<tr><th>[^/]*未建工单.*?</tr>", page_of_loops)
    assert "Retail · after-sales" in visible(row, "en")
    assert "Retail · orders" not in visible(row, "en")


def test_a_loop_without_money_tells_of_none(page_of_loops: str) -> None:
    cards = re.findall(
        r'<article class="card.*?data-loop="(\w+)"(.*?)</article>', page_of_loops, re.S
    )
    told = {loop: "Not closed" in visible(card, "en") for loop, card in cards}
    assert told == {"order": True, "aftersale": False, "booking": True}


def test_sessions_stand_with_the_loop_that_converts_them_alone(page_of_loops: str) -> None:
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page_of_loops, re.S)
    told = [visible(heading, "en") for heading in headings if "Session conversion" in heading]
    assert told == ["Orders · Session conversion: surface and verified"]


def test_where_there_is_one_loop_it_is_not_named(page: str) -> None:
    text = visible(page, "en")
    assert "Retail Carried" in text or "Retail Unproven" in text
    assert "orders" not in text.partition("Where cases leak")[0]


def test_the_card_names_what_breaks_first(page: str) -> None:
    text = visible(page, "en")
    assert "Breaks first at the ERP order: 6 paid in WeChat, with no ERP order; 67% of" in text
    assert "The widest gap is in flash sale" in text


def test_a_report_replaces_the_one_before_in_one_step(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("old")
    assert write_report(published, out) == out
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_missing_file_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no published file") as caught:
        write_report(tmp_path / "bihuan.duckdb", tmp_path / "report.html")
    assert "bihuan build" in caught.value.next_step
    assert not (tmp_path / "report.html").exists()


def test_a_published_file_without_a_mart_names_it(tmp_path: Path) -> None:
    file = publish(tmp_path / "bihuan.duckdb")
    with duckdb.connect(str(file)) as connection:
        connection.execute("drop table marts.fct_divergences")
    with pytest.raises(WarehouseError, match="fct_divergences"):
        write_report(file, tmp_path / "report.html")


def test_classes_and_steps_bear_the_names_of_the_seeds() -> None:
    def read(seed: str, key: str) -> dict[str, Words]:
        with (SEEDS / f"{seed}.csv").open(encoding="utf-8") as file:
            return {r[key]: Words(r["name_zh"], r["name_en"]) for r in csv.DictReader(file)}

    classes = read("divergence_classes", "divergence")
    assert {name: words.label for name, words in DIVERGENCES.items()} == classes
    steps = read("bridge_steps", "step")
    assert set(BRIDGE_STEPS) <= set(steps)
    assert {step: name_step(step) for step in steps} == steps


def test_text_stands_out_from_its_ground(page: str) -> None:
    def colour(selector: str, what: str = "fill") -> str:
        found = re.search(rf"{re.escape(selector)} {{[^}}]*?{what}: ([^;]+);", page)
        assert found, selector
        return found[1]

    root = dict(re.findall(r"--(\w+): (#\w{6});", page))
    pairs = [(root[name], root["paper"]) for name in ("body", "muted", "green", "ochre", "red")]
    pairs += [("#ffffff", root[name]) for name in ("ink", "green", "ochre", "red", "muted")]
    pairs += [(root["ink"], colour(f".heat{step}")) for step in range(6)]
    pairs += [("#ffffff", colour(f".heat{step}")) for step in (6, 7)]
    pairs += [(colour("text.gain-text"), root["paper"])]
    for text, ground in pairs:
        assert contrast(text, ground) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_wilson_agrees_with_the_published_example() -> None:
    interval = wilson_interval(81, 263)  # Newcombe 1998, table I
    assert interval is not None
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)
    assert wilson_interval(0, 0) is None
    assert wilson_interval(0, 15).low == 0.0  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="cannot be"):
        wilson_interval(3, 2)


def test_a_rate_is_not_rounded_into_certainty() -> None:
    assert write_percent(0.99996) == "99.9%"
    assert write_percent(1.0) == "100.0%"
    assert write_percent(0.00001) == "0.1%"
    assert write_percent(0.996, decimals=0) == "99%"
    assert write_percent(None) == "–"


def test_money_and_keys_are_written_for_readers() -> None:
    assert write_fen(-123_456_789) == "−¥1,234,567.89"
    assert write_money(682_000_000) == Words("¥682.0 万", "¥6.82M")
    assert write_money(1_234_500) == Words("¥1.23 万", "¥12.3K")
    assert write_money(12_800) == Words("¥128", "¥128")
    assert mask_key("order:202610010001") == "***0001"
    assert mask_key("order:77") == "***7"
    assert mask_key(None) == "–"
    assert write_instant(AS_OF) == "2026-10-31 00:00"
    assert write_period(date(2026, 12, 31), date(2027, 1, 2)).en == "2026-12-31 to 2027-01-02"


def test_hatching_stays_inside_its_rectangle() -> None:
    canvas = Canvas(100, 100, Words("图", "figure"))
    canvas.hatch(10.0, 20.0, 37.0, 11.0, css="hatch")
    [path] = ElementTree.fromstring(canvas.render()).iter("path")
    points = re.findall(r"[ML]([\d.]+) ([\d.]+)", path.get("d", ""))
    assert len(points) > 8
    assert all(10 <= float(x) <= 47 and 20 <= float(y) <= 31 for x, y in points)


def test_texts_break_between_words_and_between_chinese_characters() -> None:
    assert wrap("Paid, not in ERP", 10, 60) == ["Paid, not", "in ERP"]
    assert wrap("已付款，ERP 无订单", 10, 50) == ["已付款，", "ERP 无订", "单"]


@pytest.mark.parametrize(("high", "most"), [(0.004, 6), (0.07, 6), (0.61, 7), (1.0, 6), (123, 4)])
def test_ticks_cover_the_values_with_round_steps(high: float, most: int) -> None:
    ticks = choose_ticks(0.0, high, most)
    assert ticks[0] == 0
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= most
