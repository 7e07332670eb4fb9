"""Sign in with Auth Agent: the agent's side.

It signs in where the browser that the agent drives waits. It sends nothing to any address but the
configured issuer's, and nothing at all unless the browser's own top-level page is a waiting page of that
issuer and that browser holds its cookie.
"""

from ._agent import AsyncAuthAgent, AuthAgent
from ._authenticate import Binding
from ._over_http import HttpSignIn
from ._sign_in import SignIn
from ._waiting_page import WaitingRequest
from .drivers import (
    AsyncPage,
    AsyncPlaywrightPage,
    BrowserSession,
    Page,
    PlaywrightPage,
    WebDriver,
)
from .errors import (
    AccessDenied,
    AuthAgentError,
    BindingRequired,
    BrowserMismatch,
    ChallengeRequired,
    ConfigurationError,
    InvalidAgent,
    InvalidRequest,
    NotAWaitingPage,
    NothingSent,
    NotThisBrowser,
    OriginMismatch,
    PageChanged,
    PageClosed,
    RedirectFailed,
    RedirectTimeout,
    Refused,
    RequestClosed,
    RequestExpired,
    SignInError,
    SlowDown,
    Unavailable,
    UnexpectedAnswer,
    UnknownRequest,
    UnsupportedPage,
    WrongIssuer,
)

__all__ = [
    "AccessDenied",
    "AsyncAuthAgent",
    "AsyncPage",
    "AsyncPlaywrightPage",
    "AuthAgent",
    "AuthAgentError",
    "Binding",
    "BindingRequired",
    "BrowserMismatch",
    "BrowserSession",
    "ChallengeRequired",
    "ConfigurationError",
    "HttpSignIn",
    "InvalidAgent",
    "InvalidRequest",
    "NotAWaitingPage",
    "NotThisBrowser",
    "NothingSent",
    "OriginMismatch",
    "Page",
    "PageChanged",
    "PageClosed",
    "PlaywrightPage",
    "RedirectFailed",
    "RedirectTimeout",
    "Refused",
    "RequestClosed",
    "RequestExpired",
    "SignIn",
    "SignInError",
    "SlowDown",
    "Unavailable",
    "UnexpectedAnswer",
    "UnknownRequest",
    "UnsupportedPage",
    "WaitingRequest",
    "WebDriver",
    "WrongIssuer",
]
