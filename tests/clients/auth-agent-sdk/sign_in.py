"""An agent built on auth-agent-sdk 0.0.3, unmodified, as its README and its browser-use tool use it.

Takes its task as JSON from the environment variable SIGN_IN, prints what it learnt as JSON, and
ends with a status other than 0 when anything is not as it should be.

Of the package's declared requirements only aiohttp is installed: browser-use and playwright are
imported by its tool for browser-use alone, and it does without when they are missing.
"""

import asyncio
import json
import os

from auth_agent_sdk import AuthAgentSDK
from auth_agent_sdk.common import AuthAgentSecurityError

TASK = json.loads(os.environ["SIGN_IN"])


def agent():
    """A new one: each keeps the first server that it met."""
    return AuthAgentSDK(
        agent_id=TASK["agent_id"],
        agent_secret=TASK["agent_secret"],
        model=TASK["model"],
    )


async def main():
    # For the page that a browser shows: its HTML, its address, one call, and waiting.
    sdk = agent()
    request_id = sdk.extract_request_id(TASK["page_html"])
    answer = await sdk.authenticate_async(request_id, TASK["page_url"])
    if not answer["success"]:
        raise SystemExit(answer)
    status = await sdk.wait_for_authentication_async(request_id, TASK["page_url"])

    # All in one: the library opens a page of its own.
    own_page = await agent().complete_authentication_flow_async(TASK["authorization_url"])

    # Why the issuer has to have another name than usual here.
    try:
        await agent().extract_request_id_async("http://127.0.0.1/authorize")
    except AuthAgentSecurityError:
        pass
    else:
        raise SystemExit("it takes 127.0.0.1 as well")

    learnt = {"request_id": request_id, "status": status["status"], "own_page": own_page}
    print(json.dumps(learnt))


asyncio.run(main())
