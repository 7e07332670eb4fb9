"""A peer that sends what no server of a library would."""

import socket
import threading
from collections.abc import Callable, Iterable

from .listener import Listener


class Peer(Listener):
    """Sends each connection the pieces, `pause` seconds apart, as long as the `with` block."""

    def __init__(
        self, pieces: Iterable[bytes], pause: float = 0, heard: Callable[[], None] = lambda: None
    ) -> None:
        """`heard` is called when something has come, before anything is sent."""
        super().__init__("127.0.0.1")
        self._pieces = list(pieces)
        self._pause = pause
        self._heard = heard
        self._ended = threading.Event()
        self.url = f"http://127.0.0.1:{self.port}"

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        super().__exit__(*raised)

    def _serve(self, connection: socket.socket) -> None:
        connection.recv(65536)
        self._heard()
        for piece in self._pieces:
            connection.sendall(piece)
            if self._ended.wait(self._pause):
                return
