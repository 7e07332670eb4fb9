"""Selenium's `WebDriver`, described by what is used of it, so that Selenium is no dependency."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from .browser import BrowserGone, Cookie, read_cookie


class WebDriver(Protocol):
    """A `WebDriver` of Selenium, for any browser; the page is that of the window it is switched to."""

    @property
    def current_url(self) -> str: ...
    def execute_script(self, script: str, /) -> Any: ...
    def get_cookies(self) -> Sequence[Mapping[str, Any]]: ...


class SeleniumBrowser:
    """WebDriver tells the address of the top-level document, even when it is switched to a frame."""

    def __init__(self, driver: WebDriver) -> None:
        self._driver = driver

    async def address(self) -> str:
        try:
            address = self._driver.current_url
        except Exception:
            raise BrowserGone from None
        # For an error page Chrome's driver tells the address that could not be opened.
        shown = await self.evaluate("location.href")
        if isinstance(shown, str) and shown.startswith("chrome-error:"):
            return shown
        return address

    async def evaluate(self, expression: str) -> object:
        try:
            return self._driver.execute_script(f"return {expression}")
        except Exception:  # the page went elsewhere; what it is now is looked at next
            return None

    async def cookies(self, origin: str) -> list[Cookie]:
        # WebDriver knows only those of the page that is open, which is the issuer's.
        try:
            return [read_cookie(found) for found in self._driver.get_cookies()]
        except Exception:
            raise BrowserGone from None

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)
