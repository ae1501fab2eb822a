"""Drives headless Chromium over its DevTools pipe: opens pages, runs JavaScript, presses keys."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = "/usr/bin/chromium"
NEEDED = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not shutil.which(PROGRAM), reason=f"needs {PROGRAM}: apt-get install chromium"
    ),
]
"""Marks of a module that needs Debian's chromium."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
TIMEOUT_S = 60


class Chromium:
    """One tab. Errors and console messages go to `complaints`, requested URLs to `requests`."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive, self._buffer, self._last = send, receive, b"", 0
        self._session, self._downloads = "", Path()
        self._events: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method of the DevTools protocol and wait for its answer."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer)

    def open(self, address: str) -> None:
        """Open an address and wait for its load event."""
        for url in ("about:blank", address):  # a new #fragment alone would not reload the page
            self._events.clear()
            self.call("Page.navigate", url=url)
            while not any(event["method"] == "Page.loadEventFired" for event in self._events):
                self._note(self._read())

    def evaluate(self, expression: str) -> Any:
        """Return the JSON value of a JavaScript expression, after awaiting promises."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait for a JavaScript condition."""
        self.evaluate(
            "new Promise(done => { const again = () => "
            f"(({condition}) ? done(1) : setTimeout(again, 10)); again(); }})"
        )

    def press(self, key: str) -> None:
        """Press and release a key, given by its KeyboardEvent.key."""
        more = {"text": "\r", "windowsVirtualKeyCode": 13} if key == "Enter" else {}
        for kind in ("keyDown" if more else "rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **more)

    def type(self, text: str) -> None:
        """Type text into what has the focus."""
        self.call("Input.insertText", text=text)

    def point_at(self, selector: str) -> None:
        """Scroll an element into view and move the pointer to its middle."""
        x, y = self.evaluate(
            f"(() => {{ const it = document.querySelector({selector!r});"
            " it.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const box = it.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Emulate a screen of this size and theme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[theme, still])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Save the visible part of the page, or all of it, as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def save_to(self, folder: Path) -> None:
        """Let downloads go to a folder."""
        self._downloads = folder
        self.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def downloaded(self, pattern: str) -> Path:
        """Wait for a download whose name matches a pattern."""
        for _ in range(600):
            if files := sorted(self._downloads.glob(pattern)):
                return files[-1]
            time.sleep(0.05)
        raise AssertionError(f"expected a download {pattern}, got none")

    def _note(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        params = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.complaints.append(details.get("exception", details).get("description", ""))
            case "Runtime.consoleAPICalled":
                self.complaints.append(json.dumps(params["args"]))
            case "Log.entryAdded":
                self.complaints.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._receive], [], [], deadline - time.monotonic())
            assert ready, f"expected Chromium to answer within {TIMEOUT_S} s"
            part = os.read(self._receive, 1 << 20)
            assert part, "expected Chromium to keep running"
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)


@contextmanager
def quiet(browser: Chromium, width: int = 1280) -> Iterator[Chromium]:
    """Fail if a page of the block complains, or asks another host for something."""
    browser.resize(width, 900)
    browser.complaints.clear()
    browser.requests.clear()
    yield browser
    assert browser.complaints == []
    assert all(url.startswith(("data:", "file:", "about:", "blob:")) for url in browser.requests)


def forget_progress(browser: Chromium, address: str) -> None:
    """Remove what pages from disk keep in the browser."""
    browser.open(address)
    browser.evaluate("localStorage.clear()")


@contextmanager
def start(folder: Path, flags: Sequence[str] = FLAGS) -> Iterator[Chromium]:
    """Run Chromium with its profile in `folder` until the block ends."""
    to_browser, send = os.pipe()
    receive, from_browser = os.pipe()

    def as_3_and_4() -> None:
        """Move the pipes to the file descriptors that the protocol prescribes."""
        for end, number in ((os.dup(to_browser), 3), (os.dup(from_browser), 4)):
            os.dup2(end, number)

    process = subprocess.Popen(
        [PROGRAM, *flags, f"--user-data-dir={folder}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=as_3_and_4,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Chromium(send, receive)
    finally:
        os.close(send)  # Chromium exits when its pipe closes
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(receive)
