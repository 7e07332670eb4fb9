"""What listens as long as a `with` block, with a thread for each connection."""

import socket
import threading
from abc import ABC, abstractmethod
from typing_extensions import Self


class Listener(ABC):
    """Each connection is served by `_serve`; whoever goes away meanwhile is nobody's fault."""

    def __init__(self, host: str) -> None:
        self._listener = socket.create_server((host, 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        # What a thread waits in is not ended by closing alone.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._serve(connection)
            except OSError:
                pass  # of who does not wait for all of it

    @abstractmethod
    def _serve(self, connection: socket.socket) -> None: ...
