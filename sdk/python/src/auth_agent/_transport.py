"""HTTP to the issuer, with and without an event loop."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import httpx

from ._issuer import Issuer
from .errors import ConfigurationError

T = TypeVar("T")

_LONGEST_ANSWER = 1024 * 1024  # bytes


class Lost(Exception):
    """The request or its answer did not get through. It says why, and holds nothing of either."""

    def __init__(self, reason: str, *, reached: bool = True) -> None:
        super().__init__(reason)
        self.reached = reached
        """False if there was no connection, so that the request cannot have arrived."""


class Transport(Protocol):
    """Sends requests. Redirects are not followed: what a request holds goes to the issuer alone."""

    async def send(self, request: httpx.Request, within: float) -> httpx.Response:
        """Sends it, and reads the answer.

        Raises:
            Lost: if there is none within so many seconds, the way to it included.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits between two tries."""
        ...


class AsyncTransport:
    """For asyncio."""

    def __init__(self, issuer: Issuer) -> None:
        self._believes_environment = _believes_environment(issuer)

    async def send(self, request: httpx.Request, within: float) -> httpx.Response:
        try:
            async with _client(self._believes_environment) as client:
                return await asyncio.wait_for(_received(client, request), within)
        except (httpx.HTTPError, asyncio.TimeoutError) as error:
            reason = _reason(error)
            reached = not isinstance(error, (httpx.ConnectError, httpx.ProxyError))
        # Beyond the handler, so that the lost request, and what it holds, is no part of the error.
        raise Lost(reason, reached=reached)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SyncTransport:
    """For `run`: it never waits for an event loop of the caller's.

    A request is sent by one of its own, since httpx bounds each step of a request without a loop, but not
    all of it.
    """

    def __init__(self, issuer: Issuer) -> None:
        self._transport = AsyncTransport(issuer)

    async def send(self, request: httpx.Request, within: float) -> httpx.Response:
        return _in_a_loop_of_its_own(self._transport.send(request, within))

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _in_a_loop_of_its_own(work: Coroutine[Any, Any, T]) -> T:
    """Waits for a coroutine that does wait for an event loop.

    It is carried out in another thread, as this one may have a loop that runs: in Playwright's sync
    library it has.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)

    def carry_out() -> T:
        try:
            return loop.run_until_complete(task)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())

    try:
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(carry_out)
            try:
                return done.result()
            finally:
                # Whoever interrupts this thread does not wait for the answer. When it is there, this is
                # of no effect.
                loop.call_soon_threadsafe(task.cancel)
    finally:
        # What looks up a name cannot be interrupted: it is left alone, and not waited for.
        loop.close()


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


def _client(trust_env: bool) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(trust_env=trust_env, timeout=None)  # `send` bounds all of it
    except ImportError:
        reason = "a SOCKS proxy needs httpx[socks]"
    except OSError:
        reason = "the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read"
    except (ValueError, httpx.InvalidURL):  # their text may hold the proxy's password
        reason = "the proxy of HTTPS_PROXY or ALL_PROXY is not understood"
    raise ConfigurationError(f"the environment does not let httpx work: {reason}")


async def _received(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    response = await client.send(request, stream=True, follow_redirects=False)
    content = b""
    async for chunk in response.aiter_bytes():
        if len(content) + len(chunk) > _LONGEST_ANSWER:
            raise Lost("the answer is longer than 1 MiB")
        content += chunk
    return _whole(response, content)


def _whole(response: httpx.Response, content: bytes) -> httpx.Response:
    # It is decoded by now.
    fields = response.headers.multi_items()
    headers = [(name, value) for name, value in fields if name.lower() != "content-encoding"]
    return httpx.Response(response.status_code, headers=headers, content=content)


def _reason(error: Exception) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(error, httpx.ProxyError):
        return "the proxy of HTTPS_PROXY or ALL_PROXY does not let it through"
    cause: BaseException | None = error
    while cause is not None:
        # Both are an OSError, with numbers of their own.
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, (ssl.SSLError, socket.gaierror)):
            return str(cause.strerror)
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return "the connection failed"
