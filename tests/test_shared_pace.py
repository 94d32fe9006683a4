"""Calls of several processes keep to one rate."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.sources.shared_pace import SharedPace
from pipeline.sources.wire import Wire
from tests.turning_clock import TurningClock

NOW = datetime(2026, 10, 1, tzinfo=UTC)
PROCESS = """
import sys, time
from pathlib import Path
from pipeline.sources.shared_pace import SharedPace
from pipeline.sources.wire import Wire
pace = SharedPace("shop", 20.0, Path(sys.argv[1]), Wire())
for _ in range(10):
    pace.wait()
    print(time.time())
"""


def open_pace(folder: Path, clock: TurningClock, account: str = "shop") -> SharedPace:
    return SharedPace(account, 2.0, folder, Wire(now=clock.now, sleep=clock.sleep))


def test_two_lines_of_one_account_share_its_rate(tmp_path: Path) -> None:
    clock = TurningClock(NOW)
    for _ in range(3):
        open_pace(tmp_path / "pace", clock).wait()
    assert clock.slept == [0.5, 0.5]
    open_pace(tmp_path / "pace", clock, "another").wait()
    assert clock.slept == [0.5, 0.5]


def test_processes_share_it_too(tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    called_at = sorted(
        float(line) for process in running for line in process.communicate()[0].split()
    )
    assert len(called_at) == 30
    # Twenty a second, and what a busy machine wakes late; each by itself, all would be in one.
    assert max(sum(at <= of < at + 1 for of in called_at) for at in called_at) <= 25


@pytest.mark.parametrize("told", ["", "no time", "2027-10-01T00:00:00+00:00"])
def test_a_file_that_tells_no_time_or_one_of_a_wrong_clock_holds_nobody_up(
    tmp_path: Path, told: str
) -> None:
    (tmp_path / "shop.due").write_text(told)
    clock = TurningClock(NOW)
    open_pace(tmp_path, clock).wait()
    assert clock.slept == []
    assert datetime.fromisoformat((tmp_path / "shop.due").read_text()) == NOW + timedelta(
        seconds=0.5
    )


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "pace").write_text("a file")
    with pytest.raises(ConfigurationError, match=r"pace cannot be written"):
        open_pace(tmp_path / "pace", TurningClock(NOW)).wait()
