"""The real program, on a free port, with a data folder of its own; its log never holds a secret."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import httpx

ADMIN_KEY = "key-for-the-tests-of-the-libraries-0000000001"
# Members of the administration's answers that are shown once.
SECRETS = ("client_secret", "agent_secret", "admin_key")

REPOSITORY = Path(__file__).parents[4]
PROGRAM = os.environ.get("AUTH_AGENT_BIN") or str(REPOSITORY / "target/debug/auth-agent")


class Issuer:
    """A server that runs as long as the `with` block, which fails when a secret stands in the log.

    Args:
        front: address that others reach it at, if that is not its own: its issuer identifier.
    """

    def __init__(self, front: str | None = None) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.url = front or f"http://{self.address}"
        self._folder = tempfile.mkdtemp(prefix="auth-agent-")
        self._log = open(Path(self._folder) / "log", "w+")
        self._handed_out = {ADMIN_KEY}
        self._program = subprocess.Popen(
            [PROGRAM, "serve", "--listen", self.address, "--data-dir", self._folder]
            + (["--issuer", front] if front else []),
            env={
                "PATH": os.environ["PATH"],
                "AUTH_AGENT_ADMIN_KEY": ADMIN_KEY,
                "AUTH_AGENT_LIMITS": "off",
                # As much as it has to say, so that it is seen to be harmless.
                "AUTH_AGENT_LOG": "info,auth_agent=debug",
            },
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def __enter__(self) -> "Issuer":
        while not answers(f"http://{self.address}/api/ready"):
            assert self._program.poll() is None, f"the server did not start: {self.log()}"
            time.sleep(0.02)
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self._program.terminate()
        self._program.wait()
        self._log.close()
        log = self.log()
        shutil.rmtree(self._folder)
        leaks = [line for line in log.splitlines() if any(s in line for s in self._handed_out)]
        # An error that is under way already is the one to be seen.
        assert error or not leaks, f"a secret is in the server's log: {leaks[0]}"

    def log(self) -> str:
        """What it has written so far."""
        return Path(self._log.name).read_text()

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """Calls the administration; the answer, which has to be a good one."""
        answer = httpx.request(
            method,
            f"http://{self.address}/api/admin/{path}",
            headers={"authorization": f"Bearer {ADMIN_KEY}"},
            json=body,
            timeout=60,
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        made = answer.json() if answer.content else None
        if isinstance(made, dict):
            self._handed_out.update(made[name] for name in SECRETS if made.get(name))
        return made

    def client(self, redirect_uri: str, **more: object) -> dict[str, str]:
        """Registers a website."""
        body = {
            "client_name": "Profilio",
            "redirect_uris": [redirect_uri],
            "scope": "openid profile email",
            **more,
        }
        return cast(dict[str, str], self.admin("POST", "clients", body))

    def agent(self, **more: object) -> dict[str, str]:
        """Registers an agent."""
        body = {
            "agent_name": "Robin",
            "user_email": "ada@example.com",
            "user_name": "Ada Lovelace",
            **more,
        }
        return cast(dict[str, str], self.admin("POST", "agents", body))

    def authorize(self, client_id: str, redirect_uri: str, **change: str) -> str:
        """The address that a website sends a browser to, for a request of its own each time."""
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "state": os.urandom(8).hex(),
            "code_challenge": "x" * 43,
            "code_challenge_method": "S256",
            **change,
        }
        return f"{self.url}/authorize?{urlencode(query)}"

    def status(self, request_id: str) -> object:
        """How a request stands, as anybody may ask."""
        address = f"http://{self.address}/api/check-status"
        answer = httpx.get(address, params={"request_id": request_id})
        return answer.json()


def answers(address: str) -> bool:
    """Whether a server there answers well."""
    try:
        return httpx.get(address).is_success
    except httpx.TransportError:
        return False


def free_port(host: str = "127.0.0.1") -> int:
    """A port of that address that nobody listens on."""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])
