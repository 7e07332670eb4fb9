"""Pages of Playwright, described by what is used of them, so that Playwright is no dependency."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from .browser import BrowserGone, Cookie, answered, read_cookie


class _Context(Protocol):
    def cookies(self, urls: str, /) -> Sequence[Mapping[str, Any]]: ...


class _AsyncContext(Protocol):
    def cookies(self, urls: str, /) -> Awaitable[Sequence[Mapping[str, Any]]]: ...


class PlaywrightPage(Protocol):
    """A `Page` of `playwright.sync_api`."""

    @property
    def url(self) -> str: ...
    @property
    def context(self) -> _Context: ...
    def evaluate(self, expression: str, /) -> Any: ...
    def is_closed(self) -> bool: ...
    def wait_for_timeout(self, timeout: float, /) -> None: ...


class AsyncPlaywrightPage(Protocol):
    """A `Page` of `playwright.async_api`."""

    @property
    def url(self) -> str: ...
    @property
    def context(self) -> _AsyncContext: ...
    def evaluate(self, expression: str, /) -> Awaitable[Any]: ...
    def is_closed(self) -> bool: ...


class PlaywrightBrowser:
    """The sync library. It hears of navigations only while it is asked something."""

    def __init__(self, page: PlaywrightPage) -> None:
        self._page = page

    async def address(self) -> str:
        if self._page.is_closed():
            raise BrowserGone
        return self._page.url

    async def evaluate(self, expression: str) -> object:
        try:
            return self._page.evaluate(expression)
        except Exception as error:
            # Called in another thread than its own: that is the caller's fault, and said by its name.
            if type(error).__module__.startswith("greenlet"):
                raise
            return None  # the page went elsewhere; what it is now is looked at next

    async def cookies(self, origin: str) -> list[Cookie]:
        try:
            return [read_cookie(found) for found in self._page.context.cookies(f"{origin}/")]
        except Exception:
            raise BrowserGone from None

    async def pause(self, seconds: float) -> None:
        try:
            self._page.wait_for_timeout(seconds * 1000)
        except Exception:
            raise BrowserGone from None


class AsyncPlaywrightBrowser:
    """The async library."""

    def __init__(self, page: AsyncPlaywrightPage, deadline: float) -> None:
        self._page = page
        self._deadline = deadline

    async def address(self) -> str:
        if self._page.is_closed():
            raise BrowserGone
        return self._page.url

    async def evaluate(self, expression: str) -> object:
        try:
            return await answered(self._page.evaluate(expression), self._deadline)
        except BrowserGone:
            return None

    async def cookies(self, origin: str) -> list[Cookie]:
        found = await answered(self._page.context.cookies(f"{origin}/"), self._deadline)
        return [read_cookie(cookie) for cookie in found]

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
