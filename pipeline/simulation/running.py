"""The simulated company's servers, running for as long as a context is open."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.simulation.wechat_server import WechatServer

WECHAT_URL = "SIMULATED_WECHAT_URL"
WECOM_URL = "SIMULATED_WECOM_URL"


@dataclass(frozen=True)
class RunningSystems:
    """The servers' addresses, and the messages that the group robot received, in order."""

    wechat_url: str
    wecom_url: str
    robot_messages: list[dict[str, Any]]


@contextmanager
def running_systems(company_folder: Path) -> Iterator[RunningSystems]:
    """Run the servers on free loopback ports and name them in the environment.

    Child processes inherit the addresses. Raises FileNotFoundError where nothing was simulated.
    """
    with WechatServer(company_folder / "systems" / "wechat") as server:
        before = {name: os.environ.get(name) for name in (WECHAT_URL, WECOM_URL)}
        os.environ.update({WECHAT_URL: server.address, WECOM_URL: server.address})
        try:
            yield RunningSystems(server.address, server.address, server.robot.messages)
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
