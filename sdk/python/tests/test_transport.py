"""Answers that do not end, and what lies between: each is said by its name, in time."""

import asyncio
import os
import signal
import socket
import threading
import time
from typing import Any

import httpx
import pytest
from support.fake_issuer import CUT, Answer, FakeIssuer
from support.peer import Peer

from auth_agent import AuthAgent, ConfigurationError, UnexpectedAnswer
from auth_agent._issuer import parse_issuer
from auth_agent._transport import AsyncTransport, Lost, SyncTransport, run

OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = 300  # pieces, 0.1 seconds apart: much longer than any of these tests waits

both = pytest.mark.parametrize("kind", ["sync", "async"])


def sent(kind: str, url: str, within: float) -> httpx.Response:
    issuer, request = parse_issuer(url), httpx.Request("POST", url, content="x")
    if kind == "sync":
        return run(SyncTransport(issuer).send(request, within))
    return asyncio.run(AsyncTransport(issuer).send(request, within))


@both
@pytest.mark.parametrize(
    ("scheme", "pieces"),
    [
        pytest.param("http", [OK, *[b"x: y\r\n"] * ENDLESS], id="headers"),
        pytest.param("http", [OK + b"content-length: 999\r\n\r\n", *[b"x"] * ENDLESS], id="body"),
        pytest.param("http", [b""] * ENDLESS, id="nothing"),
        pytest.param("https", [b""] * ENDLESS, id="handshake"),
    ],
)
def test_an_answer_that_drips_ends_in_time(kind: str, scheme: str, pieces: list[bytes]) -> None:
    with Peer(pieces, 0.1) as peer:
        began = time.monotonic()
        with pytest.raises(Lost, match="no answer in time"):
            sent(kind, peer.url.replace("http", scheme), 0.5)
        assert time.monotonic() - began < ENDLESS * 0.1 / 2


@both
def test_a_name_that_is_not_found_in_time_is_not_waited_for(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def look_up(*name: object, **options: object) -> Any:
        answers.wait()
        raise socket.gaierror

    async def both_ends() -> None:
        request = httpx.Request("POST", "https://auth.example")
        issuer = parse_issuer("https://auth.example")
        try:
            with pytest.raises(Lost, match="no answer in time"):
                if kind == "sync":
                    run(SyncTransport(issuer).send(request, 0.2))
                else:
                    await AsyncTransport(issuer).send(request, 0.2)
            assert not answers.is_set()
        finally:
            answers.set()  # a loop that ends waits for it

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    asyncio.run(both_ends())


def test_whoever_interrupts_a_synchronous_sign_in_does_not_wait_for_the_answer() -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    # A shell may have said that it is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Peer([b""] * ENDLESS, 0.1, interrupt) as peer:
            began = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                sent("sync", peer.url, 60)
            assert time.monotonic() - began < ENDLESS * 0.1 / 2
    finally:
        signal.signal(signal.SIGINT, before)


@both
def test_an_answer_without_end_is_cut_off(kind: str) -> None:
    # 40 MiB are more than lies between the two, so that the peer sends until it is cut off.
    endless = [OK + b"connection: close\r\n\r\n", *[b"x" * 65536] * 640]
    with Peer(endless) as peer, pytest.raises(Lost, match="1 MiB"):
        sent(kind, peer.url, 15)


@both
def test_what_was_lost_tells_whether_it_may_have_arrived(kind: str) -> None:
    with FakeIssuer() as fake:
        fake.answers = [CUT]
        with pytest.raises(Lost, match="the connection failed") as cut:
            sent(kind, fake.url, 15)
    assert cut.value.reached
    with pytest.raises(Lost, match="refused") as away:
        sent(kind, fake.url, 15)
    assert not away.value.reached


@both
@pytest.mark.parametrize(
    "proxy",
    [
        "nonsense://user:password@proxy",
        "http://user:password@proxy:port",
        "socks5://user:password@127.0.0.1:9",
    ],
)
def test_a_proxy_that_is_not_understood_is_named_without_its_password(
    kind: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="SOCKS|HTTPS_PROXY") as refused:
        sent(kind, "https://auth.example", 1)
    assert "password" not in str(refused.value)


@both
def test_a_proxy_that_refuses_or_is_away_is_named_without_its_password(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    with Peer([refusal]) as peer:
        monkeypatch.setenv("HTTPS_PROXY", peer.url.replace("//", "//user:password@"))
        with pytest.raises(Lost, match="HTTPS_PROXY or ALL_PROXY does not let it") as refused:
            sent(kind, "https://auth.example", 15)
    with pytest.raises(Lost, match="refused") as away:
        sent(kind, "https://auth.example", 15)
    for lost in (refused.value, away.value):
        assert "password" not in str(lost)
        assert not lost.reached


@pytest.mark.parametrize(
    "location", ["", "https://elsewhere.example/login?next=/secret", "https://["]
)
def test_a_redirect_without_error_is_said_to_be_one_and_not_followed(location: str) -> None:
    with FakeIssuer() as fake:
        fake.answers = [Answer(302, None, {"location": location})]
        agent = AuthAgent(issuer=fake.url, agent_id="a", agent_secret="as_x", model="m")
        with pytest.raises(UnexpectedAnswer, match="is the issuer's address right") as odd:
            agent.sign_in_over_http(f"{fake.url}/authorize?client_id=x")
        assert "elsewhere" not in str(odd.value)
        assert [asked.line for asked in fake.asked] == ["GET /authorize?client_id=x"]
