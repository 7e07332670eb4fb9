"""Agents that sign in, and are refused, in a real browser at the real server."""

import re
from typing import Any

import httpx
import pytest
from conftest import arguments
from support.drivers import Tab, until
from support.issuer import Issuer, free_port
from support.website import Website

from auth_agent import (
    AccessDenied,
    InvalidAgent,
    OriginMismatch,
    PageChanged,
    RedirectFailed,
    Refused,
    SignIn,
)

REDIRECT_ORIGIN = "http://127.0.0.2"  # without the port, on this machine


async def test_the_website_shows_who_is_signed_in(
    tab: Tab, agent: dict[str, str], website: Website, sent: list[httpx.Request]
) -> None:
    await tab.goto(f"{website.origin}/login")
    assert await tab.is_waiting(agent)
    done = await tab.sign_in(
        agent, expected_origin=website.origin, expected_client_id=website.client_id
    )
    assert re.fullmatch(r"req_[\w-]+", done.request_id)
    assert done == SignIn(done.request_id, "browser", "Profilio", REDIRECT_ORIGIN)

    await until(tab, "document.querySelector('h1')?.textContent === 'Hello Ada Lovelace'")
    assert "bound by browser" in await tab.run("document.body.textContent")
    assert not await tab.is_waiting(agent)
    assert [str(request.url) for request in sent] == [f"{agent['issuer']}/api/agent/authenticate"]
    assert sent[0].headers["cookie"].startswith(f"aa_{done.request_id}=")
    assert ";" not in sent[0].headers["cookie"], "its own cookie, and no other"


async def test_a_page_that_was_reloaded_is_the_same(
    tab: Tab, agent: dict[str, str], website: Website
) -> None:
    await tab.goto(f"{website.origin}/login")
    address = await until(tab, "location.search === '' && location.href")
    assert "/authorize/req_" in address
    await tab.goto(address)
    assert (await tab.sign_in(agent)).binding == "browser"


async def test_a_refusal_says_why_and_leaves_the_page_open(
    tab: Tab, agent: dict[str, str], website: Website, issuer: Issuer
) -> None:
    await tab.goto(f"{website.origin}/login")
    suspended = arguments(issuer, issuer.agent())
    issuer.admin("POST", f"agents/{suspended['agent_id']}/suspend", {})
    wrong = {**agent, "agent_secret": agent["agent_secret"][:-2] + "xx"}
    refusals: list[tuple[dict[str, str], dict[str, Any], type[Refused]]] = [
        (agent, {"expected_origin": "https://other.example"}, OriginMismatch),
        (agent, {"expected_client_id": "client_other"}, OriginMismatch),
        (wrong, {}, InvalidAgent),
        (suspended, {}, AccessDenied),
    ]
    for who, options, expected in refusals:
        with pytest.raises(expected) as refused:
            await tab.sign_in(who, **options)
        assert refused.value.error_description
        assert refused.value.error in str(refused.value)
        assert not refused.value.authenticated
    assert (await tab.sign_in(agent)).binding == "browser"


async def test_a_website_that_does_not_answer_is_no_place_to_have_gone_on_to(
    tab: Tab, agent: dict[str, str], issuer: Issuer
) -> None:
    callback = f"http://127.0.0.2:{free_port('127.0.0.2')}/callback"
    await tab.goto(issuer.authorize(issuer.client(callback)["client_id"], callback))
    with pytest.raises(RedirectFailed, match=r"no page of http://127\.0\.0\.2:") as failed:
        await tab.sign_in(agent, timeout=5)
    assert failed.value.authenticated


# The window of Selenium, and the tab of browser-use, are theirs to choose.
@pytest.mark.parametrize("driver", ["playwright", "playwright-async"], indirect=True)
async def test_a_page_that_was_closed_is_changed(
    tab: Tab, agent: dict[str, str], website: Website
) -> None:
    await tab.goto(f"{website.origin}/login")
    await tab.close()
    with pytest.raises(PageChanged):
        await tab.sign_in(agent)
