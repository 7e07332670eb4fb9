"""A `BrowserSession` of browser-use, over the DevTools protocol, without importing browser-use."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

from ..errors import UnsupportedPage
from .browser import BrowserGone, Cookie, answered, read_cookie

_TRIES = 3


class BrowserSession(Protocol):
    """A started `BrowserSession` of browser-use; the page is the tab that its agent looks at."""

    def get_or_create_cdp_session(
        self, target_id: None = None, focus: bool = True
    ) -> Awaitable[Any]: ...


class BrowserUseBrowser:
    """One tab: the one that is looked at when the first question is asked."""

    def __init__(self, session: BrowserSession, deadline: float) -> None:
        self._session = session
        self._deadline = deadline
        self._tab: Any = None

    async def address(self) -> str:
        # The committed document's address: a target's may be one that is only on its way.
        for tries_left in reversed(range(_TRIES)):
            try:
                tree = await self._ask("Page.getFrameTree")
                return str(tree["frameTree"]["frame"]["url"])
            except BrowserGone:
                # A question that is under way while the tab goes elsewhere may be lost.
                if not tries_left or not await self._is_there():
                    raise
        raise BrowserGone

    async def evaluate(self, expression: str) -> object:
        try:
            answer = await self._ask(
                "Runtime.evaluate", {"expression": expression, "returnByValue": True}
            )
        except BrowserGone:
            return None
        found: object = answer["result"].get("value")
        return found

    async def cookies(self, origin: str) -> list[Cookie]:
        answer = await self._ask("Network.getCookies", {"urls": [f"{origin}/"]})
        return [read_cookie(found) for found in answer["cookies"]]

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _ask(self, method: str, params: dict[str, Any] | None = None) -> Any:
        tab = await self._focused()
        question = tab.cdp_client.send_raw(method, params, session_id=tab.session_id)
        return await answered(question, self._deadline)

    async def _is_there(self) -> bool:
        tab = await self._focused()
        question = tab.cdp_client.send_raw("Target.getTargetInfo", {"targetId": tab.target_id})
        try:
            await answered(question, self._deadline)
        except BrowserGone:
            return False
        return True

    async def _focused(self) -> Any:
        if self._tab is None:
            self._tab = await answered(self._find(), self._deadline)
        return self._tab

    async def _find(self) -> Any:
        try:
            return await self._session.get_or_create_cdp_session(focus=False)
        except AssertionError:
            raise UnsupportedPage(
                "the BrowserSession is not started: await its start() first"
            ) from None
