"""The example agents, started as they are, from the link on the website to who is signed in."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest
from support.chromium import chromedriver, wrapper
from support.website import EXAMPLES, Website

AGENTS = ["playwright_agent", "selenium_agent", "browser_use_agent", "http_agent"]


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_signs_in_to_the_website(
    name: str, agent: dict[str, str], website: Website, tmp_path: Path
) -> None:
    program = subprocess.run(
        [sys.executable, f"{name}.py"],
        cwd=EXAMPLES,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "TMPDIR": tempfile.gettempdir(),
            "WEBSITE": website.origin,
            "CHROMIUM": wrapper(tmp_path),
            "CHROMEDRIVER": chromedriver(),
            "AUTH_AGENT_ISSUER": agent["issuer"],
            "AUTH_AGENT_ID": agent["agent_id"],
            "AUTH_AGENT_SECRET": agent["agent_secret"],
            "AUTH_AGENT_MODEL": agent["model"],
            # What else browser-use would reach out for.
            "ANONYMIZED_TELEMETRY": "false",
            "BROWSER_USE_CLOUD_SYNC": "false",
            "BROWSER_USE_DISABLE_EXTENSIONS": "true",
            "BROWSER_USE_SETUP_LOGGING": "false",
            "BROWSER_USE_VERSION_CHECK": "false",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    told = "Signed in to http://127.0.0.2, bound by browser\nHello Ada Lovelace\n"
    assert program.stdout == told, program.stderr
    assert program.returncode == 0, program.stderr
    assert agent["agent_secret"] not in program.stderr


def test_the_website_says_what_was_not_signed_in(website: Website) -> None:
    answer = httpx.get(f"{website.origin}/callback", params={"error": "access_denied"})
    assert answer.status_code == 400
    assert "Not signed in: access_denied." in answer.text
