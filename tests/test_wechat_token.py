"""The access token: kept on disk, shared by processes, renewed by one of them, never told."""

import json
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.company import load_company
from pipeline.errors import BrokenContentError, ConfigurationError
from pipeline.simulation import Options, simulate
from pipeline.simulation.http_call import Answer, Call
from pipeline.simulation.wechat_server import WechatServer
from pipeline.sources.wechat.token import FORCED_A_DAY, StableToken
from pipeline.sources.wire import Wire
from tests.wechat_world import APP_ID, APP_SECRET

HOST = "https://wechat.test"
NOON = datetime(2026, 10, 4, 4, tzinfo=UTC)


class Platform:
    """Hands out `token`; a forced renewal counts it up, and every request is remembered."""

    def __init__(self) -> None:
        self.now, self.number, self.asked = NOON, 1, list[bool]()

    def __call__(self, body: Mapping[str, Any]) -> dict[str, Any]:
        assert body["secret"] == APP_SECRET
        self.asked.append(body["force_refresh"])
        self.number += body["force_refresh"]
        return {"access_token": f"token-{self.number}", "expires_in": 7200}


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "tokens"


def process(folder: Path, platform: Platform, base_url: str = HOST) -> StableToken:
    """The cache as another process opens it."""
    return StableToken(
        APP_ID, base_url, folder, lambda: SecretStr(APP_SECRET), lambda: platform.now
    )


def test_a_token_is_asked_for_once_by_all_processes_until_it_nears_its_end(
    folder: Path, platform: Platform
) -> None:
    for minutes in (0, 60, 118):
        platform.now = NOON + timedelta(minutes=minutes)
        assert process(folder, platform).current(platform) == "token-1"
    assert platform.asked == [False]
    platform.now = NOON + timedelta(minutes=119)
    process(folder, platform).current(platform)
    assert platform.asked == [False, False]


def test_only_its_owner_can_read_a_token(folder: Path, platform: Platform) -> None:
    process(folder, platform).current(platform)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert APP_SECRET not in "".join(path.read_text() for path in folder.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", '{"app_id": "wx5a1e0000000001"}',
        json.dumps({"base_url": HOST, "app_id": "wxother", "access_token": "foreign",
                    "good_until": "2026-10-04T05:00:00Z"}),
        json.dumps({"base_url": "https://other.test", "app_id": APP_ID, "access_token": "foreign",
                    "good_until": "2026-10-04T05:00:00Z"}),
        json.dumps({"base_url": HOST, "app_id": APP_ID, "access_token": "zoneless",
                    "good_until": "2026-10-04T05:00:00"}),
        json.dumps({"base_url": HOST, "app_id": APP_ID, "access_token": "of a wrong clock",
                    "good_until": "2027-10-04T05:00:00Z"}),
    ],
)  # fmt: skip
def test_a_broken_or_foreign_file_is_ignored_and_written_anew(
    folder: Path, platform: Platform, content: str
) -> None:
    folder.mkdir(parents=True)
    (folder / f"{APP_ID}.json").write_text(content)
    assert process(folder, platform).current(platform) == "token-1"
    assert process(folder, platform).current(platform) == "token-1"
    assert platform.asked == [False]


def test_a_token_is_never_sent_to_another_host(folder: Path, platform: Platform) -> None:
    process(folder, platform).current(platform)
    process(folder, platform, "https://simulated.test").current(platform)
    assert platform.asked == [False, False]


def test_a_renewal_by_one_process_serves_the_others(folder: Path, platform: Platform) -> None:
    one, other = process(folder, platform), process(folder, platform)
    refused = one.current(platform)
    assert other.current(platform) == refused
    assert one.renew(refused, platform) == "token-2"
    assert other.renew(refused, platform) == "token-2"
    assert platform.asked == [False, False, True]


def test_a_renewal_is_forced_once_in_thirty_seconds_and_twenty_times_a_day(
    folder: Path, platform: Platform
) -> None:
    tokens = process(folder, platform)
    refused = tokens.current(platform)
    for _ in range(FORCED_A_DAY):
        renewed = tokens.renew(refused, platform)
        assert renewed != refused
        assert tokens.renew(renewed, platform) == renewed  # thirty seconds have not passed
        refused = renewed
        platform.now += timedelta(seconds=30)
    assert tokens.renew(refused, platform) == refused
    assert platform.asked.count(True) == FORCED_A_DAY
    platform.now += timedelta(days=1)
    assert tokens.renew(refused, platform) != refused


def test_threads_that_are_refused_together_force_one_renewal(
    folder: Path, platform: Platform
) -> None:
    refused = process(folder, platform).current(platform)
    found: list[str] = []
    together = threading.Barrier(4)

    def renew() -> None:
        together.wait()
        found.append(process(folder, platform).renew(refused, platform))

    threads = [threading.Thread(target=renew) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["token-2"] * 4
    assert platform.asked.count(True) == 1


def test_a_reply_without_a_token_is_broken_and_leaves_what_is_kept(
    folder: Path, platform: Platform
) -> None:
    tokens = process(folder, platform)
    kept = tokens.current(platform)
    with pytest.raises(BrokenContentError, match="found expires_in") as caught:
        tokens.renew(kept, lambda _: {"expires_in": 7200})
    assert kept not in str(caught.value)
    assert tokens.current(platform) == kept


def test_a_folder_that_cannot_be_made_is_a_matter_of_configuration(
    tmp_path: Path, platform: Platform
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="cannot be written") as caught:
        process(tmp_path / "file" / "tokens", platform).current(platform)
    assert APP_SECRET not in str(caught.value)


def test_a_kept_token_is_not_shown(folder: Path, platform: Platform) -> None:
    tokens = process(folder, platform)
    assert tokens.current(platform) not in repr((tokens, tokens._read()))


def test_calls_of_one_kind_keep_their_rate_evenly() -> None:
    now, pauses = [NOON], list[float]()

    def sleep(seconds: float) -> None:
        pauses.append(round(seconds, 3))
        now[0] += timedelta(seconds=seconds)

    wire = Wire(sleep=sleep, now=lambda: now[0])
    for _ in range(3):
        wire.pace("fund flow", 2)
    wire.pace("trade bill", 2)
    now[0] += timedelta(seconds=5)
    wire.pace("fund flow", 2)
    assert pauses == [0.5, 0.5]


# Two processes of one company, against the simulated WeChat.

PULL = """
import sys
from datetime import date
from pathlib import Path
from pipeline.company import load_company
from pipeline.sources import open_source

company = load_company(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
(extract,) = open_source("mp_pages", company).extract([date(2026, 10, 2)])
print(extract.rows.num_rows, flush=True)
"""


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[tuple[Path, WechatServer, list[str]]]:
    """A simulated company, its WeChat, and the paths that were called there."""
    folder = tmp_path / "company"
    simulate(folder, Options(seed=1, days=3, orders=60))
    with WechatServer(folder / "systems" / "wechat") as server:
        paths: list[str] = []
        answer = server._answer

        def count(call: Call) -> Answer:
            paths.append(call.path)
            return answer(call)

        server._answer = count  # type: ignore[method-assign]
        yield folder, server, paths


def test_two_processes_with_one_cache_ask_for_one_token(
    counted: tuple[Path, WechatServer, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, server, paths = counted
    monkeypatch.setenv("SIMULATED_WECHAT_URL", server.address)
    pulls = [
        subprocess.Popen(
            [sys.executable, "-c", PULL, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for pull in pulls:
        assert pull.stdout is not None
        assert pull.stdout.readline() == "ready\n"
    told = [pull.communicate("go\n", timeout=60)[0] for pull in pulls]
    assert [int(rows) > 0 for rows in told] == [True, True]
    assert paths.count("/cgi-bin/stable_token") == 1
    assert paths.count("/datacube/getweanalysisappidvisitpage") == 2
    assert load_company(folder).data.joinpath("tokens").is_dir()
