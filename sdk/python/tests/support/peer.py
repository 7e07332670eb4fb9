"""A peer that sends what no server of a library would."""

import socket
import threading
from collections.abc import Callable, Iterable
from types import TracebackType


class Peer:
    """Sends each connection the pieces, `pause` seconds apart, as long as the `with` block."""

    def __init__(
        self, pieces: Iterable[bytes], pause: float = 0, heard: Callable[[], None] = lambda: None
    ) -> None:
        """`heard` is called when something has come, before anything is sent."""
        self._pieces = list(pieces)
        self._pause = pause
        self._heard = heard
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "Peer":
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        # What a thread waits in is not ended by closing alone.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                self._heard()
                for piece in self._pieces:
                    connection.sendall(piece)
                    if self._ended.wait(self._pause):
                        return
            except OSError:
                pass  # of who does not wait for all of it
