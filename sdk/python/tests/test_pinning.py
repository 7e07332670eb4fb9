"""Where the library sends nothing: fakes of the waiting page, and pages of other browsers.

Each fake writes down every byte it receives; whatever the library itself sends is seen as well.
"""

import json
import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from support.drivers import SeleniumTab, Tab, html, until
from support.issuer import Issuer
from support.recorder import Recorder
from support.website import Website

from auth_agent import (
    NotAWaitingPage,
    NothingSent,
    NotThisBrowser,
    UnsupportedPage,
    WrongIssuer,
)

Agent = dict[str, str]


async def waiting(tab: Tab, website: Website) -> tuple[str, str]:
    """Opens a waiting page of the real issuer; its request and its HTML."""
    await tab.goto(f"{website.origin}/login")
    request_id = await until(tab, "/authorize\\/(req_.+)/.exec(location.pathname)?.[1]")
    return request_id, await html(tab)


def inert(page: str) -> str:
    """A copy of a page, without the scripts that lead on."""
    return re.sub(r"<script nonce.*?</script>", "", page, flags=re.DOTALL)


async def refused(
    tab: Tab, agent: Agent, reason: type[NothingSent], sent: list[httpx.Request]
) -> None:
    """Tries to sign in: it is refused for that reason, and the library sends nothing to anybody."""
    sent.clear()
    with pytest.raises(reason) as error:
        await tab.sign_in(agent)
    assert type(error.value) is reason
    assert agent["agent_secret"] not in str(error.value)
    assert sent == []


def clean(fake: Recorder, agent: Agent) -> None:
    """The fake got what the browser asks for by itself, and nothing of the agent's."""
    assert fake.received.startswith("GET "), "the page was opened"
    assert not re.search(r"^(POST|PUT|OPTIONS|HEAD) ", fake.received, re.MULTILINE), fake.received
    for secret in (agent["agent_secret"], agent["agent_id"], "python-httpx"):
        assert secret not in fake.received


async def test_an_exact_copy_on_another_origin_however_alike_gets_nothing(
    tab: Tab, agent: Agent, website: Website, issuer: Issuer, sent: list[httpx.Request]
) -> None:
    request_id, page = await waiting(tab, website)
    place = issuer.url.removeprefix("http://")
    with Recorder("0.0.0.0", lambda: inert(page)) as fake:
        hosts = [
            "127.0.0.1",  # another port
            "localhost",
            "127.0.0.2",
            "127.0.0.1.example",
            "auth.example",
            f"{place}@auth.example",
            "auth.example.",
        ]
        for host in hosts:
            await tab.goto(f"http://{host}:{fake.port}/authorize/{request_id}")
            assert not await tab.is_waiting(agent)
            await refused(tab, agent, WrongIssuer, sent)
        await tab.goto(f"http://127.0.0.2:{fake.port}/authorize?client_id={website.client_id}")
        await refused(tab, agent, WrongIssuer, sent)
        clean(fake, agent)
    assert issuer.status(request_id) == {"status": "pending"}


async def test_an_https_issuer_is_not_looked_for_on_http(
    tab: Tab, agent: Agent, website: Website, sent: list[httpx.Request]
) -> None:
    request_id, page = await waiting(tab, website)
    with Recorder("127.0.0.1", lambda: inert(page)) as fake:
        await tab.goto(f"http://auth.example:{fake.port}/authorize/{request_id}")
        for issuer in (f"https://auth.example:{fake.port}", "https://auth.example"):
            await refused(tab, {**agent, "issuer": issuer}, WrongIssuer, sent)
        clean(fake, agent)


async def test_a_page_that_has_a_waiting_page_in_a_frame_is_none(
    tab: Tab, agent: Agent, website: Website, issuer: Issuer, sent: list[httpx.Request]
) -> None:
    request_id, page = await waiting(tab, website)
    frame = f'<iframe src="{issuer.url}/authorize/{request_id}"></iframe>'
    with Recorder("127.0.0.2", lambda: inert(page) + frame) as fake:
        await tab.goto(f"http://127.0.0.2:{fake.port}/authorize/{request_id}")
        await refused(tab, agent, WrongIssuer, sent)
        if isinstance(tab, SeleniumTab):
            driver: Any = tab.page
            driver.switch_to.frame(driver.find_element("css selector", "iframe"))
            await refused(tab, agent, WrongIssuer, sent)
            driver.switch_to.default_content()
        clean(fake, agent)


@pytest.mark.parametrize("driver", ["selenium"], indirect=True)
async def test_a_driver_that_is_in_a_frame_is_told_so(
    tab: Tab, agent: Agent, website: Website, sent: list[httpx.Request]
) -> None:
    await waiting(tab, website)
    await tab.run("document.body.appendChild(document.createElement('iframe')).id")
    driver: Any = tab.page
    driver.switch_to.frame(driver.find_element("css selector", "iframe"))
    await refused(tab, agent, UnsupportedPage, sent)
    driver.switch_to.default_content()
    assert await tab.is_waiting(agent)


async def test_a_frame_or_an_address_is_no_page(
    tab: Tab, agent: Agent, website: Website, issuer: Issuer, sent: list[httpx.Request]
) -> None:
    request_id, _ = await waiting(tab, website)
    real = tab.page
    for given in (getattr(real, "main_frame", None), f"{issuer.url}/authorize/{request_id}", None):
        tab.page = given
        try:
            await refused(tab, agent, UnsupportedPage, sent)
            with pytest.raises(UnsupportedPage):
                await tab.is_waiting(agent)
        finally:
            tab.page = real


async def test_a_redirect_from_the_issuer_to_a_fake_and_back_leads_nowhere(
    tab: Tab, agent: Agent, website: Website, issuer: Issuer, sent: list[httpx.Request]
) -> None:
    request_id, page = await waiting(tab, website)
    with Recorder("127.0.0.2", lambda: inert(page)) as fake:
        evil = f"http://127.0.0.2:{fake.port}/callback"
        client = issuer.client(evil)["client_id"]
        # A fault of the request comes back to the website that asked, which shows a copy.
        await tab.goto(issuer.authorize(client, evil, response_type="token"))
        assert str(fake.port) in await tab.run("location.host")
        await refused(tab, agent, WrongIssuer, sent)
        clean(fake, agent)
    with Recorder("127.0.0.2", lambda: f"redirect:{issuer.url}/openapi#{request_id}") as fake:
        await tab.goto(f"http://127.0.0.2:{fake.port}/")
        assert await tab.run("location.origin") == issuer.url
        await refused(tab, agent, NotAWaitingPage, sent)
        clean(fake, agent)


async def test_an_address_without_a_host_of_its_own_is_not_the_issuers(
    tab: Tab, agent: Agent, website: Website, issuer: Issuer, sent: list[httpx.Request]
) -> None:
    _, page = await waiting(tab, website)
    # The issuer's own origin is inside of this one.
    address = await tab.run(
        f"URL.createObjectURL(new Blob([{json.dumps(inert(page))}], {{ type: 'text/html' }}))"
    )
    assert address.startswith(f"blob:{issuer.url}/")
    await tab.run(f"void (location.href = {json.dumps(address)})")
    await until(tab, "location.protocol === 'blob:' && document.readyState === 'complete'")
    await refused(tab, agent, WrongIssuer, sent)
    for address in ("about:blank", f"data:text/html,{quote(inert(page))}"):
        await tab.goto(address)
        await refused(tab, agent, WrongIssuer, sent)


async def test_a_page_of_the_issuer_that_waits_for_nobody_is_told_from_one_that_waits(
    tab: Tab, agent: Agent, website: Website, issuer: Issuer, sent: list[httpx.Request]
) -> None:
    for path in ("/openapi", "/api/health", "/authorize", "/authorize/req_1", "/authorize/../x"):
        await tab.goto(issuer.url + path)
        assert not await tab.is_waiting(agent), path
        await refused(tab, agent, NotAWaitingPage, sent)
    await waiting(tab, website)
    assert await tab.is_waiting(agent)


async def test_the_session_of_another_browser_cannot_be_swapped_in(
    tab: Tab, agent: Agent, website: Website, issuer: Issuer, sent: list[httpx.Request]
) -> None:
    # The attacker's browser: whoever asks has a request of its own.
    address = issuer.authorize(website.client_id, f"{website.origin}/callback")
    opened = httpx.get(address)
    theirs = re.search(r'content="(req_[^"]+)"', opened.text)
    assert theirs
    sent.clear()

    await tab.goto(f"{issuer.url}/authorize/{theirs[1]}")
    await refused(tab, agent, NotAWaitingPage, sent)

    with Recorder("127.0.0.2", lambda: inert(opened.text)) as fake:
        await tab.goto(f"http://127.0.0.2:{fake.port}/authorize/{theirs[1]}")
        await refused(tab, agent, WrongIssuer, sent)
        clean(fake, agent)
    with Recorder("127.0.0.2", lambda: f"redirect:{issuer.url}/authorize/{theirs[1]}") as fake:
        await tab.goto(f"http://127.0.0.2:{fake.port}/")
        await refused(tab, agent, NotAWaitingPage, sent)
        clean(fake, agent)

    # Even if the page could be made to name the attacker's request: this browser has no cookie of it.
    own, _ = await waiting(tab, website)
    swap = (
        "document.getElementById('auth-agent-request').textContent = document"
        f".getElementById('auth-agent-request').textContent.replaceAll('{own}', '{theirs[1]}')"
    )
    await tab.run(f"void ({swap}, history.replaceState(null, '', '/authorize?client_id=x'))")
    await refused(tab, agent, NotThisBrowser, sent)
    await tab.goto(f"{issuer.url}/authorize/{own}")
    await tab.run(f"void ({swap})")
    await refused(tab, agent, NotAWaitingPage, sent)
    await tab.run(f"void history.replaceState(null, '', '/authorize/{theirs[1]}')")
    await refused(tab, agent, NotThisBrowser, sent)

    assert issuer.status(theirs[1]) == {"status": "pending"}, "the attacker's page still waits"
