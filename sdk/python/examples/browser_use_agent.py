"""An agent of browser-use that signs in to a website, with a model or without one.

Its settings come from the environment:
  WEBSITE   the website's address; default http://127.0.0.1:4000
  CHROMIUM  the browser's program, such as /usr/bin/chromium; default the library's own
  AUTH_AGENT_ISSUER, AUTH_AGENT_ID, AUTH_AGENT_SECRET, AUTH_AGENT_MODEL
  TASK      what a model is to do there, such as "Sign in and tell me my name". The model is the one
            of browser-use's own service; put any other in its place. Without it the script does the
            same by itself.
"""

import asyncio
import os
import time

from browser_use import Agent, BrowserSession, Tools

from auth_agent import AsyncAuthAgent
from auth_agent.browser_use import add_sign_in

website = os.environ.get("WEBSITE", "http://127.0.0.1:4000")
agent = AsyncAuthAgent.from_env()


async def with_a_model(session: BrowserSession, task: str) -> None:
    from browser_use import ChatBrowserUse

    tools = Tools()
    add_sign_in(tools, agent, expected_origin=website)
    model = ChatBrowserUse()
    history = await Agent(f"{website}: {task}", model, browser_session=session, tools=tools).run()
    print(history.final_result())


async def without(session: BrowserSession) -> None:
    await session.navigate_to(website + "/login")
    deadline = time.monotonic() + 30
    while not await agent.is_waiting_page(session) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    await agent.request_of(session)  # if it is none by now, this says why
    done = await agent.sign_in(session, expected_origin=website)
    print(f"Signed in to {done.redirect_origin}, bound by {done.binding}")
    page = await session.must_get_current_page()
    heading = "() => document.querySelector('h1')?.textContent ?? ''"
    deadline = time.monotonic() + 30
    while not (name := await page.evaluate(heading)) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    print(name or "The website shows no heading")


async def main() -> None:
    session = BrowserSession(executable_path=os.environ.get("CHROMIUM"), headless=True)
    await session.start()
    try:
        if task := os.environ.get("TASK"):
            await with_a_model(session, task)
        else:
            await without(session)
    finally:
        await session.kill()


asyncio.run(main())
