"""A sign-in from the open page to the website, the same for every library that drives a browser."""

import math
import time
from dataclasses import dataclass, field
from typing import Literal

from ._authenticate import Binding, Call, authenticate
from ._issuer import Issuer
from ._repeat import too_late
from ._secret import Secret
from ._transport import Transport
from ._waiting_page import WaitingRequest, place_of, proof_of, read_waiting_page
from .drivers.browser import Browser, BrowserGone, BrowserLate
from .errors import ConfigurationError, PageClosed, RedirectFailed, RedirectTimeout

_LOOK_AGAIN = 0.025  # seconds

_Shown = Literal["waiting page", "website", "another page"]


@dataclass(frozen=True)
class Identity:
    """Who signs in, and at which issuer."""

    issuer: Issuer
    agent_id: str
    agent_secret: Secret
    model: str


@dataclass(frozen=True)
class Purpose:
    """What a sign-in is meant for, and how long it may take.

    Raises:
        ConfigurationError: if a guard is given and says nothing, or the timeout is no number of seconds.
    """

    expected_origin: str | None
    expected_client_id: str | None
    timeout: float
    deadline: float = field(init=False, repr=False)
    """When it ends, by `time.monotonic()`: the time runs from now on."""

    def __post_init__(self) -> None:
        for name in ("expected_origin", "expected_client_id"):
            guard: object = getattr(self, name)
            if guard is not None and not (isinstance(guard, str) and guard.strip()):
                raise ConfigurationError(
                    f"{name} must be text that is not empty; leave it out if any website will do"
                )
        timeout: object = getattr(self, "timeout")  # whatever its type says
        is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
        if not is_number or not 0 <= self.timeout < math.inf:
            raise ConfigurationError("timeout must be a number of seconds, 0 or more, and finite")
        object.__setattr__(self, "deadline", time.monotonic() + self.timeout)

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
    """Scheme, host and port of the website's callback; without the port on this machine."""


async def sign_in(
    browser: Browser, transport: Transport, identity: Identity, purpose: Purpose
) -> SignIn:
    """Signs in at the waiting page that is open, and waits until the browser is at the website."""
    issuer = identity.issuer
    try:
        waiting = await read_waiting_page(browser, issuer)
        proof = await proof_of(browser, issuer, waiting)
    except BrowserLate:
        raise too_late() from None
    request = waiting.request
    cookie = Secret(f"{proof.name}={proof.value}")
    call = purpose.call(identity, request.request_id, cookie)
    binding = await authenticate(transport, issuer, call, purpose.deadline)
    await _left(browser, issuer, request, purpose.deadline)
    return SignIn(request.request_id, binding, request.client_name, request.redirect_origin)


async def _left(
    browser: Browser, issuer: Issuer, request: WaitingRequest, deadline: float
) -> None:
    """Waits until the browser shows a page of the website, or of where that has sent it on to."""
    shown: _Shown = "waiting page"  # it did when the call was made
    try:
        while True:
            shown = _shown(issuer, await browser.address(), request)
            if shown == "website":
                return
            if time.monotonic() > deadline:
                break
            await browser.pause(_LOOK_AGAIN)
    except BrowserGone:
        raise PageClosed("signed in, but the page was closed before it went on") from None
    except BrowserLate:
        pass  # what it showed last is what is known
    raise _still_waits() if shown == "waiting page" else _went_astray(request)


def _still_waits() -> RedirectTimeout:
    return RedirectTimeout(
        "signed in, but the browser did not go on to the website in time: reload the page"
    )


def _went_astray(request: WaitingRequest) -> RedirectFailed:
    return RedirectFailed(
        f"signed in, but the browser shows no page of {request.redirect_origin}: the website did "
        "not answer, or the page was led elsewhere. Start again from the website"
    )


def _shown(issuer: Issuer, address: str, request: WaitingRequest) -> _Shown:
    """What a browser at that address shows: `website` is also a page that the website has sent it on to.

    An error page of the browser is none, nor is one of the issuer's, unless the website is on its origin.
    """
    place = place_of(issuer, address)
    if place is not None and place.request_id in (None, request.request_id):
        return "waiting page"  # reloaded perhaps: its address then has its id
    if issuer.path_of(address) is not None:
        # On this machine the website's origin is told without its port.
        without_port = f"{issuer.origin.partition(':')[0]}://{issuer.host}"
        is_website = request.redirect_origin in (issuer.origin, without_port)
    else:
        is_website = address.startswith(("https://", "http://"))
    return "website" if is_website else "another page"
