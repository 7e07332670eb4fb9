"""An agent that signs in to a website with Playwright.

Its settings come from the environment:
  WEBSITE   the website's address; default http://127.0.0.1:4000
  CHROMIUM  the browser's program, such as /usr/bin/chromium; default the library's own
  AUTH_AGENT_ISSUER, AUTH_AGENT_ID, AUTH_AGENT_SECRET, AUTH_AGENT_MODEL
"""

import os
import time

from playwright.sync_api import sync_playwright

from auth_agent import AuthAgent

website = os.environ.get("WEBSITE", "http://127.0.0.1:4000")
agent = AuthAgent.from_env()

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"))
    page = browser.new_page()
    page.goto(website)
    page.get_by_role("link", name="Sign in with Auth Agent").click()
    deadline = time.monotonic() + 30
    while not agent.is_waiting_page(page) and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    agent.request_of(page)  # if it is none by now, this says why

    done = agent.sign_in(page, expected_origin=website)
    print(f"Signed in to {done.redirect_origin}, bound by {done.binding}")
    print(page.get_by_role("heading").text_content())
    browser.close()
