"""HTTP to the issuer, with and without an event loop."""

import asyncio
import os
import time
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

import httpx

from ._issuer import Issuer

T = TypeVar("T")

ANSWER_WITHIN = 15.0
"""Seconds that one request may wait for its answer."""


class Lost(Exception):
    """The request or its answer did not get through. It says why, and holds nothing of either."""


class Transport(Protocol):
    """Sends requests. Redirects are not followed: what a request holds goes to the issuer alone."""

    async def send(self, request: httpx.Request, within: float) -> httpx.Response:
        """Sends it, and reads the answer.

        Raises:
            Lost: if there is none within so many seconds.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits between two tries."""
        ...


class SyncTransport:
    """For `run`: it never waits for an event loop."""

    def __init__(self, issuer: Issuer) -> None:
        self._believes_environment = _believes_environment(issuer)

    async def send(self, request: httpx.Request, within: float) -> httpx.Response:
        try:
            with httpx.Client(trust_env=self._believes_environment) as client:
                request.extensions["timeout"] = _timeout(within)
                return client.send(request, follow_redirects=False)
        except httpx.HTTPError as error:
            reason = _reason(error)
        # Beyond the handler, so that the lost request, and what it holds, is no part of the error.
        raise Lost(reason)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class AsyncTransport:
    """For asyncio."""

    def __init__(self, issuer: Issuer) -> None:
        self._believes_environment = _believes_environment(issuer)

    async def send(self, request: httpx.Request, within: float) -> httpx.Response:
        try:
            async with httpx.AsyncClient(trust_env=self._believes_environment) as client:
                request.extensions["timeout"] = _timeout(within)
                sending = client.send(request, follow_redirects=False)
                return await asyncio.wait_for(sending, within)
        except (httpx.HTTPError, asyncio.TimeoutError) as error:
            reason = _reason(error)
        raise Lost(reason)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Carries out a coroutine that never waits for an event loop, as those on sync libraries."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError("a synchronous sign-in waited for an event loop")


def _believes_environment(issuer: Issuer) -> bool:
    # HTTPS_PROXY carries a tunnel that it cannot read; HTTP_PROXY would get the secret itself.
    return issuer.is_https


def _timeout(within: float) -> dict[str, float | None]:
    return httpx.Timeout(within).as_dict()


def _reason(error: Exception) -> str:
    if isinstance(error, (httpx.TimeoutException, asyncio.TimeoutError)):
        return "no answer in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            # Those of name resolution are negative, and have their own words.
            return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
        cause = cause.__cause__ or cause.__context__
    return "the connection failed"
