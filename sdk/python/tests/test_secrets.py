"""The secret is in nothing that is shown, thrown, logged or stored."""

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_issuer import CUT, DONE, Answer, FakeIssuer
from support.issuer import Issuer
from support.still_page import CALLBACK, StillPage
from support.website import Website

from auth_agent import AsyncAuthAgent, AuthAgent, AuthAgentError, ConfigurationError
from auth_agent._transport import SyncTransport

SECRET = "as_secret-of-the-agent"
COOKIE = "cookie-1"
GIVEN = {"agent_id": "agent_1", "agent_secret": SECRET, "model": "m"}
HIDDEN = (SECRET, COOKIE, "secret-code", "secret-state")


def made(issuer: str) -> AuthAgent:
    return AuthAgent(**{**GIVEN, "issuer": issuer})


def clean(text: str) -> None:
    for hidden in HIDDEN:
        assert hidden not in text


def everything(error: BaseException) -> Iterator[str]:
    """All that a crash reporter takes: texts, causes, and the variables of all frames but the test's."""
    seen: BaseException | None = error
    while seen is not None:
        yield from (str(seen), repr(seen), repr(seen.args), repr(vars(seen)))
        for frame, _ in traceback.walk_tb(seen.__traceback__):
            if frame.f_globals["__name__"] != __name__:
                # The address that the browser is at is the website's affair.
                yield repr(frame.f_locals).replace(CALLBACK, "")
        seen = seen.__cause__ or seen.__context__
    yield pickle.dumps(error).decode("latin-1")


def test_an_agent_shows_no_secret_and_is_not_pickled_or_copied() -> None:
    for kind in (AuthAgent, AsyncAuthAgent):
        agent = kind(
            issuer="https://auth.example", agent_id="agent_1", agent_secret=SECRET, model="m"
        )
        assert "agent_1" in repr(agent)
        for text in (repr(agent), str(agent), f"{agent}", repr(dir(agent)), repr(agent._identity)):
            clean(text)
        for store in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError) as refused:
                store(agent)
            clean(str(refused.value))
        with pytest.raises(TypeError):
            vars(agent)
        with pytest.raises(TypeError):
            json.dumps(agent)


@pytest.mark.parametrize(
    "answers",
    [
        [Answer(401, {"error": "invalid_agent"})],
        [Answer(403, {"error": "origin_mismatch", "error_description": "x"})],
        [Answer(302, {}, {"location": "/x"})],
        [Answer(202, {})],
        [CUT] * 5,
        [Answer(503)] * 5,
        [DONE],  # and the page stays
    ],
)
def test_no_error_holds_a_secret(
    answers: list[Answer], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def sleep(transport: object, seconds: float) -> None:
        pass

    monkeypatch.setattr(SyncTransport, "sleep", sleep)
    caplog.set_level(logging.DEBUG)
    with FakeIssuer() as fake:
        fake.answers = list(answers)
        with pytest.raises(AuthAgentError) as error:
            made(fake.url).sign_in(StillPage(f"{fake.url}/authorize/req_1"), timeout=1)
        assert any(SECRET in asked.body for asked in fake.asked), "it was sent"
    for text in everything(error.value):
        clean(text)
    clean(caplog.text)


@pytest.mark.parametrize("address", [CALLBACK, "https://auth.example/authorize/req_1"])
def test_no_local_refusal_holds_a_secret(address: str) -> None:
    with pytest.raises(AuthAgentError) as error:
        made("https://auth.example").sign_in(StillPage(address))
    for text in everything(error.value):
        clean(text)


@pytest.mark.parametrize(
    "change",
    [
        {"expected_origin": httpx.URL("https://shop.example")},
        {"expected_origin": b"https://shop.example"},
        {"expected_origin": ""},
        {"expected_client_id": {"client_1"}},
        {"expected_client_id": " "},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": None},
        {"timeout": "60"},
        {"timeout": True},
        {"timeout": -1},
    ],
)
def test_an_argument_that_is_not_understood_is_refused_and_shows_no_secret(
    change: dict[str, Any], sent: list[httpx.Request]
) -> None:
    agent = made("https://auth.example")
    ways: list[Callable[[], object]] = [
        lambda: agent.sign_in(StillPage("https://auth.example/authorize/req_1"), **change),
        lambda: agent.sign_in_over_http("https://auth.example/authorize?x", **change),
    ]
    for sign_in in ways:
        with pytest.raises(ConfigurationError, match=next(iter(change))) as error:
            sign_in()
        for text in everything(error.value):
            clean(text)
    assert sent == []


@pytest.mark.parametrize("change", [{"issuer": "ftp://x"}, {"model": ""}, {"agent_id": 1}])
def test_no_fault_of_an_argument_holds_a_secret(change: dict[str, Any]) -> None:
    given = {**GIVEN, "issuer": "https://auth.example", **change}
    ways: list[Callable[..., object]] = [AuthAgent, AuthAgent.from_env, AsyncAuthAgent]
    for make in ways:
        with pytest.raises(ConfigurationError) as error:
            make(**given)
        for text in everything(error.value):
            clean(text)


def test_no_fault_of_the_settings_holds_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agent.json"
    monkeypatch.delenv("AUTH_AGENT_MODEL", raising=False)
    texts: list[Callable[[], bytes]] = [
        lambda: json.dumps({"agent_id": "a", "agent_secret": SECRET}).encode(),
        lambda: f'{{"agent_secret": "{SECRET}"'.encode(),
        lambda: f'{{"agent_secret": "{SECRET}\xff"}}'.encode("latin-1"),
    ]
    for text in texts:
        path.write_bytes(text())
        with pytest.raises(AuthAgentError) as error:
            AuthAgent.from_file(path, issuer="https://auth.example")
        for shown in everything(error.value):
            clean(shown)


def test_a_server_with_a_secret_in_its_log_fails_its_tests() -> None:
    with pytest.raises(AssertionError, match="a secret is in the server's log"):
        with Issuer() as server:
            secret = server.agent()["agent_secret"]
            # A caller's own id of its call is logged as it is.
            address = f"http://{server.address}/api/health"
            assert httpx.get(address, headers={"x-request-id": secret}).is_success


def test_a_sign_in_is_in_no_log(
    issuer: Issuer, website: Website, agent: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address = issuer.authorize(website.client_id, f"{website.origin}/callback")
    done = AuthAgent(**agent).sign_in_over_http(address)
    assert "/api/agent/authenticate" in caplog.text
    for text in (caplog.text, issuer.log()):
        assert agent["agent_secret"] not in text
        assert done.redirect_to not in text
