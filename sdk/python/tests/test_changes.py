"""A page that goes elsewhere between check and use, and the cookie that says which browser it is."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from conftest import arguments
from support.drivers import AsyncPlaywrightTab, SeleniumTab, SyncPlaywrightTab, Tab, until
from support.fake_issuer import DONE, FakeIssuer
from support.issuer import Issuer
from support.recorder import Recorder
from support.still_page import COOKIE, AsyncStillPage, StillPage, StillSession
from support.website import Website

from auth_agent import (
    AsyncAuthAgent,
    AuthAgent,
    BrowserMismatch,
    NotAWaitingPage,
    NotThisBrowser,
    PageChanged,
    RedirectFailed,
    RedirectTimeout,
    RequestClosed,
    SignInError,
    Unavailable,
    _agent,
)
from auth_agent.drivers import browser
from auth_agent.drivers.browser import Browser, Cookie

MOMENTS = ["before it is read", "after it is read", "while the cookie is fetched"]


class Between:
    """The browser of a tab, with something that happens between the library's questions to it."""

    def __init__(self, real: Browser, moment: str, happens: Callable[[], Awaitable[None]]) -> None:
        self._real = real
        self._moment = moment
        self._happens = happens

    async def _now(self, moment: str) -> None:
        if moment == self._moment:
            await self._happens()

    async def address(self) -> str:
        return await self._real.address()

    async def evaluate(self, expression: str) -> object:
        await self._now("before it is read")
        found = await self._real.evaluate(expression)
        await self._now("after it is read")
        return found

    async def cookies(self, origin: str) -> list[Cookie]:
        found = await self._real.cookies(origin)
        await self._now("while the cookie is fetched")
        return found

    async def pause(self, seconds: float) -> None:
        await self._real.pause(seconds)


class HangingPage(AsyncStillPage):
    """A page of Playwright that does not answer."""

    async def evaluate(self, expression: str, /) -> str:  # type: ignore[override]
        await asyncio.Event().wait()
        raise AssertionError


async def go(tab: Tab, address: str) -> None:
    """Goes there, in the thread that the library under test is called in."""
    if isinstance(tab, SyncPlaywrightTab):
        tab.page.goto(address)
    elif isinstance(tab, SeleniumTab):
        tab.page.get(address)
    else:
        await tab.goto(address)


async def test_a_page_that_goes_elsewhere_between_check_and_use_gets_nothing(
    tab: Tab,
    agent: dict[str, str],
    website: Website,
    issuer: Issuer,
    sent: list[httpx.Request],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await tab.goto(f"{website.origin}/login")
    request_id = await until(tab, "/authorize\\/(req_.+)/.exec(location.pathname)?.[1]")
    page = await tab.run("document.getElementById('auth-agent-request').outerHTML")
    real: dict[str, Any] = {
        name: getattr(_agent, name) for name in ("browser_of", "async_browser_of")
    }
    with Recorder("127.0.0.2", lambda: str(page)) as fake:
        evil = f"http://127.0.0.2:{fake.port}/authorize/{request_id}"
        for moment in MOMENTS:
            await tab.goto(f"{issuer.url}/authorize/{request_id}")
            for name, browser_of in real.items():
                monkeypatch.setattr(
                    _agent,
                    name,
                    lambda *page, browser_of=browser_of, moment=moment: Between(
                        browser_of(*page), moment, lambda: go(tab, evil)
                    ),
                )
            with pytest.raises(PageChanged):
                await tab.sign_in(agent)
            if moment != "while the cookie is fetched":
                await tab.goto(f"{issuer.url}/authorize/{request_id}")
                assert not await tab.is_waiting(agent)
        assert agent["agent_secret"] not in fake.received
        assert agent["agent_id"] not in fake.received
    assert sent == []
    assert issuer.status(request_id) == {"status": "pending"}


@pytest.mark.parametrize("kind", [HangingPage, StillSession])
async def test_a_browser_that_hangs_does_not_hang_the_agent(
    kind: Callable[[str], Any],
    agent: dict[str, str],
    sent: list[httpx.Request],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = kind(f"{agent['issuer']}/authorize/req_1")
    with pytest.raises(Unavailable, match="did not answer before the deadline"):
        # Much longer than the deadline, and shorter than a question may wait without one.
        await asyncio.wait_for(AsyncAuthAgent(**agent).sign_in(page, timeout=0.2), 10)

    monkeypatch.setattr(browser, "_ANSWERS_WITHIN", 0.05)
    with pytest.raises(PageChanged):
        await AsyncAuthAgent(**agent).sign_in(page)
    assert not await AsyncAuthAgent(**agent).is_waiting_page(page)
    assert sent == []


@pytest.mark.parametrize(
    ("goes_on_to", "error"),
    [(None, RedirectTimeout), ("chrome-error://chromewebdata/", RedirectFailed)],
)
async def test_a_browser_that_hangs_after_the_sign_in_is_waited_for_until_the_deadline(
    goes_on_to: str | None, error: type[SignInError]
) -> None:
    def hangs() -> bool:
        if not fake.asked:
            return False
        if goes_on_to in (None, page._page._address):
            return True
        page._page._address = goes_on_to  # which it still tells
        return False

    with FakeIssuer() as fake:
        fake.answers = [DONE]
        page: Any = StillSession(f"{fake.url}/authorize/req_1", hangs)
        agent = AsyncAuthAgent(issuer=fake.url, agent_id="a", agent_secret="as_x", model="m")
        with pytest.raises(error) as late:
            await asyncio.wait_for(agent.sign_in(page, timeout=1), 10)
        assert late.value.authenticated
        assert page.was_hanging


@pytest.mark.parametrize("driver", ["playwright-async"], indirect=True)
async def test_without_the_browsers_cookie_nothing_is_sent_and_a_wrong_one_is_refused(
    tab: Tab, agent: dict[str, str], website: Website, sent: list[httpx.Request]
) -> None:
    assert isinstance(tab, AsyncPlaywrightTab)
    context: Any = tab.page.context
    await tab.goto(f"{website.origin}/login")
    kept = [cookie for cookie in await context.cookies() if cookie["name"].startswith("aa_")]
    await context.clear_cookies(name=kept[0]["name"])
    with pytest.raises(NotThisBrowser):
        await tab.sign_in(agent)
    await context.add_cookies([{**cookie, "httpOnly": False} for cookie in kept])
    with pytest.raises(NotThisBrowser):  # a page could have set that one
        await tab.sign_in(agent)
    assert sent == []

    await context.add_cookies([{**cookie, "value": cookie["value"][::-1]} for cookie in kept])
    with pytest.raises(BrowserMismatch):
        await tab.sign_in(agent)
    await context.add_cookies(kept)
    assert (await tab.sign_in(agent)).binding == "browser"


def test_a_request_that_another_agent_has_taken_is_closed(
    issuer: Issuer, agent: dict[str, str], website: Website
) -> None:
    opened = httpx.get(issuer.authorize(website.client_id, f"{website.origin}/callback"))
    found = re.search(r'id="auth-agent-request">(.*?)</script>', opened.text)
    assert found
    [(name, value)] = opened.cookies.items()
    request_id = name.removeprefix("aa_")
    # A browser that never goes on, as on a slow machine: the page is there for both agents.
    address = f"{issuer.url}/authorize/{request_id}"
    page = StillPage(address, [{**COOKIE, "name": name, "value": value}], text=found[1])
    with pytest.raises(RedirectTimeout) as late:
        AuthAgent(**agent).sign_in(page, timeout=1)
    assert late.value.authenticated
    with pytest.raises(RequestClosed):
        AuthAgent(**arguments(issuer, issuer.agent())).sign_in(page)
    with pytest.raises(RedirectTimeout):  # the first may ask again, and is told the same
        AuthAgent(**agent).sign_in(page, timeout=1)


def https_page(address: str, **change: Any) -> StillPage:
    cookie = {**COOKIE, "name": "__Host-aa_req_1", "domain": "auth.example", "secure": True}
    return StillPage(address, [{**cookie, "name": "aa_req_1"}, {**cookie, **change}])


@pytest.mark.parametrize(
    "change",
    [
        {"name": "__Host-aa_req_2"},
        {"domain": ".auth.example"},
        {"domain": "example"},
        {"path": "/authorize"},
        {"httpOnly": False},
        {"secure": False},
        {"value": "a\r\nx-header: b"},
        {"value": "a; __Host-aa_req_2=b"},
    ],
)
def test_a_cookie_that_the_issuer_cannot_have_set_is_none(
    change: dict[str, Any], agent: dict[str, str], sent: list[httpx.Request]
) -> None:
    page = https_page("https://auth.example/authorize/req_1", **change)
    with pytest.raises(NotThisBrowser):
        AuthAgent(**{**agent, "issuer": "https://auth.example"}).sign_in(page)
    assert sent == []


def test_the_endpoint_is_the_configured_one_and_the_cookie_the_requests_own(
    agent: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []

    async def send(client: object, request: httpx.Request, **options: Any) -> httpx.Response:
        calls.append((str(request.url), request.headers["cookie"]))
        return httpx.Response(200, json={"success": True, "binding": "browser"})

    monkeypatch.setattr(httpx.AsyncClient, "send", send)
    for issuer in ("https://auth.example", "https://auth.example/tenants/one"):
        calls.clear()
        page = https_page(f"{issuer}/authorize/req_1")
        page._is_done = lambda: bool(calls)
        AuthAgent(**{**agent, "issuer": issuer}).sign_in(page)
        assert calls == [(f"{issuer}/api/agent/authenticate", "__Host-aa_req_1=cookie-1")]
    for path in ("/authorize/req_1", "/tenants/one-more/authorize/req_1"):
        page = https_page(f"https://auth.example{path}")
        with pytest.raises(NotAWaitingPage):
            AuthAgent(**{**agent, "issuer": "https://auth.example/tenants/one"}).sign_in(page)
