"""The libraries that drive a browser, as far as they are alike, for tests that run with each."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from browser_use import BrowserSession
from playwright import async_api, sync_api
from selenium import webdriver
from selenium.common import WebDriverException

from auth_agent import AsyncAuthAgent, AuthAgent, SignIn

from .chromium import ARGUMENTS, chromedriver, executable

T = TypeVar("T")


class Tab(Protocol):
    """A page of a browser. What the library under test is given is `page`."""

    page: Any

    async def goto(self, address: str) -> None: ...
    async def run(self, script: str) -> Any: ...
    async def sign_in(self, agent: dict[str, str], **options: Any) -> SignIn: ...
    async def is_waiting(self, agent: dict[str, str]) -> bool: ...
    async def close(self) -> None: ...


class Driver(Protocol):
    """A library with its browser."""

    async def start(self) -> None: ...
    async def tab(self) -> Tab: ...
    async def stop(self) -> None: ...


async def html(tab: Tab) -> str:
    """The page's HTML, as it is now."""
    return str(await tab.run("document.documentElement.outerHTML"))


async def until(tab: Tab, condition: str) -> Any:
    """Waits for a condition in the page."""
    while not (found := await _asked(tab, condition)):
        await asyncio.sleep(0.02)
    return found


async def _asked(tab: Tab, condition: str) -> Any:
    try:
        return await tab.run(condition)
    except (async_api.Error, sync_api.Error, WebDriverException):
        return None  # the page is going elsewhere


class _AsyncTab:
    page: Any

    async def sign_in(self, agent: dict[str, str], **options: Any) -> SignIn:
        return await AsyncAuthAgent(**agent).sign_in(self.page, **options)

    async def is_waiting(self, agent: dict[str, str]) -> bool:
        return await AsyncAuthAgent(**agent).is_waiting_page(self.page)


class _Thread:
    """The one thread that a synchronous library runs in; none of them lives beside an event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)

    async def __call__(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    def end(self) -> None:
        self._pool.shutdown()


class _SyncTab:
    page: Any
    thread: _Thread

    async def sign_in(self, agent: dict[str, str], **options: Any) -> SignIn:
        return await self.thread(lambda: AuthAgent(**agent).sign_in(self.page, **options))

    async def is_waiting(self, agent: dict[str, str]) -> bool:
        return await self.thread(lambda: AuthAgent(**agent).is_waiting_page(self.page))


class AsyncPlaywright:
    async def start(self) -> None:
        self._playwright = await async_api.async_playwright().start()
        self.browser = await self._playwright.chromium.launch(
            executable_path=executable(), args=ARGUMENTS
        )

    async def tab(self) -> Tab:
        return AsyncPlaywrightTab(await (await self.browser.new_context()).new_page())

    async def stop(self) -> None:
        await self.browser.close()
        await self._playwright.stop()


class AsyncPlaywrightTab(_AsyncTab):
    def __init__(self, page: async_api.Page) -> None:
        self.page: async_api.Page = page

    async def goto(self, address: str) -> None:
        await self.page.goto(address)

    async def run(self, script: str) -> Any:
        return await self.page.evaluate(script)

    async def close(self) -> None:
        await self.page.context.close()


class SyncPlaywright:
    async def start(self) -> None:
        self.thread = _Thread()
        await self.thread(self._start)

    def _start(self) -> None:
        self._playwright = sync_api.sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=executable(), args=ARGUMENTS
        )

    async def tab(self) -> Tab:
        page = await self.thread(lambda: self._browser.new_context().new_page())
        return SyncPlaywrightTab(page, self.thread)

    async def stop(self) -> None:
        await self.thread(self._browser.close)
        await self.thread(self._playwright.stop)
        self.thread.end()


class SyncPlaywrightTab(_SyncTab):
    def __init__(self, page: sync_api.Page, thread: _Thread) -> None:
        self.page: sync_api.Page = page
        self.thread = thread

    async def goto(self, address: str) -> None:
        await self.thread(self.page.goto, address)

    async def run(self, script: str) -> Any:
        return await self.thread(self.page.evaluate, script)

    async def close(self) -> None:
        await self.thread(self.page.context.close)


class Selenium:
    async def start(self) -> None:
        self.thread = _Thread()
        options = webdriver.ChromeOptions()
        options.binary_location = executable()
        for argument in (*ARGUMENTS, "--headless=new"):
            options.add_argument(argument)
        service = webdriver.ChromeService(chromedriver())
        self._driver = await self.thread(lambda: webdriver.Chrome(options, service))

    async def tab(self) -> Tab:
        await self.thread(self._driver.switch_to.new_window, "tab")
        return SeleniumTab(self._driver, self.thread)

    async def stop(self) -> None:
        await self.thread(self._driver.quit)
        self.thread.end()


class SeleniumTab(_SyncTab):
    def __init__(self, driver: webdriver.Chrome, thread: _Thread) -> None:
        self.page: webdriver.Chrome = driver
        self.thread = thread
        self._handle = driver.current_window_handle

    async def goto(self, address: str) -> None:
        await self.thread(self.page.get, address)

    async def run(self, script: str) -> Any:
        return await self.thread(self.page.execute_script, f"return {script}")

    async def close(self) -> None:
        await self.thread(self._close)

    def _close(self) -> None:
        self.page.delete_all_cookies()
        self.page.close()
        self.page.switch_to.window(self.page.window_handles[0])


class BrowserUse:
    async def start(self) -> None:
        self._session = BrowserSession(
            executable_path=executable(),
            headless=True,
            args=ARGUMENTS,
            chromium_sandbox=False,
            enable_default_extensions=False,
        )
        await self._session.start()

    async def tab(self) -> Tab:
        await self._session.navigate_to("about:blank", new_tab=True)
        return BrowserUseTab(self._session)

    async def stop(self) -> None:
        await self._session.kill()


class BrowserUseTab(_AsyncTab):
    def __init__(self, session: BrowserSession) -> None:
        self.page: BrowserSession = session

    async def goto(self, address: str) -> None:
        await self.page.navigate_to(address)

    async def run(self, script: str) -> Any:
        tab = await self.page.get_or_create_cdp_session()
        answer = await tab.cdp_client.send_raw(
            "Runtime.evaluate",
            {"expression": script, "returnByValue": True},
            session_id=tab.session_id,
        )
        return answer["result"].get("value")

    async def close(self) -> None:
        await self.page.clear_cookies()


DRIVERS: dict[str, Callable[[], Driver]] = {
    "playwright": SyncPlaywright,
    "playwright-async": AsyncPlaywright,
    "selenium": Selenium,
    "browser-use": BrowserUse,
}
