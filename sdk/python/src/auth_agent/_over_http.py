"""A sign-in without a browser: the program that holds the cookie is what waits."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import CookieError, SimpleCookie

import httpx

from ._answer import failed, is_passing, object_of, retry_after
from ._authenticate import authenticate
from ._issuer import Issuer
from ._repeat import Again, repeated, time_for_an_answer
from ._secret import Secret
from ._sign_in import Identity, Purpose, SignIn
from ._text import one_line
from ._transport import Lost, Transport
from ._waiting_page import REQUEST_ID, Place, WaitingRequest, place_of, request_cookie, request_of
from .drivers.browser import Cookie
from .errors import (
    NotAWaitingPage,
    RedirectFailed,
    RedirectTimeout,
    Unavailable,
    UnexpectedAnswer,
    WrongIssuer,
    when,
)


@dataclass(frozen=True)
class HttpSignIn(SignIn):
    """A sign-in that is done, and the way back to the website."""

    redirect_to: str = field(repr=False)
    """The website's callback, to be opened in the session that began the sign-in. It holds a code that
    is good for one minute: show it to no model, and write it to no log."""


async def sign_in_over_http(
    transport: Transport, identity: Identity, authorize_url: str, purpose: Purpose
) -> HttpSignIn:
    """Opens the address, signs in at the page that it shows, and asks where that leads."""
    issuer = identity.issuer
    page = await _get(transport, _checked(issuer, authorize_url), purpose.deadline)
    request = _waiting(page)
    cookie = request_cookie(_cookies(page, issuer), issuer, request.request_id)
    proof = Secret(f"{cookie.name}={cookie.value}")
    call = purpose.call(identity, request.request_id, proof)
    binding = await authenticate(transport, issuer, call, purpose.deadline)
    redirect_to = await _redirect(transport, issuer, request.request_id, proof, purpose.deadline)
    return HttpSignIn(
        request_id=request.request_id,
        binding=binding,
        client_name=request.client_name,
        redirect_origin=request.redirect_origin,
        redirect_to=redirect_to,
    )


def _checked(issuer: Issuer, authorize_url: str) -> str:
    """The address as it is sent, once that is known to be the issuer's."""
    try:
        address = str(httpx.URL(authorize_url))
    except (httpx.InvalidURL, TypeError):
        address = ""
    if issuer.path_of(address) is None:
        raise WrongIssuer(
            f"the address is not of the configured issuer {issuer.identifier}: nothing was sent. "
            "Do not sign in there"
        )
    if place_of(issuer, address) != Place(None):
        raise NotAWaitingPage(
            f"the address is not {issuer.identifier}/authorize?…, to which the website redirects: "
            "nothing was sent"
        )
    return address


async def _get(transport: Transport, address: str, deadline: float) -> httpx.Response:
    within = time_for_an_answer(deadline)
    try:
        return await transport.send(httpx.Request("GET", address), within)
    except Lost as lost:
        reason, reached = str(lost), lost.reached
    if not reached:
        raise Unavailable(f"the issuer cannot be reached: {reason}")
    raise Unavailable(
        f"the issuer gave no answer: {reason}. Starting again from the website is safe"
    )


def _waiting(page: httpx.Response) -> WaitingRequest:
    if page.is_redirect:
        raise UnexpectedAnswer(_said_by_redirect(page))
    if is_passing(page):
        after = retry_after(page)
        said = f"the issuer answers {page.status_code}: try again {when(after)}"
        raise Unavailable(said, retry_after=after)
    if page.status_code >= 500:
        raise failed(page.status_code)
    request = request_of(_script(page.text)) if page.status_code == 200 else None
    if request is None or not REQUEST_ID.fullmatch(request.request_id):
        raise NotAWaitingPage(
            f"the issuer answers {page.status_code} and shows no open request: start again from "
            "the website"
        )
    return request


def _said_by_redirect(page: httpx.Response) -> str:
    # Whoever built the request is told by way of its redirect URI; its error is all that we say.
    try:
        said = httpx.URL(page.headers.get("location", "")).params
    except httpx.InvalidURL:
        said = httpx.QueryParams()
    if not said.get("error"):
        return "the issuer answered with a redirect: is the issuer's address right?"
    error = f"{said['error']}: {said.get('error_description', '')}"
    return f"the issuer refuses the website's request: {one_line(error)}"


async def _redirect(
    transport: Transport, issuer: Issuer, request_id: str, cookie: Secret, deadline: float
) -> str:
    """Asks where the sign-in leads, again if need be: each answer holds a new code in place of the last."""
    address = f"{issuer.identifier}/api/check-status?request_id={request_id}"

    async def once(within: float) -> str | Again:
        request = httpx.Request("GET", address, headers={"cookie": cookie.reveal()})
        try:
            response = await transport.send(request, within)
        except Lost as lost:
            return Again(_not_said(str(lost)))
        if is_passing(response):
            error = _not_said(f"it answers {response.status_code}", retry_after(response))
            return Again(error)
        return _redirect_of(response)

    try:
        return await repeated(transport, once, deadline)
    except Unavailable:
        raise _not_said("no answer in time") from None


def _redirect_of(response: httpx.Response) -> str:
    answer = object_of(response)
    status, redirect_to = answer.get("status"), answer.get("redirect_to")
    if status in ("denied", "expired"):  # the way back then holds an error, and no code
        raise RedirectFailed(
            f"signed in, but the request is {status} since then: start again from the website"
        )
    if not isinstance(redirect_to, str):
        raise _not_said(f"it answers {response.status_code} without an address")
    return redirect_to


def _not_said(reason: str, after: float | None = None) -> RedirectTimeout:
    return RedirectTimeout(
        f"signed in, but the issuer did not say where that leads: {reason}. "
        "Start again from the website",
        retry_after=after,
    )


def _cookies(page: httpx.Response, issuer: Issuer) -> list[Cookie]:
    return [
        Cookie(
            name=name,
            value=morsel.value,
            domain=morsel["domain"] or issuer.host,
            path=morsel["path"],
            http_only=bool(morsel["httponly"]),
            secure=bool(morsel["secure"]),
        )
        for line in page.headers.get_list("set-cookie")
        for name, morsel in _read_cookie(line).items()
    ]


def _read_cookie(line: str) -> SimpleCookie:
    try:
        return SimpleCookie(line)
    except CookieError:
        return SimpleCookie()


class _Script(HTMLParser):
    """Finds `<script type="application/json" id="auth-agent-request">`."""

    def __init__(self) -> None:
        super().__init__()
        self.text: str | None = None
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {("type", "application/json"), ("id", "auth-agent-request")}
        self._inside = tag == "script" and self.text is None and wanted <= set(attrs)

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.text = (self.text or "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = False


def _script(html: str) -> str | None:
    parser = _Script()
    parser.feed(html)
    parser.close()
    return parser.text
