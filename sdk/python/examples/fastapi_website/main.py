"""A website that signs agents in, with Authlib: any OpenID Connect library works, unmodified.

Its settings come from the environment:
  ORIGIN                    where it is reached, such as http://127.0.0.1:4000
  ISSUER                    the Auth Agent server
  CLIENT_ID, CLIENT_SECRET  as registered there, with the redirect URI $ORIGIN/callback
  COOKIE_SECRET             signs the session cookie: openssl rand -base64 32

Start it with `python main.py`.
"""

import html
import os
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from authlib.integrations.starlette_client import OAuth, OAuthError
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.middleware.sessions import SessionMiddleware

ORIGIN = os.environ["ORIGIN"]

app = FastAPI()
app.add_middleware(
    SessionMiddleware,
    secret_key=os.environ["COOKIE_SECRET"],
    https_only=ORIGIN.startswith("https:"),
)

oauth: Any = OAuth()
oauth.register(
    "auth_agent",
    server_metadata_url=os.environ["ISSUER"] + "/.well-known/openid-configuration",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
)


@app.get("/", response_class=HTMLResponse)
async def home(request: Request) -> str:
    visitor = request.session.get("visitor")
    if visitor is None:
        return page('<a href="/login">Sign in with Auth Agent</a>')
    agent, binding, name = (html.escape(visitor[key]) for key in ("agent_id", "binding", "name"))
    return page(
        f"<h1>Hello {name}</h1><p>Signed in by {agent}, bound by {binding}.</p>"
        '<form method="post" action="/logout"><button>Sign out</button></form>'
    )


@app.get("/login")
async def login(request: Request) -> RedirectResponse:
    redirect: RedirectResponse = await oauth.auth_agent.authorize_redirect(
        request, ORIGIN + "/callback"
    )
    return redirect


@app.get("/callback")
async def callback(request: Request) -> Response:
    try:
        tokens = await oauth.auth_agent.authorize_access_token(request)
    except OAuthError as error:
        return HTMLResponse(page(f"<p>Not signed in: {html.escape(error.error)}.</p>"), 400)
    claims = tokens["userinfo"]  # those of the ID token, its signature, issuer and nonce checked
    request.session["visitor"] = {
        key: claims.get(key) for key in ("sub", "agent_id", "binding", "name")
    }
    return RedirectResponse("/", 303)


@app.post("/logout")
async def logout(request: Request) -> RedirectResponse:
    request.session.clear()
    return RedirectResponse("/", 303)


def page(body: str) -> str:
    return f'<!doctype html><html lang="en"><title>Shop</title><body>{body}</body></html>'


if __name__ == "__main__":
    address = urlsplit(ORIGIN)
    uvicorn.run(app, host=address.hostname or "127.0.0.1", port=address.port or 4000)
