"""An issuer whose answers the test decides."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    status: int = 200
    body: object = None
    """Sent as it is if it is bytes, and as JSON otherwise."""
    headers: dict[str, str] = field(default_factory=dict)


CUT = Answer(0)
"""The connection is cut instead."""

DONE = Answer(
    body={"success": True, "status": "authenticated", "request_id": "req_1", "binding": "browser"}
)


@dataclass
class Asked:
    line: str
    headers: dict[str, str]
    body: str


class FakeIssuer:
    """Gives the next of `answers` to each request, as long as the `with` block."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[Asked] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                fake.asked.append(Asked(f"{self.command} {self.path}", headers, received))
                answer = fake.answers.pop(0)
                if answer is CUT:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                body = answer.body
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                for name, value in {**answer.headers, "content-length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FakeIssuer":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()
