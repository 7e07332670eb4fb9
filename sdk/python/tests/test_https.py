"""An issuer on https, as it is in production: its cookies have the prefix `__Host-`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from conftest import arguments
from support.drivers import Tab, until
from support.issuer import Issuer
from support.recorder import Recorder
from support.tls import TlsFront, certificate

from auth_agent import AuthAgent, Unavailable, WrongIssuer


@dataclass
class Https:
    issuer: Issuer
    agent: dict[str, str]
    callback: str
    client_id: str

    def authorize(self) -> str:
        return self.issuer.authorize(self.client_id, self.callback)


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def https(trusted: Path) -> Iterator[Https]:
    website = Recorder("127.0.0.2", lambda: "<title>Website</title>Hello")
    with TlsFront(trusted) as front, Issuer(front.url) as issuer, website:
        front.to = issuer.address
        callback = f"http://127.0.0.2:{website.port}/callback"
        agent = arguments(issuer, issuer.agent())
        yield Https(issuer, agent, callback, issuer.client(callback)["client_id"])


async def test_an_agent_signs_in_with_the_cookie_that_no_other_host_can_set(
    tab: Tab,
    https: Https,
    trusted: Path,
    sent: list[httpx.Request],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    await tab.goto(https.authorize())
    http = {**https.agent, "issuer": https.agent["issuer"].replace("https:", "http:")}
    with pytest.raises(WrongIssuer):
        await tab.sign_in(http)
    assert sent == []

    done = await tab.sign_in(https.agent)
    assert done.binding == "browser"
    assert sent[0].headers["cookie"].startswith(f"__Host-aa_{done.request_id}=")
    await until(tab, "document.title === 'Website'")


def test_a_certificate_that_is_not_trusted_gets_nothing(https: Https) -> None:
    with pytest.raises(Unavailable, match="the certificate is not trusted: self-signed"):
        AuthAgent(**https.agent).sign_in_over_http(https.authorize())


def test_an_agent_without_a_browser_signs_in(
    https: Https, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    done = AuthAgent(**https.agent).sign_in_over_http(https.authorize())
    assert done.binding == "browser"
    assert done.redirect_to.startswith(f"{https.callback}?")
