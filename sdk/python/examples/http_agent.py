"""An agent that signs in to a website without a browser: a cookie jar and two requests.

Its settings come from the environment:
  WEBSITE  the website's address; default http://127.0.0.1:4000
  AUTH_AGENT_ISSUER, AUTH_AGENT_ID, AUTH_AGENT_SECRET, AUTH_AGENT_MODEL
"""

import logging
import os
import re

import httpx

from auth_agent import AuthAgent

website = os.environ.get("WEBSITE", "http://127.0.0.1:4000")
agent = AuthAgent.from_env()

# At INFO httpx writes each address that it opens to the log, the code in `redirect_to` among them.
logging.getLogger("httpx").setLevel(logging.WARNING)

with httpx.Client(base_url=website) as session:  # the website's cookies
    login = session.get("/login")
    if not login.has_redirect_location:
        raise SystemExit(f"{website}/login answers {login.status_code}, and does not redirect")
    done = agent.sign_in_over_http(login.headers["location"], expected_origin=website)
    print(f"Signed in to {done.redirect_origin}, bound by {done.binding}")
    home = session.get(done.redirect_to, follow_redirects=True)
    heading = re.search("<h1>(.*?)</h1>", home.text)
    print(heading[1] if heading else home.text)
