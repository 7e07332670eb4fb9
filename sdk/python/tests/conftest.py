"""One server, one website and one browser of each library, for all tests."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

# Read when browser-use is imported, which the support of the tests does.
os.environ.update(
    ANONYMIZED_TELEMETRY="false",
    BROWSER_USE_CLOUD_SYNC="false",
    BROWSER_USE_LOGGING_LEVEL="result",
    BROWSER_USE_SETUP_LOGGING="false",
    BROWSER_USE_VERSION_CHECK="false",
)

from support.drivers import DRIVERS, Driver, Tab
from support.fake_issuer import FakeIssuer
from support.issuer import Issuer
from support.website import Website

from auth_agent._transport import AsyncTransport, SyncTransport


@pytest.fixture(scope="session", autouse=True)
def browser_use_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["BROWSER_USE_CONFIG_DIR"] = str(tmp_path_factory.mktemp("browser-use"))


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    with Issuer() as server:
        yield server


@pytest.fixture(scope="session")
def website(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    with Website(issuer, tmp_path_factory.mktemp("website") / "log") as server:
        yield server


@pytest.fixture(scope="session")
def agent(issuer: Issuer) -> dict[str, str]:
    """Arguments of an agent that is registered."""
    return arguments(issuer, issuer.agent())


def arguments(issuer: Issuer, registered: dict[str, str]) -> dict[str, str]:
    return {
        "issuer": issuer.url,
        "agent_id": registered["agent_id"],
        "agent_secret": registered["agent_secret"],
        "model": "claude-opus-4",
    }


@pytest_asyncio.fixture(scope="session", params=DRIVERS)
async def driver(request: pytest.FixtureRequest) -> AsyncIterator[Driver]:
    started = DRIVERS[request.param]()
    await started.start()
    yield started
    await started.stop()


@pytest_asyncio.fixture
async def tab(driver: Driver) -> AsyncIterator[Tab]:
    opened = await driver.tab()
    yield opened
    await opened.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Every request that this process begins to send with httpx, in order."""
    requests: list[httpx.Request] = []
    for kind in (httpx.Client, httpx.AsyncClient):
        send: Any = kind.send

        def recording(
            client: Any, request: httpx.Request, *args: Any, _send: Any = send, **options: Any
        ) -> Any:
            requests.append(request)
            return _send(client, request, *args, **options)

        monkeypatch.setattr(kind, "send", recording)
    return requests


@pytest.fixture
def fake() -> Iterator[FakeIssuer]:
    with FakeIssuer() as issuer:
        yield issuer


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between two tries, which are not waited for."""
    waited: list[float] = []

    async def sleep(transport: object, seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(SyncTransport, "sleep", sleep)
    monkeypatch.setattr(AsyncTransport, "sleep", sleep)
    return waited
