"""The agents, for synchronous and asynchronous libraries."""

import os
from typing import NoReturn, TypeVar

from ._over_http import HttpSignIn, sign_in_over_http
from ._settings import from_arguments, from_environment, from_file, hide
from ._sign_in import Identity, Purpose, SignIn, sign_in
from ._transport import AsyncTransport, SyncTransport, run
from ._waiting_page import WaitingRequest, read_waiting_page
from .drivers import AsyncPage, Page, async_browser_of, browser_of
from .errors import NothingSent, UnsupportedPage

TIMEOUT = 60.0
"""Seconds that a sign-in may take, unless the call says otherwise."""

_A = TypeVar("_A", bound="BaseAgent")


class BaseAgent:
    """Who signs in, and at which issuer: what `AuthAgent` and `AsyncAuthAgent` have in common."""

    __slots__ = ("_identity",)
    _identity: Identity

    def __init__(self, *, issuer: str, agent_id: str, agent_secret: str, model: str) -> None:
        """An agent of which all is given.

        Args:
            issuer: the issuer that the agent is registered with: an https URL, or an http one of this
                machine. Nothing is ever sent anywhere else.
            agent_id: `agent_…`
            agent_secret: `as_…`; it stays in this process, and goes to the issuer alone.
            model: the model that the agent runs on, in its own words: 1 to 128 printable characters.

        Raises:
            ConfigurationError: it names the argument at fault.
        """
        given = {
            "issuer": hide(issuer),
            "agent_id": hide(agent_id),
            "agent_secret": hide(agent_secret),
            "model": hide(model),
        }
        del agent_secret  # a traceback shows the variables of each frame
        self._identity = from_arguments(given)

    @classmethod
    def from_env(
        cls: type[_A],
        *,
        issuer: str | None = None,
        agent_id: str | None = None,
        agent_secret: str | None = None,
        model: str | None = None,
    ) -> _A:
        """An agent as the environment says it.

        What no argument gives is taken from `AUTH_AGENT_ISSUER`, `AUTH_AGENT_ID`, `AUTH_AGENT_SECRET`
        and `AUTH_AGENT_MODEL`, and what is not there from the file that `AUTH_AGENT_CREDENTIALS_FILE`
        names (see `from_file`). `agent_id` and `agent_secret` have to come from the same place of these,
        and an `issuer` of the file is good for the file's own agent only.

        Raises:
            ConfigurationError: it says what is missing and where it is looked for.
        """
        given = {
            "issuer": hide(issuer),
            "agent_id": hide(agent_id),
            "agent_secret": hide(agent_secret),
            "model": hide(model),
        }
        del agent_secret  # a traceback shows the variables of each frame
        return cls._of(from_environment(given))

    @classmethod
    def from_file(
        cls: type[_A],
        path: str | os.PathLike[str],
        *,
        issuer: str | None = None,
        model: str | None = None,
    ) -> _A:
        """An agent as a JSON file says it, such as `auth-agent agent create --json` prints it.

        Its fields are `agent_id` and `agent_secret` (or `secret_file`, a path beside it), to which
        `issuer` and `model` may be added. What it does not have is taken from the environment,
        `agent_id` and `agent_secret` both or neither.

        Raises:
            ConfigurationError: it says what is wrong with the file, or missing.
        """
        return cls._of(from_file(path, {"issuer": hide(issuer), "model": hide(model)}))

    @classmethod
    def _of(cls: type[_A], identity: Identity) -> _A:
        agent = cls.__new__(cls)
        agent._identity = identity
        return agent

    @property
    def issuer(self) -> str:
        """The issuer, without a slash at its end."""
        return self._identity.issuer.identifier

    @property
    def agent_id(self) -> str:
        """`agent_…`"""
        return self._identity.agent_id

    @property
    def model(self) -> str:
        """The model, in the agent's own words."""
        return self._identity.model

    def __repr__(self) -> str:
        name = type(self).__name__
        if not hasattr(self, "_identity"):  # of one whose settings were refused
            return f"<{name} without settings>"
        return f"{name}(issuer={self.issuer!r}, agent_id={self.agent_id!r}, model={self.model!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an agent holds a secret: it is not pickled or copied; make it anew")


class AuthAgent(BaseAgent):
    """An agent that drives a browser with Playwright's sync library or Selenium, or none at all.

    Example::

        agent = AuthAgent.from_env()
        if agent.is_waiting_page(page):
            agent.sign_in(page, expected_origin="https://shop.example")
    """

    __slots__ = ()

    def is_waiting_page(self, page: Page) -> bool:
        """Whether the page is a waiting page of the configured issuer, with a request. Sends nothing.

        Raises:
            UnsupportedPage: if it is no page of Playwright or Selenium.
        """
        try:
            self.request_of(page)
        except UnsupportedPage:
            raise
        except NothingSent:
            return False
        return True

    def request_of(self, page: Page) -> WaitingRequest:
        """What the waiting page in the browser asks for. Sends nothing.

        Raises:
            WrongIssuer, NotAWaitingPage, PageChanged, UnsupportedPage: if it is none.
        """
        return run(read_waiting_page(browser_of(page), self._identity.issuer)).request

    def sign_in(
        self,
        page: Page,
        *,
        expected_origin: str | None = None,
        expected_client_id: str | None = None,
        timeout: float = TIMEOUT,
    ) -> SignIn:
        """Signs in at the waiting page that is open, and waits until the browser is at the website.

        That is any address of the web but the issuer's: an error page of the browser is none. The call is bound to that browser by its own cookie of the request.

        Args:
            page: Playwright's `Page`, or Selenium's `WebDriver`.
            expected_origin: origin of the website that the agent means to sign in to, such as
                `https://shop.example`. Take it from the agent's task, not from the page.
            expected_client_id: the same by the website's `client_id`.
            timeout: for all of it, in seconds, not negative. An asynchronous library is not waited for
                any longer; a synchronous one that hangs cannot be interrupted.

        Raises:
            ConfigurationError: for an argument that is not understood, or is empty.
            SignInError: it says why. If it is a `NothingSent`, nothing was sent to anybody; if it is
                a `Refused`, it is the issuer's answer, and the page stays open.
        """
        purpose = Purpose(expected_origin, expected_client_id, timeout)
        transport = SyncTransport(self._identity.issuer)
        return run(sign_in(browser_of(page), transport, self._identity, purpose))

    def sign_in_over_http(
        self,
        authorize_url: str,
        *,
        expected_origin: str | None = None,
        expected_client_id: str | None = None,
        timeout: float = TIMEOUT,
    ) -> HttpSignIn:
        """Signs in without a browser, for a program that is itself what waits.

        Args:
            authorize_url: where the website redirects to: `<issuer>/authorize?…`.
            expected_origin: see `sign_in`; the address comes from the website, so give it.
            expected_client_id: see `sign_in`.
            timeout: for all of it, in seconds.

        Returns:
            the sign-in, with `redirect_to`: the website's callback. It is not opened here, as the
            website's own cookies belong to it: open it in the session that began the sign-in.

        Raises:
            SignInError: see `sign_in`. If it is a `NothingSent`, nothing of the agent's was sent: at most
                the address was opened, and that only if it is the issuer's.
        """
        purpose = Purpose(expected_origin, expected_client_id, timeout)
        transport = SyncTransport(self._identity.issuer)
        return run(sign_in_over_http(transport, self._identity, authorize_url, purpose))


class AsyncAuthAgent(BaseAgent):
    """An agent that drives a browser with Playwright's async library or browser-use, or none at all.

    Example::

        agent = AsyncAuthAgent.from_env()
        if await agent.is_waiting_page(page):
            await agent.sign_in(page, expected_origin="https://shop.example")
    """

    __slots__ = ()

    async def is_waiting_page(self, page: AsyncPage) -> bool:
        """See `AuthAgent.is_waiting_page`."""
        try:
            await self.request_of(page)
        except UnsupportedPage:
            raise
        except NothingSent:
            return False
        return True

    async def request_of(self, page: AsyncPage) -> WaitingRequest:
        """See `AuthAgent.request_of`."""
        return (await read_waiting_page(async_browser_of(page), self._identity.issuer)).request

    async def sign_in(
        self,
        page: AsyncPage,
        *,
        expected_origin: str | None = None,
        expected_client_id: str | None = None,
        timeout: float = TIMEOUT,
    ) -> SignIn:
        """See `AuthAgent.sign_in`; the page is Playwright's `Page` or browser-use's `BrowserSession`."""
        purpose = Purpose(expected_origin, expected_client_id, timeout)
        transport = AsyncTransport(self._identity.issuer)
        browser = async_browser_of(page, purpose.deadline)
        return await sign_in(browser, transport, self._identity, purpose)

    async def sign_in_over_http(
        self,
        authorize_url: str,
        *,
        expected_origin: str | None = None,
        expected_client_id: str | None = None,
        timeout: float = TIMEOUT,
    ) -> HttpSignIn:
        """See `AuthAgent.sign_in_over_http`."""
        purpose = Purpose(expected_origin, expected_client_id, timeout)
        transport = AsyncTransport(self._identity.issuer)
        return await sign_in_over_http(transport, self._identity, authorize_url, purpose)
