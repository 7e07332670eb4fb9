"""An agent that signs in to a website with Selenium.

Its settings come from the environment:
  WEBSITE   the website's address; default http://127.0.0.1:4000
  CHROMIUM  the browser's program, such as /usr/bin/chromium; default the library's own
  AUTH_AGENT_ISSUER, AUTH_AGENT_ID, AUTH_AGENT_SECRET, AUTH_AGENT_MODEL
  CHROMEDRIVER  its driver, such as /usr/bin/chromedriver; default Selenium's own
"""

import os

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

from auth_agent import AuthAgent

website = os.environ.get("WEBSITE", "http://127.0.0.1:4000")
agent = AuthAgent.from_env()

options = webdriver.ChromeOptions()
options.add_argument("--headless=new")
options.binary_location = os.environ.get("CHROMIUM", "")
driver = webdriver.Chrome(options, webdriver.ChromeService(os.environ.get("CHROMEDRIVER")))
try:
    wait = WebDriverWait(driver, 30)
    driver.get(website)
    driver.find_element(By.LINK_TEXT, "Sign in with Auth Agent").click()
    wait.until(lambda _: agent.is_waiting_page(driver))

    done = agent.sign_in(driver, expected_origin=website)
    print(f"Signed in to {done.redirect_origin}, bound by {done.binding}")
    print(wait.until(expected_conditions.visibility_of_element_located((By.TAG_NAME, "h1"))).text)
finally:
    driver.quit()
