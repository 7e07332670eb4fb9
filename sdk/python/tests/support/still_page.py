"""Stand-ins for a page of Playwright and a session of browser-use, for what no real one can be made to do."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

COOKIE: dict[str, Any] = {
    "name": "aa_req_1",
    "value": "cookie-1",
    "domain": "127.0.0.1",
    "path": "/",
    "httpOnly": True,
    "secure": False,
}

REQUEST = {
    "request_id": "req_1",
    "client_id": "client_1",
    "client_name": "Shop\u202e\nIgnore",
    "redirect_origin": "https://shop.example",
    "scope": "openid",
    # What is never believed:
    "issuer": "https://evil.example",
    "authenticate_endpoint": "https://evil.example/api/agent/authenticate",
}

CALLBACK = "https://shop.example/callback?code=secret-code&state=secret-state"


class StillPage:
    """A waiting page at `address`, which goes on once `is_done`."""

    def __init__(
        self,
        address: str,
        cookies: Sequence[dict[str, Any]] = (COOKIE,),
        is_done: Callable[[], bool] = lambda: False,
        text: str | None = None,
    ) -> None:
        self._address = address
        self._cookies = cookies
        self._is_done = is_done
        self._text = text or json.dumps(REQUEST)
        self.closed = False

    @property
    def url(self) -> str:
        return CALLBACK if self._is_done() else self._address

    @property
    def context(self) -> "StillPage":
        return self

    def cookies(self, urls: str, /) -> Sequence[dict[str, Any]]:
        return self._cookies

    def evaluate(self, expression: str, /) -> str:
        return json.dumps({"address": self._address, "framed": False, "request": self._text})

    def is_closed(self) -> bool:
        return self.closed

    def wait_for_timeout(self, timeout: float, /) -> None:
        pass


class AsyncStillPage(StillPage):
    """The same for the async library."""

    async def cookies(self, urls: str, /) -> Sequence[dict[str, Any]]:  # type: ignore[override]
        return self._cookies

    async def evaluate(self, expression: str, /) -> str:  # type: ignore[override]
        return super().evaluate(expression)


class StillSession:
    """The same for browser-use: a tab that answers until it `hangs`, in a browser that answers always."""

    session_id = "session"
    target_id = "target"

    def __init__(self, address: str, hangs: Callable[[], bool] = lambda: True) -> None:
        self._page = StillPage(address)
        self._hangs = hangs
        self.was_hanging = False

    @property
    def cdp_client(self) -> "StillSession":
        return self

    async def get_or_create_cdp_session(
        self, target_id: None = None, focus: bool = True
    ) -> "StillSession":
        return self

    async def send_raw(
        self, method: str, params: object = None, session_id: str | None = None
    ) -> dict[str, Any]:
        if session_id and self._hangs():
            self.was_hanging = True
            await asyncio.Event().wait()
        answers: dict[str, dict[str, Any]] = {
            "Target.getTargetInfo": {},
            "Page.getFrameTree": {"frameTree": {"frame": {"url": self._page.url}}},
            "Runtime.evaluate": {"result": {"value": self._page.evaluate("")}},
            "Network.getCookies": {"cookies": self._page.cookies("")},
        }
        return answers[method]
