"""The libraries that drive a browser. A page is known by what it can do: none of them is imported."""

import inspect
import math

from ..errors import UnsupportedPage
from .browser import Browser
from .browser_use import BrowserSession, BrowserUseBrowser
from .playwright import (
    AsyncPlaywrightBrowser,
    AsyncPlaywrightPage,
    PlaywrightBrowser,
    PlaywrightPage,
)
from .selenium import SeleniumBrowser, WebDriver

__all__ = [
    "AsyncPage",
    "AsyncPlaywrightPage",
    "BrowserSession",
    "Page",
    "PlaywrightPage",
    "WebDriver",
    "async_browser_of",
    "browser_of",
]

Page = PlaywrightPage | WebDriver
"""What the synchronous agent signs in with: a page of Playwright, or a driver of Selenium."""

AsyncPage = AsyncPlaywrightPage | BrowserSession
"""What the asynchronous agent signs in with: a page of Playwright, or a session of browser-use."""


def browser_of(page: Page) -> Browser:
    """The browser behind a page of a synchronous library.

    Raises:
        UnsupportedPage: unless it is a page of one of them.
    """
    given: object = page  # whatever its type says
    if _is_playwright_page(given) and not _is_async(given):
        return PlaywrightBrowser(given)  # type: ignore[arg-type]
    if _has(given, "current_url", "execute_script", "get_cookies"):
        return SeleniumBrowser(given)  # type: ignore[arg-type]
    raise UnsupportedPage(
        "give the Page of Playwright's sync library or the WebDriver of Selenium itself: not a "
        "frame, and not an address; for an asynchronous library there is AsyncAuthAgent"
    )


def async_browser_of(page: AsyncPage, deadline: float = math.inf) -> Browser:
    """The browser behind a page of an asynchronous library.

    Args:
        deadline: when it is not waited for any more, by `time.monotonic()`.

    Raises:
        UnsupportedPage: unless it is a page of one of them.
    """
    given: object = page
    if _is_playwright_page(given) and _is_async(given):
        return AsyncPlaywrightBrowser(given, deadline)  # type: ignore[arg-type]
    if _has(given, "get_or_create_cdp_session"):
        return BrowserUseBrowser(given, deadline)  # type: ignore[arg-type]
    raise UnsupportedPage(
        "give the Page of Playwright's async library or the BrowserSession of browser-use itself: "
        "not a frame, and not an address; for a synchronous library there is AuthAgent"
    )


def _is_playwright_page(given: object) -> bool:
    return _has(given, "url", "evaluate", "is_closed", "context")


def _is_async(given: object) -> bool:
    return inspect.iscoroutinefunction(getattr(type(given), "evaluate", None))


def _has(given: object, *names: str) -> bool:
    # Of the type, as properties of an instance may ask the browser.
    return all(hasattr(type(given), name) for name in names)
