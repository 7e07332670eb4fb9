"""Signing in without a browser: the program that holds the cookie is what waits."""

import asyncio
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest
from support.issuer import Issuer
from support.recorder import Recorder
from support.website import Website

from auth_agent import (
    AsyncAuthAgent,
    AuthAgent,
    HttpSignIn,
    NotAWaitingPage,
    NothingSent,
    NotThisBrowser,
    OriginMismatch,
    Unavailable,
    UnexpectedAnswer,
    WrongIssuer,
)
from auth_agent._transport import SyncTransport

Agent = dict[str, str]
SignInOverHttp = Callable[..., HttpSignIn]


@pytest.fixture(params=["sync", "async"])
def sign_in(request: pytest.FixtureRequest, agent: Agent) -> SignInOverHttp:
    if request.param == "sync":
        return AuthAgent(**agent).sign_in_over_http
    over_http = AsyncAuthAgent(**agent).sign_in_over_http
    return lambda *args, **options: asyncio.run(over_http(*args, **options))


def test_the_website_shows_who_is_signed_in(
    sign_in: SignInOverHttp, website: Website, sent: list[httpx.Request], issuer: Issuer
) -> None:
    with httpx.Client(base_url=website.origin) as session:
        address = session.get("/login").headers["location"]
        sent.clear()
        done = sign_in(address, expected_origin=website.origin, timeout=30)
        assert (done.binding, done.redirect_origin) == ("browser", "http://127.0.0.2")
        assert [request.url.path for request in sent] == [
            "/authorize",
            "/api/agent/authenticate",
            "/api/check-status",
        ]
        assert {str(request.url.netloc, "ascii") for request in sent} == {
            urlsplit(issuer.url).netloc
        }
        # The way back is for the caller to take, and is not shown by the way.
        assert done.redirect_to.startswith(f"{website.origin}/callback?")
        code = httpx.URL(done.redirect_to).params["code"]
        assert code not in repr(done)
        assert code not in str(done)
        home = session.get(done.redirect_to, follow_redirects=True)
    assert "<h1>Hello Ada Lovelace</h1>" in home.text
    assert "bound by browser" in home.text


def test_another_website_than_the_one_meant_is_refused(
    sign_in: SignInOverHttp, website: Website, issuer: Issuer
) -> None:
    address = issuer.authorize(website.client_id, f"{website.origin}/callback")
    with pytest.raises(OriginMismatch):
        sign_in(address, expected_origin="https://other.example")
    with pytest.raises(OriginMismatch):
        sign_in(address, expected_client_id="client_other")


def test_nothing_is_sent_to_an_address_that_is_not_the_issuers(
    sign_in: SignInOverHttp, website: Website, issuer: Issuer, sent: list[httpx.Request]
) -> None:
    place = urlsplit(issuer.url).netloc
    port = urlsplit(issuer.url).port
    with Recorder("0.0.0.0", lambda: "") as fake:
        addresses: list[tuple[str, type[NothingSent]]] = [
            (f"http://127.0.0.1:{fake.port}/authorize?client_id=x", WrongIssuer),
            (f"http://127.0.0.2:{port}/authorize?client_id=x", WrongIssuer),
            (f"http://localhost:{port}/authorize?client_id=x", WrongIssuer),
            (f"https://{place}/authorize?client_id=x", WrongIssuer),
            (f"http://{place}@127.0.0.2:{fake.port}/authorize?x", WrongIssuer),
            (f"http://{place}:@127.0.0.2:{fake.port}/authorize?x", WrongIssuer),
            (f"http://user@{place}/authorize?client_id=x", WrongIssuer),
            (f"http://127.0.0.2:{fake.port}/authorize?{issuer.url}/authorize", WrongIssuer),
            (f"http://127.0.0.2:{fake.port}\\@{place}/authorize?x", WrongIssuer),
            (f" {issuer.url}/authorize?client_id=x", WrongIssuer),
            ("/authorize?client_id=x", WrongIssuer),
            ("", WrongIssuer),
            (f"{issuer.url}/api/health", NotAWaitingPage),
            (f"{issuer.url}/authorize/req_1", NotAWaitingPage),  # of another browser
            (f"{issuer.url}/authorize/../api/health", NotAWaitingPage),
        ]
        for address, reason in addresses:
            with pytest.raises(reason) as refused:
                sign_in(address)
            assert type(refused.value) is reason, address
        assert fake.received == ""
    assert sent == []


def test_what_the_issuer_refuses_is_said_and_no_redirect_is_followed(
    sign_in: SignInOverHttp, website: Website, issuer: Issuer
) -> None:
    with Recorder("127.0.0.2", lambda: "") as fake:
        evil = f"http://127.0.0.2:{fake.port}/callback"
        client = issuer.client(evil)["client_id"]
        with pytest.raises(UnexpectedAnswer, match="unsupported_response_type"):
            sign_in(issuer.authorize(client, evil, response_type="token"))
        assert fake.received == ""
    with pytest.raises(NotAWaitingPage, match="answers 400"):
        sign_in(issuer.authorize("client_unknown", evil))


@pytest.mark.parametrize("cookie", ["", "aa_req_2=x; HttpOnly; Path=/", "aa_req_1=x; Path=/"])
def test_a_page_without_its_cookie_is_bound_to_nothing(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, cookie: str
) -> None:
    page = (
        "<p id='auth-agent-request'>{}</p><script type='application/json' id='auth-agent-request'>"
        '{"request_id":"req_1","client_name":"\\u003c/script>"}</script><script>x</script>'
    )
    lines: list[str] = []

    async def send(
        transport: SyncTransport, request: httpx.Request, within: float
    ) -> httpx.Response:
        lines.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, html=page, headers={"set-cookie": cookie}, request=request)

    monkeypatch.setattr(SyncTransport, "send", send)
    with pytest.raises(NotThisBrowser):
        AuthAgent(**agent).sign_in_over_http(f"{agent['issuer']}/authorize?client_id=x")
    assert lines == ["GET /authorize"], "the agent's own call is not made"


def test_an_issuer_that_is_not_there_is_unavailable(agent: Agent) -> None:
    away = AuthAgent(**{**agent, "issuer": "http://127.0.0.1:9"})
    with pytest.raises(Unavailable, match="refused"):
        away.sign_in_over_http("http://127.0.0.1:9/authorize?client_id=x")


def test_two_sign_ins_of_one_address_are_two_requests(
    sign_in: SignInOverHttp, website: Website, issuer: Issuer
) -> None:
    address = issuer.authorize(website.client_id, f"{website.origin}/callback")
    ids = {sign_in(address).request_id for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch(r"req_[\w-]+", request_id) for request_id in ids)
