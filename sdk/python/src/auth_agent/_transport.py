"""HTTP to the issuer, with and without an event loop."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

import httpx

from ._issuer import Issuer
from .errors import ConfigurationError

T = TypeVar("T")
C = TypeVar("C", httpx.Client, httpx.AsyncClient)

ANSWER_WITHIN = 15.0
"""Seconds that one request may wait for its answer."""

_LONGEST_ANSWER = 1024 * 1024  # bytes


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
            deadline = time.monotonic() + within
            with _client(httpx.Client, self._believes_environment) as client:
                request.extensions["timeout"] = _timeout(within)
                response = client.send(request, stream=True, follow_redirects=False)
                content = b""
                for chunk in response.iter_bytes():
                    content = _grown(content, chunk, deadline)
                return _whole(response, content)
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
            async with _client(httpx.AsyncClient, self._believes_environment) as client:
                request.extensions["timeout"] = _timeout(within)
                return await asyncio.wait_for(self._receive(client, request, within), within)
        except (httpx.HTTPError, asyncio.TimeoutError) as error:
            reason = _reason(error)
        raise Lost(reason)

    async def _receive(
        self, client: httpx.AsyncClient, request: httpx.Request, within: float
    ) -> httpx.Response:
        deadline = time.monotonic() + within
        response = await client.send(request, stream=True, follow_redirects=False)
        content = b""
        async for chunk in response.aiter_bytes():
            content = _grown(content, chunk, deadline)
        return _whole(response, content)

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


def _client(kind: type[C], trust_env: bool) -> C:
    try:
        return kind(trust_env=trust_env)
    except ImportError:
        reason = "a SOCKS proxy needs httpx[socks]"
    except OSError:
        reason = "the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read"
    except (ValueError, httpx.InvalidURL):  # their text may hold the proxy's password
        reason = "the proxy of HTTPS_PROXY or ALL_PROXY is not understood"
    raise ConfigurationError(f"the environment does not let httpx work: {reason}")


def _grown(content: bytes, chunk: bytes, deadline: float) -> bytes:
    """An answer that comes in pieces ends in time, and within bounds."""
    if time.monotonic() > deadline:
        raise Lost("no answer in time")
    if len(content) + len(chunk) > _LONGEST_ANSWER:
        raise Lost("the answer is longer than 1 MiB")
    return content + chunk


def _whole(response: httpx.Response, content: bytes) -> httpx.Response:
    # It is decoded by now.
    fields = response.headers.multi_items()
    headers = [(name, value) for name, value in fields if name.lower() != "content-encoding"]
    return httpx.Response(response.status_code, headers=headers, content=content)


def _timeout(within: float) -> dict[str, float | None]:
    return httpx.Timeout(within).as_dict()


def _reason(error: Exception) -> str:
    if isinstance(error, (httpx.TimeoutException, asyncio.TimeoutError)):
        return "no answer in time"
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
