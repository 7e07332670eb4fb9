"""The built wheel in an empty environment: it installs, imports, and a program on it type-checks."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PROGRAM = """
from auth_agent import AuthAgent, HttpSignIn, Refused, SignInError
from auth_agent.errors import OriginMismatch


def main(agent: AuthAgent, address: str) -> str:
    try:
        done: HttpSignIn = agent.sign_in_over_http(address, expected_origin="https://shop.example")
    except OriginMismatch as refused:
        return refused.error_description
    except SignInError as error:
        return f"{error.error}: {error}, {error.authenticated}, {isinstance(error, Refused)}"
    return done.redirect_to + done.binding


main(AuthAgent.from_env(), "https://auth.example/authorize")
"""

WITH_BROWSERS = """
from playwright.async_api import Page as AsyncPage
from playwright.sync_api import Page
from selenium.webdriver.remote.webdriver import WebDriver

from auth_agent import AsyncAuthAgent, AuthAgent, SignIn


def sign_in(agent: AuthAgent, page: Page, driver: WebDriver) -> list[SignIn]:
    return [agent.sign_in(page), agent.sign_in(driver)]


async def sign_in_async(agent: AsyncAuthAgent, page: AsyncPage) -> SignIn:
    return await agent.sign_in(page, timeout=30)
"""

WITH_BROWSER_USE = """
from browser_use import BrowserSession, Tools

from auth_agent import AsyncAuthAgent, SignIn
from auth_agent.browser_use import add_sign_in


async def main(agent: AsyncAuthAgent, session: BrowserSession) -> SignIn:
    tools: Tools[None] = Tools()
    add_sign_in(tools, agent, expected_origin="https://shop.example")
    return await agent.sign_in(session)
"""

WRONG = """
from auth_agent import AsyncAuthAgent, AuthAgent


def sign_in(agent: AuthAgent, other: AsyncAuthAgent) -> None:
    agent.sign_in("req_1")
    agent.sign_in(None, request_id="req_1")
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    """What `./test` has built and installed."""
    [built] = (ROOT / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def empty(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds nothing but the wheel and what that requires."""
    folder = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", str(folder))
    python = folder / "bin" / "python"
    pins = folder / "constraints.txt"
    pins.write_text((ROOT / "requirements-dev.txt").read_text())
    run(str(python), "-m", "pip", "install", "--quiet", "--constraint", str(pins), str(wheel))
    return python


def run(*command: str, cwd: Path = ROOT) -> str:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == "auth_agent-0.1.0-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"auth_agent/__init__.py", "auth_agent/py.typed"} <= names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"auth_agent", "auth_agent-0.1.0.dist-info"}
    assert "auth_agent-0.1.0.dist-info/licenses/LICENSE" in names


def test_it_installs_into_an_empty_environment_and_imports(empty: Path, tmp_path: Path) -> None:
    assert "No broken requirements" in run(str(empty), "-m", "pip", "check")
    listed = run(str(empty), "-m", "pip", "list", "--format=freeze")
    assert "auth-agent==0.1.0" in listed
    for extra in ("playwright", "selenium", "browser-use", "pydantic"):
        assert f"{extra}==" not in listed
    program = (
        "import auth_agent, auth_agent.errors; print(auth_agent.__file__);"
        "auth_agent.AuthAgent(issuer='https://a.example', agent_id='a', agent_secret='s', model='m')"
    )
    assert str(empty.parents[1]) in run(str(empty), "-c", program, cwd=tmp_path)


def test_these_tests_run_against_the_installed_wheel() -> None:
    import auth_agent

    assert Path(auth_agent.__file__ or "").is_relative_to(sys.prefix)


def test_a_program_on_it_type_checks(empty: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    check(empty, tmp_path)


def test_programs_with_each_library_type_check(tmp_path: Path) -> None:
    (tmp_path / "with_browsers.py").write_text(WITH_BROWSERS)
    check(Path(sys.executable), tmp_path)
    # With all that browser-use imports, mypy takes a minute.
    (tmp_path / "with_browser_use.py").write_text(WITH_BROWSER_USE)
    run(sys.executable, "-m", "pyright", f"--pythonpath={sys.executable}", cwd=tmp_path)


def test_a_program_that_names_a_request_does_not(empty: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", f"--python-executable={empty}", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert 'incompatible type "str"' in done.stdout
    assert 'Unexpected keyword argument "request_id"' in done.stdout


def check(python: Path, folder: Path) -> None:
    """Checks a folder with mypy and pyright, both strict."""
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    mypy = [sys.executable, "-m", "mypy", "--strict", f"--python-executable={python}", "."]
    run(*mypy, cwd=folder)
    run(sys.executable, "-m", "pyright", f"--pythonpath={python}", cwd=folder)
