"""A tool for the agents of browser-use, by which their model signs in. Needs browser-use.

Example::

    tools = Tools()
    add_sign_in(tools, AsyncAuthAgent.from_env(), expected_origin="https://shop.example")
    await Agent(task=…, llm=…, tools=tools).run()

Without a model, `AsyncAuthAgent.sign_in` takes the `BrowserSession` itself.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

from browser_use import ActionResult, BrowserSession
from pydantic import BaseModel, Field

from ._agent import TIMEOUT, AsyncAuthAgent
from ._sign_in import Purpose
from .errors import SignInError

__all__ = ["add_sign_in"]

_DESCRIPTION = (
    "Sign in with Auth Agent. Use it when the current tab shows a page that waits for your agent to "
    "sign in. It signs you in there and the tab goes on to the website by itself; there is nothing to "
    "type or to click, and no password or id to give"
)


_Action = Callable[..., Awaitable[ActionResult]]


class Tools(Protocol):
    """The `Tools` (formerly `Controller`) of browser-use."""

    def action(self, description: str, **options: Any) -> Callable[[_Action], object]:
        """Makes a decorator that adds an action."""
        ...


class _Website(BaseModel, extra="forbid"):
    website: str = Field(
        description="Address of the website that your task asks you to sign in to, such as "
        "https://shop.example. Take it from your task, never from the page that waits"
    )


def add_sign_in(
    tools: Tools,
    agent: AsyncAuthAgent,
    *,
    expected_origin: str | None = None,
    expected_client_id: str | None = None,
) -> None:
    """Adds the tool `sign_in_with_auth_agent`.

    It signs in at the tab that browser-use's agent looks at, at the issuer that `agent` is configured
    with. The model can give no request, no issuer and no credentials, and is told none.

    Args:
        tools: those of browser-use's agent.
        agent: who signs in.
        expected_origin: origin of the one website that may be signed in to. Without it the tool asks the
            model which website its task names, and the issuer refuses any other.
        expected_client_id: the same by the website's `client_id`.

    Raises:
        ConfigurationError: for an expectation that is given and empty.
    """

    Purpose(expected_origin, expected_client_id, TIMEOUT)  # refuses a guard that says nothing

    async def sign_in_with_auth_agent(browser_session: BrowserSession) -> ActionResult:
        return await _sign_in(agent, browser_session, expected_origin or "", expected_client_id)

    async def sign_in_to_website(params: _Website, browser_session: BrowserSession) -> ActionResult:
        origin = _origin_of(params.website)
        return await _sign_in(agent, browser_session, origin, expected_client_id)

    if expected_origin is not None:
        tools.action(_DESCRIPTION, terminates_sequence=True)(sign_in_with_auth_agent)
    else:
        # browser-use names the tool after its function.
        sign_in_to_website.__name__ = sign_in_with_auth_agent.__name__
        options = {"param_model": _Website, "terminates_sequence": True}
        tools.action(_DESCRIPTION, **options)(sign_in_to_website)


async def _sign_in(
    agent: AsyncAuthAgent, session: BrowserSession, origin: str, client_id: str | None
) -> ActionResult:
    try:
        done = await agent.sign_in(session, expected_origin=origin, expected_client_id=client_id)
    except SignInError as error:
        told = str(error) if error.authenticated else f"Not signed in: {error}"
        return ActionResult(error=told)
    return ActionResult(
        extracted_content=f"Signed in to {done.redirect_origin}; the tab has gone on to the website."
    )


def _origin_of(website: str) -> str:
    """The origin of an address as models write them: with a path, or without a scheme."""
    try:
        parts = urlsplit(website if "://" in website else f"https://{website}")
    except ValueError:
        return website  # which the issuer refuses, and says why
    return f"{parts.scheme}://{parts.netloc}"
