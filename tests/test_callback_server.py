"""The callback server: who is believed, what is stored before the answer, and what is refused."""

import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from pipeline.company import load_company
from pipeline.errors import ConfigurationError
from pipeline.sources.wechat.callbacks import server
from pipeline.sources.wechat.callbacks.journal import Journal
from pipeline.sources.wechat.callbacks.receiver import Receiver, RefusedError, open_receivers
from pipeline.sources.wechat.callbacks.seal import Seal, SealError
from pipeline.sources.wechat.callbacks.server import build_app
from tests import sealing

TOKEN, KEY, APP_ID = "spam-token", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "wx5a1e0000000002"
NOW = datetime(2026, 10, 3, 4, 0, tzinfo=UTC)
OPENID = "oia2TjuEGTNoeX76QEjQNrcURxG8"
BODY = f"<xml><FromUserName>{OPENID}</FromUserName><Event>CLICK</Event></xml>"


def receiver(folder: Path, *, is_sealed: bool = False) -> Receiver:
    seal = Seal(KEY, APP_ID) if is_sealed else None
    return Receiver(TOKEN, seal, APP_ID, Journal(folder, now=lambda: NOW), now=lambda: NOW)


def signed(
    *more: str, name: str = "signature", at: datetime = NOW, nonce: str = "7"
) -> dict[str, str]:
    seconds = str(int(at.timestamp()))
    signature = sealing.sign(TOKEN, seconds, nonce, *more)
    return {"timestamp": seconds, "nonce": nonce, name: signature}


def stored(folder: Path) -> list[dict[str, Any]]:
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.open()]
    return [json.loads(line) for line in lines]


class Asker:
    """Asks the server's application without a line in between."""

    def __init__(self, receivers: dict[str, Receiver]) -> None:
        self.app = build_app(receivers)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._ask("GET", path, more))

    def post(self, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._ask("POST", path, more))

    async def _ask(self, method: str, path: str, more: dict[str, Any]) -> httpx.Response:
        line = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=line, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **more)


async def dripping() -> AsyncIterator[bytes]:
    """A body of which nothing comes after its beginning."""
    yield b"<xml>"
    await asyncio.Event().wait()


def sealed_query(encrypted: str) -> dict[str, str]:
    return signed(encrypted, name="msg_signature") | {"encrypt_type": "aes"}


def test_the_seal_of_the_tests_is_aes_as_the_standard_gives_it() -> None:
    """FIPS 197, appendix C.3."""
    words = sealing._expand(bytes(range(32)))
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    expected = "8ea2b7ca516745bfeafc49904b496089"
    assert sealing.encrypt_block(block, words).hex() == expected


def test_wechat_is_told_the_echo_only_with_the_accounts_signature(tmp_path: Path) -> None:
    client = Asker({"account": receiver(tmp_path)})
    query = signed() | {"echostr": "5837264110934275"}
    for address in ("/", "/account"):
        answer = client.get(address, params=query)
        assert (answer.status_code, answer.text) == (200, "5837264110934275")
    forged = query | {"signature": sealing.sign("guess", query["timestamp"], query["nonce"])}
    assert client.get("/", params=forged).status_code == 403
    assert client.get("/", params=query | {"echostr": "<script>"}).status_code == 400
    assert client.get("/other", params=query).status_code == 404


def test_several_accounts_have_an_address_each(tmp_path: Path) -> None:
    both = {name: receiver(tmp_path / name) for name in ("shop", "service")}
    client = Asker(both)
    assert client.post("/service", params=signed(), content=BODY).text == "success"
    assert client.post("/", params=signed(), content=BODY).status_code == 404
    assert (len(stored(tmp_path / "service")), len(stored(tmp_path / "shop"))) == (1, 0)


def test_a_plain_body_is_stored_as_it_came_before_the_answer(tmp_path: Path) -> None:
    client = Asker({"account": receiver(tmp_path)})
    assert client.post("/", params=signed(), content=BODY).text == "success"
    assert stored(tmp_path) == [
        {"received_at": "2026-10-03T04:00:00+00:00", "app_id": APP_ID, "body": BODY}
    ]
    (path,) = tmp_path.iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == ("callbacks-2026-10-03.jsonl", 0o600)


@pytest.mark.parametrize("as_json", [True, False])
def test_an_encrypted_body_is_stored_decrypted(tmp_path: Path, as_json: bool) -> None:
    client = Asker({"account": receiver(tmp_path, is_sealed=True)})
    for length in range(40):
        body = BODY.replace("CLICK", "C" * length)
        encrypted = sealing.seal(body.encode(), encoding_key=KEY, app_id=APP_ID)
        envelope = f"<xml><ToUserName>gh</ToUserName><Encrypt>{encrypted}</Encrypt></xml>"
        if as_json:
            envelope = json.dumps({"ToUserName": "gh", "Encrypt": encrypted})
        answer = client.post("/", params=sealed_query(encrypted), content=envelope)
        assert answer.text == "success"
        assert stored(tmp_path)[-1]["body"] == body


def test_an_account_with_a_key_takes_no_plain_body(tmp_path: Path) -> None:
    closed = receiver(tmp_path, is_sealed=True)
    with pytest.raises(RefusedError, match="encrypted bodies only"):
        closed.take(signed(), BODY.encode())
    encrypted = sealing.seal(BODY.encode(), encoding_key=KEY, app_id=APP_ID)
    envelope = json.dumps({"Encrypt": encrypted}).encode()
    with pytest.raises(RefusedError, match="msg_signature"):
        closed.take(signed(), envelope)
    assert stored(tmp_path) == []


@pytest.mark.parametrize("as_json", [True, False])
def test_an_account_without_a_key_takes_no_body_that_nobody_could_read_later(
    tmp_path: Path, as_json: bool
) -> None:
    plain = receiver(tmp_path)
    encrypted = sealing.seal(BODY.encode(), encoding_key=KEY, app_id=APP_ID)
    envelope = f"<xml><ToUserName>gh</ToUserName><Encrypt>{encrypted}</Encrypt></xml>"
    if as_json:
        envelope = json.dumps({"ToUserName": "gh", "Encrypt": encrypted})
    with pytest.raises(RefusedError, match="callback_key_env is not set") as refused:
        plain.take(signed(), envelope.encode())
    assert refused.value.status == 400
    assert stored(tmp_path) == []


def test_what_is_sealed_for_another_account_or_damaged_is_refused(tmp_path: Path) -> None:
    closed = receiver(tmp_path, is_sealed=True)
    other = sealing.seal(BODY.encode(), encoding_key=KEY, app_id="wx0000000000000000")
    whole = sealing.seal(BODY.encode(), encoding_key=KEY, app_id=APP_ID)
    for encrypted in (other, whole[:-24], whole[:40], "A" * 64, "not base64!"):
        with pytest.raises(RefusedError, match="encrypted body") as refused:
            closed.take(sealed_query(encrypted), json.dumps({"Encrypt": encrypted}).encode())
        assert refused.value.status == 403
    with pytest.raises(SealError):
        Seal(KEY[::-1], APP_ID).open(whole)
    assert stored(tmp_path) == []


@pytest.mark.parametrize("apart", [timedelta(minutes=10, seconds=1), timedelta(hours=-1)])
def test_an_old_signature_is_not_believed_again(tmp_path: Path, apart: timedelta) -> None:
    plain = receiver(tmp_path)
    with pytest.raises(RefusedError, match="timestamp"):
        plain.take(signed(at=NOW - apart), BODY.encode())
    plain.take(signed(at=NOW - timedelta(minutes=9, seconds=59)), BODY.encode())
    assert len(stored(tmp_path)) == 1


@pytest.mark.parametrize("seconds", ["", "soon", "１７９１", "9" * 400, "-5"])
def test_a_timestamp_that_is_none_is_refused(tmp_path: Path, seconds: str) -> None:
    query = {"timestamp": seconds, "nonce": "7", "signature": sealing.sign(TOKEN, seconds, "7")}
    with pytest.raises(RefusedError, match="timestamp"):
        receiver(tmp_path).take(query, BODY.encode())


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>', 400),
        (b"<xml><Event>CLICK</Event>", 400),
        (b"", 400),
        (b"<xml><a>" + b"a" * 300_000 + b"</a></xml>", 400),
        (b" " * 600_000, 413),
        ('<?xml version="1.0" encoding="utf-16"?><xml><a/></xml>'.encode("utf-16"), 400),
        ('<?xml version="1.0" encoding="latin-1"?><xml><a>é</a></xml>'.encode("latin-1"), 400),
    ],
)
def test_a_body_that_cannot_be_read_again_is_refused_and_not_stored(
    tmp_path: Path, content: bytes, status: int
) -> None:
    client = Asker({"account": receiver(tmp_path)})
    assert client.post("/", params=signed(), content=content).status_code == status
    assert stored(tmp_path) == []


def test_a_body_that_does_not_arrive_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SECONDS_TO_POST", 0.05)
    client = Asker({"account": receiver(tmp_path)})
    assert client.post("/", params=signed(), content=dripping()).status_code == 408
    assert stored(tmp_path) == []


def test_what_could_not_be_stored_is_not_answered_with_success(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("no folder")
    client = Asker({"account": receiver(folder)})
    answer = client.post("/", params=signed(), content=BODY)
    assert (answer.status_code, answer.text) == (503, "not stored")


def test_the_log_tells_of_a_refusal_without_secrets_or_people(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = Asker({"account": receiver(tmp_path)})
    with caplog.at_level(logging.WARNING, logger="bihuan.callbacks"):
        client.post("/", params=signed() | {"signature": "forged"}, content=BODY)
        client.post("/", params=signed(), content=f"{OPENID}{BODY}")
    told = "\n".join(record.getMessage() for record in caplog.records if "bihuan" in record.name)
    assert "account: 403, signature: not made with this account's token" in told
    assert "account: 400, body: found no well-formed JSON" in told
    assert not any(secret in told for secret in (TOKEN, OPENID, "forged", signed()["signature"]))


def test_half_a_line_left_by_a_killed_process_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "callbacks-2026-10-03.jsonl"
    path.write_text('{"received_at": "2026-10-0')
    receiver(tmp_path).take(signed(), BODY.encode())
    torn, whole = path.read_text().splitlines()
    assert torn == '{"received_at": "2026-10-0'
    assert json.loads(whole)["body"] == BODY


def test_a_body_waits_for_another_writer_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "callbacks-2026-10-03.jsonl"
    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writer = Thread(target=receiver(tmp_path).take, args=(signed(), BODY.encode()))
        writer.start()
        writer.join(timeout=0.3)
        assert writer.is_alive()
        other.write(b'{"body": "half a')
        other.flush()
    writer.join(timeout=30)
    half, whole = path.read_text().splitlines()
    assert (half, json.loads(whole)["body"]) == ('{"body": "half a', BODY)


def test_a_write_that_fails_halfway_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver(tmp_path).take(signed(), BODY.encode())
    before = stored(tmp_path)
    monkeypatch.setattr(os, "fsync", raise_full)
    with pytest.raises(OSError, match="full"):
        receiver(tmp_path).take(signed(), BODY.encode())
    assert stored(tmp_path) == before


def raise_full(handle: int) -> None:
    raise OSError(28, "the disk is full")


def write_company(folder: Path, connection: str) -> None:
    (folder / "company.yml").write_text("name: Small company\nfirst_day: 2026-10-01\n")
    (folder / "sources.yml").write_text(
        f"connections:\n  account: {connection}\n"
        "tables:\n  callback_events: {connector: wechat_callbacks, connection: account}\n"
    )


@pytest.mark.parametrize(
    ("connection", "environment", "problem"),
    [
        ("{folder: a}", {}, "found no connection with callback_token_env"),
        ("{folder: a, callback_token_env: T}", {}, "the variable T is not set"),
        ("{folder: a, callback_token_env: T, callback_key_env: K}", {"T": "t"}, "missing app_id"),
        (
            "{folder: a, callback_token_env: T, callback_key_env: K, app_id: wx1}",
            {"T": "t", "K": "short"},
            "found 5 signs",
        ),
    ],
)
def test_what_the_server_lacks_is_told_before_it_starts(
    tmp_path: Path, connection: str, environment: dict[str, str], problem: str
) -> None:
    write_company(tmp_path, connection)
    with pytest.raises(ConfigurationError, match=problem) as told:
        open_receivers(load_company(tmp_path, environment=environment))
    assert "short" not in str(told.value)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", httpx.Client, Path]]:
    """The real command in a process of its own, and a client of it."""
    write_company(tmp_path, "{folder: stored, callback_token_env: CALLBACK_TOKEN}")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "pipeline.cli", "callbacks", "serve", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--company", str(tmp_path)],
        env=os.environ | {"CALLBACK_TOKEN": TOKEN},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # The transport tries again, with pauses of its own, until the server listens.
    transport = httpx.HTTPTransport(retries=8, trust_env=False)
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=30
    ) as client:
        try:
            yield process, client, tmp_path / "stored"
        finally:
            process.kill()
            process.wait()


def post(client: httpx.Client, number: int) -> str:
    body = BODY.replace("CLICK", f"CLICK{number}")
    return client.post("/account", params=signed(at=datetime.now(UTC)), content=body).text


def test_posts_at_the_same_time_lose_nothing(
    running: tuple["subprocess.Popen[bytes]", httpx.Client, Path],
) -> None:
    _, client, folder = running
    post(client, 0)
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda number: post(client, number), range(1, 200)))
    assert set(answers) == {"success"}
    assert sorted(line["body"] for line in stored(folder)) == sorted(
        BODY.replace("CLICK", f"CLICK{number}") for number in range(200)
    )


def test_a_server_killed_while_posts_arrive_has_stored_all_that_it_answered(
    running: tuple["subprocess.Popen[bytes]", httpx.Client, Path],
) -> None:
    process, client, folder = running
    answered: list[int] = []

    def post_until_killed(first: int) -> None:
        for number in range(first, first + 1000):
            try:
                if post(client, number) == "success":
                    answered.append(number)
            except httpx.HTTPError:
                return
            if len(answered) >= 40:
                os.kill(process.pid, signal.SIGKILL)

    post(client, 0)
    threads = [Thread(target=post_until_killed, args=(1000 * n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    process.wait(timeout=60)
    client.close()
    for thread in threads:
        thread.join(timeout=60)
    bodies = {line["body"] for line in stored(folder)}
    assert len(answered) >= 40
    assert {BODY.replace("CLICK", f"CLICK{number}") for number in answered} <= bodies
