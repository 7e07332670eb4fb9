"""A real Chromium, headless."""

import shutil
from pathlib import Path

ARGUMENTS = [
    "--no-sandbox",  # which root cannot have
    "--disable-dev-shm-usage",
    "--ignore-certificate-errors",  # the tests make their own
    # Names that end in .example lead to this machine.
    "--host-resolver-rules=MAP *.example 127.0.0.1, MAP *.example. 127.0.0.1",
]


def executable() -> str:
    """The browser of the system."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise FileNotFoundError("there is no chromium on PATH")


def chromedriver() -> str:
    """Its driver."""
    if path := shutil.which("chromedriver"):
        return path
    raise FileNotFoundError("there is no chromedriver on PATH")


def wrapper(folder: Path) -> str:
    """A program that starts it with those arguments, for programs that give it none."""
    path = folder / "chromium"
    arguments = " ".join(f"'{argument}'" for argument in ARGUMENTS)
    path.write_text(f'#!/bin/sh\nexec {executable()} {arguments} "$@"\n')
    path.chmod(0o755)
    return str(path)
