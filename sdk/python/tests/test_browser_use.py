"""The tool that a model signs in with, called as browser-use's own agent calls it, without a model."""

from typing import Any

import httpx
import pytest
from browser_use import ActionResult, BrowserSession, Tools
from support.drivers import BrowserUseTab, Tab, until
from support.website import Website

from auth_agent import AsyncAuthAgent, UnsupportedPage
from auth_agent.browser_use import add_sign_in

NAME = "sign_in_with_auth_agent"

with_browser = pytest.mark.parametrize("driver", ["browser-use"], indirect=True)


async def call(tools: Tools[Any], tab: Tab, arguments: dict[str, Any]) -> ActionResult:
    """What the model gets for naming the tool with these arguments."""
    actions = tools.registry.create_action_model()
    assert isinstance(tab, BrowserUseTab)
    return await tools.act(actions(**{NAME: arguments}), browser_session=tab.page)


def clean(result: ActionResult, agent: dict[str, str]) -> None:
    for text in (agent["agent_secret"], agent["agent_id"], "aa_req_", "code=", "state="):
        assert text not in result.model_dump_json()


@with_browser
async def test_a_model_signs_in_to_the_website_that_the_program_names(
    tab: Tab, agent: dict[str, str], website: Website
) -> None:
    tools: Tools[Any] = Tools()
    add_sign_in(tools, AsyncAuthAgent(**agent), expected_origin=website.origin)
    assert tools.registry.registry.actions[NAME].param_model.model_fields == {}
    assert agent["agent_secret"] not in tools.registry.get_prompt_description()

    await tab.goto(f"{website.origin}/")
    refused = await call(tools, tab, {})
    assert refused.error
    assert refused.error.startswith("Not signed in: this page is of http://127.0.0.2:")
    clean(refused, agent)

    await tab.goto(f"{website.origin}/login")
    done = await call(tools, tab, {})
    assert done.error is None
    assert done.extracted_content == (
        "Signed in to http://127.0.0.2; the tab has gone on to the website."
    )
    clean(done, agent)
    await until(tab, "document.querySelector('h1')?.textContent === 'Hello Ada Lovelace'")


@with_browser
async def test_a_model_names_the_website_and_nothing_else(
    tab: Tab, agent: dict[str, str], website: Website, sent: list[httpx.Request]
) -> None:
    tools: Tools[Any] = Tools()
    add_sign_in(tools, AsyncAuthAgent(**agent))
    assert set(tools.registry.registry.actions[NAME].param_model.model_fields) == {"website"}
    with pytest.raises(ValueError, match="issuer"):
        await call(tools, tab, {"website": website.origin, "issuer": "https://evil.example"})

    await tab.goto(f"{website.origin}/login")
    for wrong in ("https://other.example/", "other.example", "nonsense://", "http://[", ""):
        refused = await call(tools, tab, {"website": wrong})
        assert refused.error
        assert refused.error.startswith("Not signed in: refused, "), refused.error
        clean(refused, agent)
    done = await call(tools, tab, {"website": f"{website.origin}/login?next=/"})
    assert done.error is None
    clean(done, agent)
    endpoint = f"{agent['issuer']}/api/agent/authenticate"
    assert {str(request.url) for request in sent} == {endpoint}


async def test_a_session_that_is_not_started_is_told_so(agent: dict[str, str]) -> None:
    with pytest.raises(UnsupportedPage, match="not started"):
        await AsyncAuthAgent(**agent).sign_in(BrowserSession(headless=True))
