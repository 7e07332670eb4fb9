"""A website with the sign-in button, as docs/websites.md has it: two pages, and a backend of one call."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

from .issuer import Issuer

HOME = """<!doctype html><title>Shop</title>
<script type="module" src="{issuer}/widget/signin-button.js"></script>
<auth-agent-signin client-id="{client_id}" redirect-uri="/callback" scope="openid profile"></auth-agent-signin>"""
CALLBACK = """<!doctype html><title>Signing in</title><h1></h1>
<script type="module" src="{issuer}/widget/signin-button.js"></script>
<script type="module">
  const answer = await AuthAgent.handleCallback();
  const response = await fetch('/session', {{
    method: 'POST', headers: {{ 'Content-Type': 'application/json' }}, body: JSON.stringify(answer),
  }});
  document.querySelector('h1').textContent = (await response.json()).told;
</script>"""


class Shop:
    """Serves it as long as the `with` block."""

    def __init__(self, issuer: Issuer) -> None:
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = CALLBACK if self.path.startswith("/callback") else HOME
                text = page.format(issuer=issuer.url, client_id=shop.client_id)
                self.answer("text/html; charset=utf-8", text)

            def do_POST(self) -> None:
                answer = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer("application/json", json.dumps({"told": shop.exchange(answer)}))

            def answer(self, content_type: str, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A secure context for browsers, and another host than the issuer's.
        self.origin = f"http://localhost:{self._server.server_port}"
        self._issuer = issuer.url
        client = issuer.client(f"{self.origin}/callback")
        self.client_id, self._client_secret = client["client_id"], client["client_secret"]

    def exchange(self, answer: dict[str, str]) -> str:
        """What to tell whoever signed in."""
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "code_verifier": answer["codeVerifier"],
            "redirect_uri": answer["redirectUri"],
        }
        credentials = (self.client_id, self._client_secret)
        tokens = httpx.post(f"{self._issuer}/token", data=form, auth=credentials).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        person = httpx.get(f"{self._issuer}/userinfo", headers=bearer).json()
        return f"Hello {person['name']}"

    def __enter__(self) -> "Shop":
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()
