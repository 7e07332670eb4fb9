"""The example website, started as it is."""

import os
import subprocess
import sys
import time
from pathlib import Path

from .issuer import Issuer, answers, free_port

EXAMPLES = Path(__file__).parents[2] / "examples"


class Website:
    """Runs `examples/fastapi_website` as long as the `with` block."""

    def __init__(self, issuer: Issuer, log: Path) -> None:
        self.origin = f"http://127.0.0.2:{free_port('127.0.0.2')}"
        client = issuer.client(f"{self.origin}/callback")
        self.client_id = client["client_id"]
        self._log = log
        with log.open("w") as output:
            self._program = subprocess.Popen(
                [sys.executable, "main.py"],
                cwd=EXAMPLES / "fastapi_website",
                env={
                    "PATH": os.environ["PATH"],
                    "ORIGIN": self.origin,
                    "ISSUER": issuer.url,
                    "CLIENT_ID": self.client_id,
                    "CLIENT_SECRET": client["client_secret"],
                    "COOKIE_SECRET": "a cookie secret of the tests, long enough",
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def __enter__(self) -> "Website":
        while not answers(self.origin):
            assert self._program.poll() is None, f"it did not start: {self._log.read_text()}"
            time.sleep(0.05)
        return self

    def __exit__(self, *raised: object) -> None:
        self._program.terminate()
        self._program.wait()
