"""Who the agent is: from arguments, the environment, a file; and what is refused."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.issuer import ADMIN_KEY, PROGRAM, Issuer
from support.website import Website

from auth_agent import AsyncAuthAgent, AuthAgent, ConfigurationError
from auth_agent._issuer import parse_issuer

SECRET = "as_secret-of-the-agent"
GOOD = {
    "issuer": "https://auth.example",
    "agent_id": "agent_1",
    "agent_secret": SECRET,
    "model": "m",
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ISSUER", "ID", "SECRET", "MODEL", "CREDENTIALS_FILE"):
        monkeypatch.delenv(f"AUTH_AGENT_{name}", raising=False)


def secret_of(agent: AuthAgent) -> str:
    return agent._identity.agent_secret.reveal()


def test_the_environment_then_the_file_that_it_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="issuer is missing: set AUTH_AGENT_ISSUER"):
        AuthAgent.from_env()
    monkeypatch.setenv("AUTH_AGENT_ISSUER", "https://auth.example/")
    monkeypatch.setenv("AUTH_AGENT_MODEL", "m")
    with pytest.raises(ConfigurationError, match="agent_id is missing: set AUTH_AGENT_ID"):
        AuthAgent.from_env()

    path = tmp_path / "agent.json"
    monkeypatch.setenv("AUTH_AGENT_CREDENTIALS_FILE", str(path))
    with pytest.raises(ConfigurationError, match=r"agent\.json cannot be read: No such file"):
        AuthAgent.from_env()
    for text in ('"no object"', "[]", "{", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match="not a JSON object"):
            AuthAgent.from_env()
    path.write_bytes(b'{"agent_secret": "\xff"}')
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        AuthAgent.from_env()

    path.write_text(json.dumps({"agent_id": "agent_1", "agent_secret": SECRET, "model": None}))
    made = AuthAgent.from_env()
    assert (made.issuer, made.agent_id, made.model) == ("https://auth.example", "agent_1", "m")
    assert secret_of(made) == SECRET
    monkeypatch.setenv("AUTH_AGENT_ID", "agent_2")
    monkeypatch.setenv("AUTH_AGENT_SECRET", "as_2")
    assert AuthAgent.from_env().agent_id == "agent_2"
    assert secret_of(AuthAgent.from_env()) == "as_2"
    assert AsyncAuthAgent.from_env(agent_id="agent_3", agent_secret="as_3").agent_id == "agent_3"
    # A file that is named here comes before the environment.
    assert AuthAgent.from_file(path).agent_id == "agent_1"
    assert AuthAgent.from_file(path, model="n").model == "n"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as editors of Windows begin a file
    assert AuthAgent.from_file(path).agent_id == "agent_1"


def test_what_is_given_and_says_nothing_is_refused_and_never_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in GOOD.items():
        variable = name.removeprefix("agent_").upper()
        monkeypatch.setenv(f"AUTH_AGENT_{variable}", value)
    odd: list[Any] = ["", " ", b"https://auth.example", 1, []]
    for value in odd:
        for name in GOOD:
            with pytest.raises(ConfigurationError, match=f"{name} must be text"):
                AuthAgent.from_env(**{name: value})
    path = tmp_path / "agent.json"
    for name in (*GOOD, "secret_file"):
        for value in (value for value in odd if not isinstance(value, bytes)):
            path.write_text(json.dumps({"issuer": "https://auth.example", name: value}))
            with pytest.raises(ConfigurationError, match=f"{name} must be text"):
                AuthAgent.from_file(path)
    for no_path in (None, b"agent.json", 1):
        with pytest.raises(ConfigurationError, match="path must be"):
            AuthAgent.from_file(no_path)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no path"):
        AuthAgent.from_file("agent\0.json")


def test_a_secret_goes_with_its_own_agent_and_to_no_issuer_of_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "agent.json"
    path.write_text(json.dumps({**GOOD, "issuer": "https://other.example"}))
    monkeypatch.setenv("AUTH_AGENT_CREDENTIALS_FILE", str(path))
    assert AuthAgent.from_env().issuer == "https://other.example"
    with pytest.raises(ConfigurationError, match="in the same place"):
        AuthAgent.from_env(agent_id="agent_2")
    monkeypatch.setenv("AUTH_AGENT_SECRET", "as_2")
    with pytest.raises(ConfigurationError, match="in the same place"):
        AuthAgent.from_env()
    monkeypatch.setenv("AUTH_AGENT_ID", "agent_2")
    with pytest.raises(ConfigurationError, match="give issuer there too"):
        AuthAgent.from_env()
    monkeypatch.setenv("AUTH_AGENT_ISSUER", "https://auth.example")
    assert AuthAgent.from_env().issuer == "https://auth.example"


@pytest.mark.parametrize("to_file", [False, True])
def test_the_file_is_what_the_command_line_prints(
    issuer: Issuer, website: Website, tmp_path: Path, to_file: bool
) -> None:
    made = subprocess.run(
        [PROGRAM, "agent", "create", "--json", "--server", issuer.url]
        + ["--name", "Robin", "--user-email", "ada@example.com", "--user-name", "Ada"]
        + (["--secret-file", "agent.secret"] if to_file else []),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "AUTH_AGENT_ADMIN_KEY": ADMIN_KEY},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    path = tmp_path / "agent.json"
    path.write_text(made.stdout)
    assert ("agent_secret" in json.loads(made.stdout)) != to_file
    agent = AuthAgent.from_file(path, issuer=issuer.url, model="m")
    address = issuer.authorize(website.client_id, f"{website.origin}/callback")
    assert agent.sign_in_over_http(address).binding == "browser"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"issuer": "http://auth.example"}, "https"),
        ({"issuer": "http://127.0.0.1.example"}, "https"),
        ({"issuer": "http://[::ffff:127.0.0.1]"}, "https"),
        ({"issuer": "https://auth.example@evil.example"}, "user name"),
        ({"issuer": "https://auth.example/?x"}, "query"),
        ({"issuer": "https://auth.example#"}, "fragment"),
        ({"issuer": "auth.example"}, "not a URL"),
        ({"issuer": "https://"}, "not a URL"),
        ({"issuer": "https://auth.example\\@evil.example"}, "not a URL"),
        ({"issuer": "https://auth.example:port"}, "not a URL"),
        ({"issuer": "https://auth\n.example"}, "not a URL"),
        ({"issuer": "ftp://auth.example"}, "https"),
        ({"issuer": ""}, "issuer must be text"),
        ({"issuer": None}, "issuer is missing"),
        ({"agent_id": None}, "agent_id is missing"),
        ({"agent_secret": " "}, "agent_secret must be text"),
        ({"agent_secret": SECRET.encode()}, "agent_secret must be text"),
        ({"model": 4}, "model must be text"),
        ({"issuer": "http://auth.localhost"}, "https"),
        ({"model": "m" * 129}, "128 printable"),
        ({"model": "a\nb"}, "printable"),
        ({"model": "a\u202eb"}, "printable"),
    ],
)
def test_settings_that_would_send_the_secret_in_the_clear_or_nowhere_are_refused(
    change: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        AuthAgent(**{**GOOD, **change})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "origin", "inside", "outside"),
    [
        ("https://AUTH.Example:443/", "https://auth.example", "/authorize", "."),
        ("https://bücher.example", "https://xn--bcher-kva.example", "/authorize", ":444/"),
        ("http://[0:0::1]:3000", "http://[::1]:3000", "/authorize?x", "1/"),
        ("http://127.9.9.9:80", "http://127.9.9.9", "/authorize#x", "@evil.example/"),
        ("http://localhost:3000", "http://localhost:3000", "/authorize?#", "./authorize"),
    ],
)
def test_an_issuer_is_compared_as_browsers_write_it(
    given: str, origin: str, inside: str, outside: str
) -> None:
    issuer = parse_issuer(given)
    assert issuer.origin == origin
    assert issuer.path_of(origin + inside) == "/authorize"
    for address in (origin + outside, "blob:" + origin + inside, origin, origin.upper() + "/"):
        assert issuer.path_of(address) is None
