"""A proxy in front of an object store that can fail or stall, as networks do."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

Mood = Literal["well", "failing", "stalling", "full"]
_ANSWERS: dict[Mood, bytes] = {
    "failing": b"HTTP/1.1 500 Internal Server Error",
    "full": b"HTTP/1.1 507 Insufficient Storage",
}
_NOTHING = b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FaultProxy:
    """Passes bytes on while it is well; requests keep their Host, so signatures stay good."""

    def __init__(self, target: str) -> None:
        where = urlsplit(target)
        self._target = (where.hostname or "", where.port or 80)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._well = threading.Event()
        self._well.set()
        self.mood: Mood = "well"
        self.endpoint = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def ail(self, mood: Mood, seconds: float) -> None:
        """Fail or stall for a while."""
        self._well.clear()
        self.mood = mood
        time.sleep(seconds)
        self.mood = "well"
        self._well.set()

    def serve(self) -> None:
        """Take connections until the proxy is closed."""
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()

    def _connect(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self._target) as store:
            back = threading.Thread(target=self._pass_on, args=(store, client, False), daemon=True)
            back.start()
            self._pass_on(client, store, True)
            back.join()

    def _refuses(self, request: bytes) -> bool:
        writes = request.startswith((b"PUT", b"POST"))
        return self.mood == "failing" or (self.mood == "full" and writes)

    def _pass_on(self, source: socket.socket, sink: socket.socket, requests: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if requests and self._refuses(data):
                    source.sendall(_ANSWERS[self.mood] + _NOTHING)
                    break
                if self.mood == "stalling":
                    self._well.wait()
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def fault_proxy(target: str) -> Iterator[FaultProxy]:
    """A proxy of the store at `target`, well until told otherwise."""
    proxy = FaultProxy(target)
    threading.Thread(target=proxy.serve, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.close()
