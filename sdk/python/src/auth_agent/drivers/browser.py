"""What is asked of a browser, whichever library drives it."""

import asyncio
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ..errors import AuthAgentError

T = TypeVar("T")

_ANSWERS_WITHIN = 15.0  # seconds, for one question to a browser


@dataclass(frozen=True)
class Cookie:
    """A cookie as the browser keeps it."""

    name: str
    value: str = field(repr=False)
    domain: str
    """The host; with a dot before it if it is also sent to those below."""
    path: str
    http_only: bool
    secure: bool


def read_cookie(found: Mapping[str, object]) -> Cookie:
    """A cookie as Playwright, WebDriver and the DevTools protocol describe it, all alike."""
    return Cookie(
        name=str(found.get("name")),
        value=str(found.get("value")),
        domain=str(found.get("domain")),
        path=str(found.get("path")),
        http_only=found.get("httpOnly") is True,
        secure=found.get("secure") is True,
    )


class BrowserGone(Exception):
    """The page or its browser is closed, or it did not answer."""


class BrowserLate(Exception):
    """The browser did not answer before the deadline that it was given."""


class Browser(Protocol):
    """One page of a browser.

    The methods are coroutine functions for all libraries, so that the sign-in is written once. Those
    of a synchronous library never wait for an event loop: `run` carries them out without one. Those
    of an asynchronous one end at the deadline that it was made with: each may raise `BrowserLate`.
    """

    async def address(self) -> str:
        """Address of the top-level document, as the browser has it, not as the page says.

        Raises:
            BrowserGone: if there is no such page any more.
        """
        ...

    async def evaluate(self, expression: str) -> object:
        """Runs a JavaScript expression in the top-level document; nothing if it cannot be run."""
        ...

    async def cookies(self, origin: str) -> list[Cookie]:
        """The browser's cookies for `origin`, those that scripts cannot see among them.

        Raises:
            BrowserGone: if they cannot be read.
        """
        ...

    async def pause(self, seconds: float) -> None:
        """Waits, while the browser goes on.

        Raises:
            BrowserGone: if there is nothing to wait for any more.
        """
        ...


async def answered(question: Awaitable[T], deadline: float) -> T:
    """A browser's answer, of an asynchronous library: a browser that hangs must not hang the agent.

    Args:
        deadline: when to give up, by `time.monotonic()`, if that is before the question's own time is up.

    Raises:
        BrowserLate: if it does not come before the deadline.
        BrowserGone: if it does not come in time, or the library says that it failed.
    """
    try:
        return await asyncio.wait_for(question, min(_ANSWERS_WITHIN, deadline - time.monotonic()))
    except AuthAgentError:
        raise
    except Exception:  # each library has errors of its own, and none of them is imported
        late = time.monotonic() >= deadline
    raise BrowserLate if late else BrowserGone
