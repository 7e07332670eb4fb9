"""A server that is not the issuer: it writes down every byte that reaches it."""

import socket
import threading
from collections.abc import Callable
from types import TracebackType

Answer = str
"""HTML; or, after `redirect:`, an address."""


class Recorder:
    """Listens on `host` as long as the `with` block, and answers each request, whatever it asks for."""

    def __init__(self, host: str, answer: Callable[[], Answer]) -> None:
        self._answer = answer
        self._received = bytearray()
        self._server = socket.create_server((host, 0))
        self.port = int(self._server.getsockname()[1])

    @property
    def received(self) -> str:
        """Everything that came, of all connections."""
        return self._received.decode("latin-1")

    def __enter__(self) -> "Recorder":
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What a thread waits in is not ended by closing alone.
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while received := connection.recv(65536):
                    self._received += received
                    connection.sendall(self._respond())
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # a browser that goes away

    def _respond(self) -> bytes:
        answer = self._answer()
        if answer.startswith("redirect:"):
            head, body = f"302 Found\r\nLocation: {answer[len('redirect:') :]}", b""
        else:
            head, body = "200 OK\r\nContent-Type: text/html; charset=utf-8", answer.encode()
        end = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return f"HTTP/1.1 {head}\r\n{end}".encode() + body
