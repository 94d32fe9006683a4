"""The schedule of outages: what it spoils, in which order, and for how long."""

from collections import Counter
from datetime import datetime, timedelta

from pipeline.landing import SHANGHAI
from pipeline.simulation.http_call import Answer, Call, answer_json
from pipeline.simulation.outages import CALLS_PER_FAULT, Outages, every_fault

NOON = datetime(2026, 11, 10, 12, tzinfo=SHANGHAI)
VISITS = "/datacube/getweanalysisappiddailyvisittrend"
TOKEN, ORDERS, BILL, FILE = (
    "/cgi-bin/stable_token", "/wxa/sec/order/get_order_list", "/v3/bill/tradebill",
    "/v3/billdownload/file",
)  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.instant = NOON

    def epoch(self) -> float:
        return self.instant.timestamp()


def well(_: Call) -> Answer:
    return answer_json({"list": [1, 2, 3]})


def ask(outages: Outages, path: str) -> Answer:
    return outages.answer(Call("POST", path, {}, b"{}"), well)


def errcode(answer: Answer) -> int:
    told = Call("POST", "/", {}, answer.body).json() or {}
    return int(told.get("errcode", 0))


def test_every_fault_comes_to_pass_on_each_host_that_it_can_strike() -> None:
    outages = Outages(1, Clock().epoch)
    for path in (VISITS, TOKEN, ORDERS, BILL, FILE):
        for number in range(2000):
            ask(outages, f"{path}?{number}".partition("?")[0] + f"/{number}")
    dealt = Counter(each.fault for each in outages.struck)
    assert {fault.name for fault in every_fault()} <= set(dealt)
    assert dealt["tokens revoked"] > 0
    calls = Counter(each.path.split("/")[1] for each in outages.struck)
    assert calls["datacube"] < 2000 / CALLS_PER_FAULT["/datacube/"] * 1.5


def test_the_same_seed_deals_the_same_faults() -> None:
    def dealt(seed: int) -> list[str]:
        outages = Outages(seed, Clock().epoch)
        for _ in range(500):
            ask(outages, VISITS)
        return [each.fault for each in outages.struck]

    assert dealt(3) == dealt(3) != dealt(4)


def test_a_quota_of_the_day_holds_until_midnight_and_a_burst_for_three_calls() -> None:
    clock = Clock()
    outages = Outages(2, clock.epoch)
    while not outages.struck or outages.struck[-1].fault != "errcode 45009":
        ask(outages, VISITS)
        clock.instant += timedelta(days=1)
    begun = len(outages.struck)
    clock.instant = datetime.fromtimestamp(outages.struck[-1].at, SHANGHAI)
    clock.instant = clock.instant.replace(hour=23, minute=59, second=59)
    assert errcode(ask(outages, VISITS)) == 45009
    assert (len(outages.struck), outages.struck[-1].calls) == (begun, 2)
    clock.instant += timedelta(seconds=1)
    ask(outages, VISITS)
    assert outages.struck[begun - 1].calls == 2


def test_without_outages_calls_are_only_counted() -> None:
    outages = Outages(1, Clock().epoch, is_on=False)
    for _ in range(100):
        assert ask(outages, VISITS).body == well(Call("POST", VISITS, {})).body
    assert (outages.calls_count, outages.struck, outages.latest) == (100, [], None)
