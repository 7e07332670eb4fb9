"""What can go wrong. No error holds a secret, a code or a cookie: each may be shown to a model."""

import math
from typing import ClassVar

__all__ = [
    "AccessDenied",
    "AuthAgentError",
    "BindingRequired",
    "BrowserMismatch",
    "ChallengeRequired",
    "ConfigurationError",
    "InvalidAgent",
    "InvalidRequest",
    "NotAWaitingPage",
    "NotThisBrowser",
    "NothingSent",
    "OriginMismatch",
    "PageChanged",
    "PageClosed",
    "RedirectFailed",
    "RedirectTimeout",
    "Refused",
    "RequestClosed",
    "RequestExpired",
    "SignInError",
    "SlowDown",
    "Unavailable",
    "UnexpectedAnswer",
    "UnknownRequest",
    "UnsupportedPage",
    "WrongIssuer",
]


class AuthAgentError(Exception):
    """Every error of this package."""

    error: ClassVar[str] = "error"
    """A word for programs. It stays the same from version to version."""

    error_description: str
    """What happened, on one line: in the issuer's words where it is the issuer's refusal."""

    def __init__(self, error_description: str) -> None:
        super().__init__(error_description)
        self.error_description = error_description


class ConfigurationError(AuthAgentError, ValueError):
    """A setting is missing or wrong. Nothing was sent anywhere."""

    error = "configuration"


class SignInError(AuthAgentError):
    """The agent is not signed in, or (see `authenticated`) the browser did not go on."""

    error = "sign_in"

    authenticated: ClassVar[bool] = False
    """Whether the agent was authenticated all the same, and only what came after it failed."""

    retry_after: float | None
    """When to try again at the earliest, in seconds from then, if the issuer said so (RFC 9110 §10.2.3)."""

    def __init__(self, error_description: str, *, retry_after: float | None = None) -> None:
        super().__init__(error_description)
        self.retry_after = retry_after


class NothingSent(SignInError):
    """Decided here, before anything of the agent's was sent to anybody.

    With a browser nothing at all was; without one, no more than the opening of the issuer's own
    `/authorize?…`, to which the website redirects.
    """

    error = "nothing_sent"


class UnsupportedPage(NothingSent):
    """What was given is not a page of a library that is supported, or it is a frame."""

    error = "unsupported_page"


class WrongIssuer(NothingSent):
    """The browser's page is not of the configured issuer. Do not sign in there."""

    error = "wrong_issuer"


class NotAWaitingPage(NothingSent):
    """The page is of the issuer, but no request waits on it."""

    error = "not_a_waiting_page"


class PageChanged(NothingSent):
    """The page went elsewhere, was closed, or did not answer, while it was read."""

    error = "page_changed"


class NotThisBrowser(NothingSent):
    """The browser holds no cookie of the page's request: another browser opened that request."""

    error = "not_this_browser"


class Refused(SignInError):
    """The issuer's refusal, by its own word and in its own words; the page stays open."""

    error = "refused"

    advice: ClassVar[str] = ""
    """What to do about it."""

    def __str__(self) -> str:
        said = f": {self.error_description.rstrip('.')}" if self.error_description else ""
        wait = "" if self.retry_after is None else f" It may come {when(self.retry_after)}."
        return f"refused, {self.error}{said}. {self.advice}{wait}"


class InvalidRequest(Refused):
    """The call itself is at fault, such as an `expected_origin` that is none."""

    error = "invalid_request"
    advice = "This is a fault of the call, see its description."


class InvalidAgent(Refused):
    """There is no such agent, or the secret is wrong: the issuer does not tell which."""

    error = "invalid_agent"
    advice = "Check the agent id and secret; an administrator can rotate the secret."


class AccessDenied(Refused):
    """The agent or its owner is suspended or revoked, or may not sign in to that website."""

    error = "access_denied"
    advice = (
        "Ask the administrator: the agent is suspended, revoked, or not allowed to sign in there."
    )


class UnknownRequest(Refused):
    """The issuer does not know the request."""

    error = "unknown_request"
    advice = "Start again from the website."


class RequestExpired(Refused):
    """No agent signed in while the request lived."""

    error = "request_expired"
    advice = "Start again from the website."


class RequestClosed(Refused):
    """Another agent has authenticated the request, or it was denied."""

    error = "request_closed"
    advice = "Start again from the website: another agent was first, or it was denied."


class BrowserMismatch(Refused):
    """The cookie is not the one that the request was opened with."""

    error = "browser_mismatch"
    advice = "Start again from the website, in the browser that this agent drives."


class BindingRequired(Refused):
    """The website or the agent demands a closer binding to the browser."""

    error = "binding_required"
    advice = "Start again from the website, in the browser that this agent drives."


class OriginMismatch(Refused):
    """The request is of another website than the agent means to sign in to."""

    error = "origin_mismatch"
    advice = "Do not sign in: the page is not of the website that was meant."


class SlowDown(Refused):
    """A limit is reached, and waiting as long as the issuer asked for would take too long."""

    error = "slow_down"
    advice = "Wait before the next try; the page stays open."


class ChallengeRequired(SignInError):
    """The issuer asks for a second factor, which this library does not answer yet."""

    error = "challenge_required"


class Unavailable(SignInError):
    """The issuer or the browser did not answer, in spite of repeating what is safe to repeat."""

    error = "unavailable"


class UnexpectedAnswer(SignInError):
    """What answered does not do so as the issuer would."""

    error = "unexpected_answer"


class RedirectTimeout(SignInError):
    """Signed in, but the browser did not go on to the website in time."""

    error = "redirect_timeout"
    authenticated = True


class RedirectFailed(SignInError):
    """Signed in, but the browser shows no page of the website, such as one of the browser's errors."""

    error = "redirect_failed"
    authenticated = True


class PageClosed(SignInError):
    """Signed in, but the page was closed before it went on."""

    error = "page_closed"
    authenticated = True


def when(retry_after: float | None) -> str:
    """When to try again, in words. Not public."""
    return "later" if retry_after is None else f"in {math.ceil(retry_after)} s"


REFUSALS: dict[str, type[Refused]] = {
    refusal.error: refusal
    for refusal in (
        InvalidRequest,
        InvalidAgent,
        AccessDenied,
        UnknownRequest,
        RequestExpired,
        RequestClosed,
        BrowserMismatch,
        BindingRequired,
        OriginMismatch,
        SlowDown,
    )
}
"""The issuer's refusals by its own words for them. Not public."""
