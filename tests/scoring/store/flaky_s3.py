"""A small S3 that answers as it is told: a thread with a list of answers, then with files."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, str]
"""HTTP status, and the S3 error code."""


@dataclass
class FlakyS3:
    """What it was asked, and what it still answers before it behaves."""

    endpoint: str = ""
    bad: list[Answer] = field(default_factory=list)
    """Answers to the next requests; the last one for ever if `for_ever`."""
    for_ever: bool = False
    cut_off: int = 0
    """How many bodies are still cut off in the middle."""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def next_bad(self) -> Answer | None:
        if not self.bad:
            return None
        return self.bad[0] if self.for_ever and len(self.bad) == 1 else self.bad.pop(0)


@contextmanager
def flaky_s3() -> Iterator[FlakyS3]:
    """Serve on loopback until the block ends."""
    site = FlakyS3()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _answer(self, status: int, body: bytes = b"", cut: bool = False) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"e"')
            self.send_header("Last-Modified", "Sun, 01 Mar 2026 00:00:00 GMT")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self.close_connection = True

        def _handle(self) -> None:
            site.requests.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if bad := site.next_bad():
                text = f"<Error><Code>{bad[1]}</Code><Message>no</Message></Error>"
                return self._answer(bad[0], text.encode())
            path = self.path.partition("?")[0]
            if self.command == "PUT":
                site.files[path] = body
                return self._answer(200)
            if path not in site.files:
                return self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            cut = site.cut_off > 0 and self.command == "GET"
            site.cut_off -= cut
            return self._answer(200, site.files[path], cut)

        do_GET = do_PUT = do_HEAD = _handle

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
