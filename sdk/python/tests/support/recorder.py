"""A server that is not the issuer: it writes down every byte that reaches it."""

import socket
from collections.abc import Callable

from .listener import Listener

Answer = str
"""HTML; or, after `redirect:`, an address."""


class Recorder(Listener):
    """Listens on `host` as long as the `with` block, and answers each request, whatever it asks for."""

    def __init__(self, host: str, answer: Callable[[], Answer]) -> None:
        super().__init__(host)
        self._answer = answer
        self._received = bytearray()

    @property
    def received(self) -> str:
        """Everything that came, of all connections."""
        return self._received.decode("latin-1")

    def _serve(self, connection: socket.socket) -> None:
        while received := connection.recv(65536):
            self._received += received
            connection.sendall(self._respond())
            connection.shutdown(socket.SHUT_WR)

    def _respond(self) -> bytes:
        answer = self._answer()
        if answer.startswith("redirect:"):
            head, body = f"302 Found\r\nLocation: {answer[len('redirect:') :]}", b""
        else:
            head, body = "200 OK\r\nContent-Type: text/html; charset=utf-8", answer.encode()
        end = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return f"HTTP/1.1 {head}\r\n{end}".encode() + body
