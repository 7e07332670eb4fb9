"""A sign-in from the open page to the website, the same for every library that drives a browser."""

import time
from dataclasses import dataclass

from ._authenticate import Binding, Call, authenticate
from ._issuer import Issuer
from ._secret import Secret
from ._transport import Transport
from ._waiting_page import place_of, proof_of, read_waiting_page
from .drivers.browser import Browser, BrowserGone
from .errors import PageClosed, RedirectTimeout

_LOOK_AGAIN = 0.025  # seconds


@dataclass(frozen=True)
class Identity:
    """Who signs in, and at which issuer."""

    issuer: Issuer
    agent_id: str
    agent_secret: Secret
    model: str


@dataclass(frozen=True)
class Purpose:
    """What a sign-in is meant for, and how long it may take."""

    expected_origin: str | None
    expected_client_id: str | None
    timeout: float

    def call(self, identity: Identity, request_id: str, cookie: Secret) -> Call:
        """The call that authenticates it."""
        return Call(
            request_id=request_id,
            agent_id=identity.agent_id,
            agent_secret=identity.agent_secret,
            model=identity.model,
            cookie=cookie,
            expected_origin=self.expected_origin,
            expected_client_id=self.expected_client_id,
        )


@dataclass(frozen=True)
class SignIn:
    """A sign-in that is done. Nothing in it is secret: it may be shown to a model."""

    request_id: str
    """`req_…`; the website's tokens have it as `sid`."""
    binding: Binding
    """How it is known that the agent drives the browser: `browser` is the strongest."""
    client_name: str
    """What the website calls itself: its own word."""
    redirect_origin: str
    """Scheme, host and port that the browser went on to."""


async def sign_in(
    browser: Browser, transport: Transport, identity: Identity, purpose: Purpose
) -> SignIn:
    """Signs in at the waiting page that is open, and waits until the browser has left it."""
    deadline = time.monotonic() + purpose.timeout
    issuer = identity.issuer
    waiting = await read_waiting_page(browser, issuer)
    request = waiting.request
    proof = await proof_of(browser, issuer, waiting)
    cookie = Secret(f"{proof.name}={proof.value}")
    call = purpose.call(identity, request.request_id, cookie)
    binding = await authenticate(transport, issuer, call, deadline)
    await _left(browser, issuer, request.request_id, deadline)
    return SignIn(request.request_id, binding, request.client_name, request.redirect_origin)


async def _left(browser: Browser, issuer: Issuer, request_id: str, deadline: float) -> None:
    try:
        while _waits(issuer, await browser.address(), request_id):
            if time.monotonic() > deadline:
                raise RedirectTimeout(
                    "signed in, but the browser did not go on to the website in time: "
                    "reload the page"
                )
            await browser.pause(_LOOK_AGAIN)
    except BrowserGone:
        raise PageClosed("signed in, but the page was closed before it went on") from None


def _waits(issuer: Issuer, address: str, request_id: str) -> bool:
    """Whether that is still the waiting page, reloaded perhaps (its address then has its id)."""
    place = place_of(issuer, address)
    return place is not None and place.request_id in (None, request_id)
