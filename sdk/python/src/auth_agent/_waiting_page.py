"""Whether a page is a waiting page of the issuer, and what it waits for."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from ._issuer import Issuer
from ._text import one_line
from .drivers.browser import Browser, BrowserGone, Cookie
from .errors import NotAWaitingPage, NotThisBrowser, PageChanged, UnsupportedPage, WrongIssuer

REQUEST_ID = re.compile(r"req_[A-Za-z0-9_-]{1,128}")
_COOKIE_VALUE = re.compile(r"[\w.~+/=-]+", re.ASCII)

_READ = """(() => {
  const element = document.getElementById('auth-agent-request');
  return JSON.stringify({
    address: location.href,
    framed: window !== window.top,
    request: element instanceof HTMLScriptElement && element.type === 'application/json'
      ? element.textContent : null,
  });
})()"""


@dataclass(frozen=True)
class WaitingRequest:
    """What a waiting page says of its request. Nothing in it is secret."""

    request_id: str
    """`req_…`"""
    client_id: str
    """The website, as it is registered with the issuer: `client_…`."""
    client_name: str
    """What the website calls itself: its own word, hostile perhaps, at most 64 characters."""
    redirect_origin: str
    """Scheme, host and port that the browser goes on to; without the port on this machine."""
    scope: str
    """What the website asks for (RFC 6749 §3.3)."""


@dataclass(frozen=True)
class Waiting:
    """A waiting page that is open in a browser."""

    request: WaitingRequest
    is_unchanged: Callable[[], Awaitable[bool]]
    """Whether the browser still has that same page open."""


@dataclass(frozen=True)
class Place:
    """Which of the issuer's two addresses of a waiting page it is."""

    request_id: str | None
    """None for the first one, `/authorize?…`, which does not say it."""


def place_of(issuer: Issuer, address: str) -> Place | None:
    """The address of a waiting page, taken apart; none if it is not one of this issuer's."""
    path = issuer.path_of(address)
    if path == "/authorize":
        return Place(None)
    request_id = (path or "").removeprefix("/authorize/")
    return Place(request_id) if path and REQUEST_ID.fullmatch(request_id) else None


def request_of(text: object) -> WaitingRequest | None:
    """Reads the object that a waiting page holds for agents: its word, of which nothing is assumed."""
    said = _object(text)
    if said is None:
        return None
    return WaitingRequest(
        request_id=str(said.get("request_id")),
        client_id=one_line(said.get("client_id") or ""),
        client_name=one_line(said.get("client_name") or "", 64),
        redirect_origin=one_line(said.get("redirect_origin") or ""),
        scope=one_line(said.get("scope") or ""),
    )


async def read_waiting_page(browser: Browser, issuer: Issuer) -> Waiting:
    """Reads the request of the waiting page that is open in the browser, and sends nothing.

    The address that counts is the browser's own, of the top-level document; it has to be the same
    before and after the reading, and in the document itself.

    Raises:
        WrongIssuer, NotAWaitingPage, PageChanged, UnsupportedPage: with the reason.
    """
    try:
        address = await browser.address()
    except BrowserGone:
        raise _changed() from None
    if issuer.path_of(address) is None:
        raise WrongIssuer(
            f"this page is of {_origin_of(address)}, not of the configured issuer "
            f"{issuer.identifier}: nothing was sent. Do not sign in here"
        )
    place = place_of(issuer, address)
    if place is None:
        raise NotAWaitingPage("this page of the issuer is not one that waits for an agent")

    found = _object(await browser.evaluate(_READ))
    request = request_of(found.get("request")) if found else None

    def is_same(now: str) -> bool:
        # The page itself replaces its address once, by the one that has its request's id.
        if now == address:
            return True
        then = place_of(issuer, now)
        return (
            place.request_id is None
            and then is not None
            and request is not None
            and then.request_id == request.request_id
        )

    async def is_unchanged() -> bool:
        try:
            return is_same(await browser.address())
        except BrowserGone:
            return False

    if found and found.get("framed") is True:
        raise UnsupportedPage(
            "the driver is in a frame: nothing was sent. Switch to the top-level document first"
        )
    if found is None or not is_same(str(found.get("address"))) or not await is_unchanged():
        raise _changed()
    if request is None or not REQUEST_ID.fullmatch(request.request_id):
        raise NotAWaitingPage(
            "this page of the issuer shows no open request: wait until it has loaded, or start "
            "again from the website"
        )
    if place.request_id not in (None, request.request_id):
        raise NotAWaitingPage("the page's request is not the one of its address")
    return Waiting(request, is_unchanged)


async def proof_of(browser: Browser, issuer: Issuer, waiting: Waiting) -> Cookie:
    """The browser's proof that it opened the request: its cookie of that request.

    Raises:
        NotThisBrowser: if it has none.
        PageChanged: if the page is not the one that was read any more.
    """
    try:
        cookies = await browser.cookies(issuer.origin)
    except BrowserGone:
        raise _changed() from None
    if not await waiting.is_unchanged():
        raise _changed()
    return request_cookie(cookies, issuer, waiting.request.request_id)


def request_cookie(cookies: list[Cookie], issuer: Issuer, request_id: str) -> Cookie:
    """Picks the cookie by which the issuer knows the browser that opened the request.

    It is `aa_<request id>`, on https with the prefix `__Host-` (RFC 6265bis §4.1.3.2), and counts
    only if nobody but the issuer's own host can have set it.

    Raises:
        NotThisBrowser: if there is none.
    """
    name = f"{'__Host-' if issuer.is_https else ''}aa_{request_id}"
    for cookie in cookies:
        if (
            cookie.name == name
            and cookie.domain == issuer.host
            and cookie.path == "/"
            and cookie.http_only
            and (cookie.secure or not issuer.is_https)
            and _COOKIE_VALUE.fullmatch(cookie.value)
        ):
            return cookie
    raise NotThisBrowser(
        "this browser holds no cookie of the page's request, so it is not the one that opened it: "
        "nothing of the agent's was sent. Start again from the website, in this browser"
    )


def _changed() -> PageChanged:
    return PageChanged(
        "the page went elsewhere, was closed, or did not answer, while it was read: nothing was sent"
    )


def _origin_of(address: str) -> str:
    try:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and parts.netloc:
            host = parts.netloc.rpartition("@")[2]
            return one_line(f"{parts.scheme}://{host}", 100)
    except ValueError:
        return "another address"
    return one_line(f"a {parts.scheme}: address", 100) if parts.scheme else "no website"


def _object(text: object) -> dict[str, object] | None:
    if not isinstance(text, str):
        return None
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast(dict[str, object], value) if isinstance(value, dict) else None
